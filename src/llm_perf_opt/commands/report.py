"""``modelmeter report``: what a workload costs on a card, module by module, as a folder of files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, cast

import typer

from llm_perf_opt.commands.page_views import PageOption, PageViews, PreprocessingOption
from llm_perf_opt.defaults import DTYPE, HARDWARE, WORKLOAD

if TYPE_CHECKING:
    from llm_perf_opt.analytic_run import AnalyticRun
    from llm_perf_opt.data.hardware import Float32MatmulPrecision

TOP_MODULES: Final = 6

# Written out, as reading the folders takes what no other command needs; a test compares them.
WORKLOAD_HELP: Final = (
    "A page: base, dsocr-standard-v1, gundam, gundam-m, large, small, tiny, or a YAML file of your own."
)
HARDWARE_HELP: Final = (
    "A GPU: a10, a100-sxm-40gb, a100-sxm-80gb, apple-m1-max, apple-m1-ultra, b200-sxm, h100-pcie, h100-sxm, h200-sxm, "
    "l4, l40s, mi300x, rtx-3090, rtx-4090, rtx-5090, rtx-pro-6000, or a YAML file of your own."
)
DTYPE_HELP: Final = (
    "The type to compute in, and to store in where nothing else is said: float32, bfloat16, float16, float8_e4m3fn or "
    "int8."
)

# What users write of their own; tests read both.
WORKLOAD_SAMPLE: Final = """\b
A page of your own, with every key:

\b
  profile_id: my-page
  description: One A4 page in mode gundam
  seq_len: 913              # of the prompt, its image tokens among them
  base_size: 1024           # pixels of the global view
  image_size: 640           # pixels of a tile
  crop_mode: true           # without tiles: false, and no number of tiles
  num_width_tiles: 2
  num_height_tiles: 3
  max_new_tokens: 1024
  doc_kind: text_heavy      # or mixed_layout, image_rich, synthetic
  num_pages: 1
  images_per_prompt: 1      # all cut alike; 1 if left out
  vision_batch_size: 1      # pages in a call of the vision towers; 1 if left out
  logits_tokens: 913        # positions that get logits; all of them if left out"""

HARDWARE_SAMPLE: Final = """\b
A card of your own; what follows memory_bytes may be left out:

\b
  hardware_id: my-card
  name: My card
  tensor_flops_per_second:  # dense; one for each type that you ask for
    bfloat16: 989.4e12
    tf32: 494.7e12          # float32, with --float32-matmul-precision high
  vector_flops_per_second: 66.9e12   # FP32 outside the tensor cores
  memory_bytes_per_second: 3.35e12
  memory_bytes: 85899345920
  sources:
    - {title: A datasheet, year: 2023, states: all numbers}
  reserve: {reserve_gib: 2.14, reason: the driver and the CUDA context}
  memory_class: HBM         # or GDDR, LPDDR: which measurements of time are like it
  visible_gib: 79.11        # what programs see of the memory
  link_bytes_per_second: 450.0e9     # to other cards, in one direction"""

SAMPLES: Final = f"{WORKLOAD_SAMPLE}\n\n{HARDWARE_SAMPLE}"

