"""From a request to a report on disk: ``python -m llm_perf_opt.runners.dsocr_analyzer --mode analytic``."""

from __future__ import annotations

from enum import Enum
from typing import Annotated, NoReturn

import typer

from llm_perf_opt.analytic_run import AnalyticRun, analyze
from llm_perf_opt.commands import report as report_command
from llm_perf_opt.commands.page_views import PageOption, PreprocessingOption
from llm_perf_opt.defaults import DTYPE, HARDWARE, WORKLOAD
from llm_perf_opt.exit_codes import run_to_end

__all__ = ["AnalyticRun", "analyze"]  # what other programs import from here


class Mode(Enum):
    """What to run."""

    ANALYTIC = "analytic"


app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.command(epilog=report_command.SAMPLES)
def run(
    context: typer.Context,
    workload_profile_id: Annotated[str, typer.Option(metavar="ID|FILE", help=report_command.WORKLOAD_HELP)] = WORKLOAD,
    mode: Annotated[Mode, typer.Option(help="What to run.")] = Mode.ANALYTIC,
    num_pages: report_command.NumPagesOption = None,
    vision_batch_size: report_command.VisionBatchOption = None,
    logits_tokens: report_command.LogitsOption = None,
    hardware: report_command.HardwareOption = HARDWARE,
    dtype: report_command.DtypeOption = DTYPE,
    weight_bits: report_command.WeightBitsOption = None,
    activation_bits: report_command.ActivationBitsOption = None,
    kv_bits: report_command.KvBitsOption = None,
    float32_matmul_precision: report_command.PrecisionOption = "highest",
    efficiency: report_command.EfficiencyOption = 1.0,
    engine: report_command.EngineOption = None,
    reserve: report_command.ReserveOption = None,
    run_id: report_command.RunIdOption = None,
    measured_ms: report_command.MeasuredOption = None,
    out: report_command.OutOption = None,
    force_rebuild: report_command.ForceOption = False,
    timestamp: report_command.TimestampOption = False,
    with_paths: report_command.PathsOption = False,
    as_json: report_command.JsonOption = False,
    preprocessing: PreprocessingOption = None,
    page: PageOption = None,
) -> None:
    """Predict the time and memory of a workload on a card. Writes a report, module by module."""
    report_command.report(
        context,
        workload=workload_profile_id,
        num_pages=num_pages,
        vision_batch_size=vision_batch_size,
        logits_tokens=logits_tokens,
        hardware=hardware,
        dtype=dtype,
        weight_bits=weight_bits,
        activation_bits=activation_bits,
        kv_bits=kv_bits,
        float32_matmul_precision=float32_matmul_precision,
        efficiency=efficiency,
        engine=engine,
        reserve=reserve,
        run_id=run_id,
        measured_ms=measured_ms,
        out=out,
        force_rebuild=force_rebuild,
        timestamp=timestamp,
        with_paths=with_paths,
        as_json=as_json,
        preprocessing=preprocessing,
        page=page,
    )


def main() -> NoReturn:
    """Run the command line."""
    run_to_end(app)


if __name__ == "__main__":
    main()
