"""``modelmeter report``: what a workload costs on a GPU, module by module, as a folder of files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, cast

import typer

from llm_perf_opt.commands.model_option import ModelOption
from llm_perf_opt.commands.page_views import PageOption, PageViews, PreprocessingOption
from llm_perf_opt.commands.report_compiled import make_request, refuse_options
from llm_perf_opt.defaults import DTYPE, HARDWARE, WORKLOAD
from modelmeter.model.registry import DEFAULT

if TYPE_CHECKING:
    from llm_perf_opt.data.hardware import Float32MatmulPrecision

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
A GPU of your own; what follows memory_bytes may be left out:

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
  link_bytes_per_second: 450.0e9     # to other GPUs, in one direction"""

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


SizesArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="KEY=VALUE", help="With --model: sizes of the request; the others have their defaults."),
]
_OF_PROFILES: Final = ("workload", "num_pages", "vision_batch_size", "logits_tokens")
"""Options about what a compiled model has not: profiles, towers that are called page by page, logits of a prompt."""


def report(
    context: typer.Context,
    sizes: SizesArgument = None,
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
    model: ModelOption = DEFAULT,
) -> None:
    """Predict the time and memory of a workload on a GPU. Writes a report, module by module."""
    from llm_perf_opt.analytic_run import analyze, analyze_compiled
    from llm_perf_opt.contracts import DeepSeekOCRAnalyticRequest
    from llm_perf_opt.data import MemoryReserve
    from llm_perf_opt.data.compiled_report import CompiledModelReport
    from llm_perf_opt.data.rationals import parse_bits
    from llm_perf_opt.data.serialization import to_json
    from llm_perf_opt.reporting.build import MODEL_VARIANT
    from llm_perf_opt.reporting.evaluation import Storage, read_model_id
    from llm_perf_opt.reporting.summary import summarize, summarize_compiled

    bits = {"weight_bits": weight_bits, "activation_bits": activation_bits, "kv_bits": kv_bits}
    storage = Storage(**{name: parse_bits(name, text) for name, text in bits.items() if text is not None})
    precision = cast("Float32MatmulPrecision", float32_matmul_precision)  # a record checks it
    reserved = None if reserve is None else MemoryReserve(reserve_gib=reserve, reason="as asked for")
    written_at = read_clock() if timestamp else None
    views = PageViews(page=page, preprocessing=preprocessing)
    if model != DEFAULT:
        refuse_options(context, _OF_PROFILES, "profiles and their pages are DeepSeek-OCR's",
                        "give its sizes, as seq_len=2048 batch_size=4")  # fmt: skip
        run = analyze_compiled(
            make_request(
                model, sizes or [], views, hardware=hardware, dtype=dtype, efficiency=efficiency, engine=engine,
                storage=storage, float32_matmul_precision=precision, reserve=reserved, profile_run_id=run_id,
                measured_total_time_ms=measured_ms, written_at=written_at,
            ),
            out=out,
            force_rebuild=force_rebuild,
            with_paths=with_paths,
        )  # fmt: skip
    else:
        refuse_options(context, ("sizes",), "the sizes of DeepSeek-OCR are those of a profile",
                        "name or write one with --workload, or name a compiled model with --model")  # fmt: skip
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
            storage=storage,
            float32_matmul_precision=precision,
            reserve=reserved,
            engine=engine,
            measured_total_time_ms=measured_ms,
            written_at=written_at,
            with_paths=with_paths,
            out=out,
            preprocessing=preprocessing,
            page=None if page is None else views.sides,
        )
    if as_json:
        found = run.report
        summary = summarize_compiled(found) if isinstance(found, CompiledModelReport) else summarize(found)
        typer.echo(to_json(summary), nl=False)
    else:
        from llm_perf_opt.commands.report_lines import print_run

        print_run(run)


def read_clock() -> str:
    """Return the time of day in UTC, to the second."""
    from datetime import UTC, datetime

    return datetime.now(UTC).isoformat(timespec="seconds")
