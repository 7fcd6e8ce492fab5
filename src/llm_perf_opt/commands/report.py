"""``modelmeter report``: what a workload costs on a card, module by module, as a folder of files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

if TYPE_CHECKING:
    from llm_perf_opt.runners.dsocr_analyzer import AnalyticRun

WORKLOAD: Final = "dsocr-standard-v1"
HARDWARE: Final = "h100-sxm"
DTYPE: Final = "bfloat16"
TOP_MODULES: Final = 6

# Written out, as reading the folders takes what no other command needs; a test compares them.
WORKLOAD_HELP: Final = (
    "A page: base, dsocr-standard-v1, gundam, gundam-m, large, small, tiny, or a YAML file of your own."
)
HARDWARE_HELP: Final = (
    "A card: a100-sxm-80gb, h100-pcie, h100-sxm, h200-sxm, l40s, rtx-4090, rtx-5090, or a YAML file of your own."
)
DTYPE_HELP: Final = "The type of everything stored: float32, bfloat16, float16, float8_e4m3fn or int8."

WorkloadOption = Annotated[str, typer.Option("--workload", metavar="ID|FILE", help=WORKLOAD_HELP)]
NumPagesOption = Annotated[
    int | None, typer.Option("--num-pages", metavar="N", min=1, help="Pages in one batch; else as the workload says.")
]
HardwareOption = Annotated[str, typer.Option("--hardware", metavar="ID|FILE", help=HARDWARE_HELP)]
DtypeOption = Annotated[str, typer.Option("--dtype", metavar="TYPE", help=DTYPE_HELP)]
EfficiencyOption = Annotated[
    float, typer.Option("--efficiency", metavar="PART", help="The part of the peak rates that is reached, at most 1.")
]
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
    hardware: HardwareOption = HARDWARE,
    dtype: DtypeOption = DTYPE,
    efficiency: EfficiencyOption = 1.0,
    run_id: RunIdOption = None,
    measured_ms: MeasuredOption = None,
    out: OutOption = None,
    force_rebuild: ForceOption = False,
    timestamp: TimestampOption = False,
    as_json: JsonOption = False,
) -> None:
    """Predict the time and memory of a workload on a card. Writes a report, module by module."""
    from llm_perf_opt.contracts import DeepSeekOCRAnalyticRequest
    from llm_perf_opt.data.serialization import to_json
    from llm_perf_opt.reporting.build import MODEL_VARIANT
    from llm_perf_opt.reporting.evaluation import MODEL_ID
    from llm_perf_opt.reporting.summary import summarize
    from llm_perf_opt.runners.dsocr_analyzer import analyze

    run = analyze(
        DeepSeekOCRAnalyticRequest(
            model_id=MODEL_ID,
            model_variant=MODEL_VARIANT,
            workload_profile_id=workload,
            profile_run_id=run_id,
            force_rebuild=force_rebuild,
        ),
        num_pages=num_pages,
        hardware=hardware,
        dtype=dtype,
        efficiency=efficiency,
        measured_total_time_ms=measured_ms,
        written_at=read_clock() if timestamp else None,
        out=out,
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
    from llm_perf_opt.reporting.memory import measure_memory
    from llm_perf_opt.terminal import open_table_console
    from llm_perf_opt.visualize import report_tables

    prediction = run.report.prediction
    assert prediction is not None  # build_report always gives one
    memory = measure_memory(prediction)
    predicted, pages = run.report.predicted_total_time_ms, run.report.workload.num_pages
    each = f", {report_tables.format_time(predicted / pages)} ms a page" if pages > 1 else ""
    typer.echo(
        f"{run.report.workload.profile_id}{f', {pages} pages,' if pages > 1 else ''} on {prediction.hardware.name}: "
        f"{report_tables.format_time(predicted)} ms{each} "
        f"({prediction.dtype}, efficiency {prediction.efficiency:g})\n"
    )
    stages = report_tables.stage_table(prediction).select("stage", "time (ms)", "share", "moved", "bound by")
    # The paths of modules are long: with one more column they would be folded in a terminal.
    top = report_tables.top_table(run.report, TOP_MODULES).select("module", "time (ms)", "share")
    open_table_console().print(stages.to_rich(), "", top.to_rich(), sep="\n")
    typer.echo(
        f"\nmemory: {memory.total_bytes / 2**30:.2f} of {memory.memory_bytes / 2**30:.2f} GiB at the peak, "
        f"{memory.verdict}\n"
        f"{'wrote' if run.is_new else 'unchanged'}: {run.folder}"
    )