WorkloadOption = Annotated[str, typer.Option("--workload", metavar="ID|FILE", help=WORKLOAD_HELP)]
NumPagesOption = Annotated[
    int | None, typer.Option("--num-pages", metavar="N", min=1, help="Pages in one batch; else as the workload says.")
]
VisionBatchOption = Annotated[
    int | None,
    typer.Option(
        "--vision-batch-size", metavar="N", min=1,
        help="Pages that share a call of the vision towers; else as the workload says, which is 1 by default.",
    ),
]  # fmt: skip
LogitsOption = Annotated[
    int | None,
    typer.Option(
        "--logits-tokens", metavar="N", min=1,
        help="Positions of each prompt that get logits; else as the workload says: all, as in the vendor's code, by "
        "default. Serving engines take 1.",
    ),
]  # fmt: skip
HardwareOption = Annotated[str, typer.Option("--hardware", metavar="ID|FILE", help=HARDWARE_HELP)]
DtypeOption = Annotated[str, typer.Option("--dtype", metavar="TYPE", help=DTYPE_HELP)]
WeightBitsOption = Annotated[
    str | None, typer.Option("--weight-bits", metavar="BITS", help="Bits of a parameter, such as 8, 5.5 or 11/2.")
]
ActivationBitsOption = Annotated[
    str | None, typer.Option("--activation-bits", metavar="BITS", help="Bits of an activation.")
]
KvBitsOption = Annotated[
    str | None, typer.Option("--kv-bits", metavar="BITS", help="Bits of a cached element of a key or a value.")
]
PrecisionOption = Annotated[
    str,
    typer.Option(
        "--float32-matmul-precision", metavar="WORD",
        help="Of float32, as PyTorch calls it: highest, on FP32 cores, or high, rounded to TF32 on tensor cores.",
    ),
]  # fmt: skip
ReserveOption = Annotated[
    float | None,
    typer.Option(
        "--reserve", metavar="GIB", help="Memory that is not for the model, in GiB; else what the GPU's record states."
    ),
]
PathsOption = Annotated[
    bool, typer.Option("--with-paths", help="Note absolute paths in the report, which differ from place to place.")
]
EfficiencyOption = Annotated[
    float, typer.Option("--efficiency", metavar="PART", help="The part of the peak rates that is reached, at most 1.")
]
EngineOption = Annotated[
    str | None,
    typer.Option(
        "--engine", metavar="WORD|NAME|FILE",
        help="Also estimate the times, from measurements: eager or graphs (CUDA graphs), by the memory of the GPU; or "
        "the name or the file of a calibration.",
    ),
]  # fmt: skip
RunIdOption = Annotated[str | None, typer.Option("--run-id", metavar="ID", help="The run that the report is for.")]
MeasuredOption = Annotated[
    float | None, typer.Option("--measured-ms", metavar="MS", help="What that run took, to compare with.")
]
OutOption = Annotated[
    Path | None, typer.Option("--out", metavar="DIR", help="Where to write; else a folder of its own in ./tmp.")
]
ForceOption = Annotated[bool, typer.Option("--force-rebuild", help="Write a report anew that is there already.")]
TimestampOption = Annotated[bool, typer.Option("--timestamp", help="Note the time of day in the report.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")]


def report(
    workload: WorkloadOption = WORKLOAD,
    num_pages: NumPagesOption = None,
    vision_batch_size: VisionBatchOption = None,
    logits_tokens: LogitsOption = None,
    hardware: HardwareOption = HARDWARE,
    dtype: DtypeOption = DTYPE,
    weight_bits: WeightBitsOption = None,
    activation_bits: ActivationBitsOption = None,
    kv_bits: KvBitsOption = None,
    float32_matmul_precision: PrecisionOption = "highest",
    efficiency: EfficiencyOption = 1.0,
    engine: EngineOption = None,
    reserve: ReserveOption = None,
    run_id: RunIdOption = None,
    measured_ms: MeasuredOption = None,
    out: OutOption = None,
    force_rebuild: ForceOption = False,
    timestamp: TimestampOption = False,
    with_paths: PathsOption = False,
    as_json: JsonOption = False,
    preprocessing: PreprocessingOption = None,
    page: PageOption = None,
) -> None:
    """Predict the time and memory of a workload on a GPU. Writes a report, module by module."""
    from llm_perf_opt.analytic_run import analyze
    from llm_perf_opt.contracts import DeepSeekOCRAnalyticRequest
    from llm_perf_opt.data import MemoryReserve
    from llm_perf_opt.data.rationals import parse_bits
    from llm_perf_opt.data.serialization import to_json
    from llm_perf_opt.reporting.build import MODEL_VARIANT
    from llm_perf_opt.reporting.evaluation import Storage, read_model_id
    from llm_perf_opt.reporting.summary import summarize

    bits = {"weight_bits": weight_bits, "activation_bits": activation_bits, "kv_bits": kv_bits}
    run = analyze(
        DeepSeekOCRAnalyticRequest(
            model_id=read_model_id(),
            model_variant=MODEL_VARIANT,
            workload_profile_id=workload,
            profile_run_id=run_id,
            force_rebuild=force_rebuild,
        ),
        num_pages=num_pages,
        vision_batch_size=vision_batch_size,
        logits_tokens=logits_tokens,
        hardware=hardware,
        dtype=dtype,
        efficiency=efficiency,
        storage=Storage(**{name: parse_bits(name, text) for name, text in bits.items() if text is not None}),
        float32_matmul_precision=cast("Float32MatmulPrecision", float32_matmul_precision),  # a record checks it
        reserve=None if reserve is None else MemoryReserve(reserve_gib=reserve, reason="as asked for"),
        engine=engine,
        measured_total_time_ms=measured_ms,
        written_at=read_clock() if timestamp else None,
        with_paths=with_paths,
        out=out,
        preprocessing=preprocessing,
        page=None if page is None else PageViews(page=page).sides,
    )
    if as_json:
        typer.echo(to_json(summarize(run.report)), nl=False)
    else:
        _print(run)


def read_clock() -> str:
    """Return the time of day in UTC, to the second."""
    from datetime import UTC, datetime

    return datetime.now(UTC).isoformat(timespec="seconds")


def _print(run: AnalyticRun) -> None:
    from llm_perf_opt.reporting.largest_batch import largest_batch
    from llm_perf_opt.reporting.memory import measure_memory
    from llm_perf_opt.terminal import open_table_console, print_lines
    from llm_perf_opt.visualize import report_tables

    prediction = run.report.prediction
    assert prediction is not None  # build_report always gives one
    needs, gib = measure_memory(prediction), report_tables.format_gibibytes
    predicted, pages = run.report.predicted_total_time_ms, run.report.workload.num_pages
    estimate = prediction.estimate
    # The estimate leads where there is one, with its bound beside it.
    total = f"{report_tables.format_time(predicted)} ms"
    if estimate is not None:
        request = estimate.stage("request")
        total = (
            f"{report_tables.format_time(request.time_ms)} ms estimated with {estimate.calibration}, at least "
            f"{report_tables.format_time(request.bound_ms)} ms"
        )
        predicted = request.time_ms
    each = f", {report_tables.format_time(predicted / pages)} ms a page" if pages > 1 else ""
    print_lines(
        f"{run.report.workload.profile_id}{f', {pages} pages,' if pages > 1 else ''} on {prediction.hardware.name}: "
        f"{total}{each} "
        f"({report_tables.describe_types(prediction)}, efficiency {prediction.efficiency:g})"
        f"{'' if needs[0].fits else '; it does not fit into the memory'}\n"
    )
    if estimate is not None:
        open_table_console().print(report_tables.estimate_table(estimate).to_rich(), sep="\n")
        print_lines(f"with {estimate.description}\n\nThe roofline, at peak rates:\n")
    stages = report_tables.stage_table(prediction).select("stage", "time (ms)", "share", "moved", "limit")
    # The paths of modules are long: with one more column they would be folded in a terminal.
    top = report_tables.top_table(run.report, TOP_MODULES).select("module", "time (ms)", "share")
    open_table_console().print(stages.to_rich(), "", top.to_rich(), sep="\n")
    card, calls = needs[0], run.report.workload.vision_batch_size
    print_lines(
        f"\nmemory: {gib(card.usable_bytes)} GiB usable ({gib(card.memory_bytes)} less a reserve of "
        f"{gib(card.reserve.reserve_bytes)}), {calls} page{'s' if calls > 1 else ''} in a call of the vision towers"
    )
    for need in needs:
        headroom = f"with {gib(need.headroom_bytes)} GiB of headroom"
        print_lines(
            f"{need.words}: {gib(need.total_bytes)} GiB at the peak, {need.verdict}, "
            f"{headroom if need.fits else f'{gib(-need.headroom_bytes)} GiB short'}"
        )
    sizes = prediction.sizes
    most = (largest_batch({**sizes, "logits_tokens": need.logits_tokens}, need.usable_bytes) for need in needs)
    pages_that_fit = ", ".join(f"{pages:,} with {need.words}" for pages, need in zip(most, needs, strict=True))
    print_lines(f"most pages that fit at once: {pages_that_fit}")
    print_lines(f"{'wrote' if run.is_new else 'unchanged'}: {run.folder}")
