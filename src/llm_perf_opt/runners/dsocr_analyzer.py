"""From a request to a report on disk: ``python -m llm_perf_opt.runners.dsocr_analyzer --mode analytic``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from attrs import evolve, frozen

from llm_perf_opt.commands import report as report_command
from llm_perf_opt.commands.ending import run_to_end
from llm_perf_opt.contracts import DeepSeekOCRAnalyticRequest
from llm_perf_opt.data import AnalyticModelReport
from llm_perf_opt.hardware import find_hardware
from llm_perf_opt.profiles import find_profile
from llm_perf_opt.reporting.build import ReportRequest, build_report
from llm_perf_opt.reporting.evaluation import MODEL_ID, read_conventions
from llm_perf_opt.reporting.folder import write_folder
from llm_perf_opt.utils.paths import analytic_model_dir
from llm_perf_opt.visualize.pages import render_files
from modelmeter.errors import WorkloadError


@frozen(kw_only=True)
class AnalyticRun:
    """A report, the folder that holds it, and whether it was written now."""

    report: AnalyticModelReport
    folder: str
    is_new: bool


def analyze(
    request: DeepSeekOCRAnalyticRequest,
    *,
    num_pages: int | None = None,
    hardware: str = report_command.HARDWARE,
    dtype: str = report_command.DTYPE,
    efficiency: float = 1.0,
    measured_total_time_ms: float | None = None,
    written_at: str | None = None,
    out: str | os.PathLike[str] | None = None,
) -> AnalyticRun:
    """Predict the time of a workload and write the report.

    Parameters
    ----------
    request
        The model and the workload; ``workload_profile_id`` may also be the path of a YAML file.
    num_pages
        Pages in one batch; without it, those of the workload.
    hardware
        The id of a card, or the path of a YAML file.
    dtype, efficiency
        The type of everything stored, and the part of the card's peak rates that is reached.
    measured_total_time_ms
        What the run took, to compare with.
    written_at
        A time of day for the report's notes.
    out
        The folder to write; by default that of the run, or of the report's own id where there is no run.

    Raises
    ------
    ModelMeterError
        If there is no such model, profile, card or type, or the folder cannot be written; also if it holds a file that
        we would replace, and that is not as we wrote it.
    """
    if request.model_id != MODEL_ID:
        raise WorkloadError("no evaluators of this model", place="model_id", expected=MODEL_ID, found=request.model_id)
    profile = find_profile(request.workload_profile_id)
    report = build_report(
        ReportRequest(
            profile=profile if num_pages is None else evolve(profile, num_pages=num_pages),
            hardware=find_hardware(hardware),
            dtype=dtype,
            efficiency=efficiency,
            model_variant=request.model_variant,
            profile_run_id=request.profile_run_id,
            measured_total_time_ms=measured_total_time_ms,
            written_at=written_at,
        )
    )
    folder = os.path.abspath(out if out is not None else analytic_model_dir(request.profile_run_id or report.report_id))
    report = evolve(report, layer_docs_dir=os.path.join(folder, "layers"))
    files = render_files(report, read_conventions())
    is_new = request.force_rebuild or not _holds(folder, files)
    if is_new:
        write_folder(folder, files)
    return AnalyticRun(report=report, folder=folder, is_new=is_new)


def _holds(folder: str, files: Mapping[str, str]) -> bool:
    """Tell whether the folder has exactly this report already, and every page."""
    try:
        is_same = Path(folder, "report.json").read_text(encoding="utf-8") == files["report.json"]
    except (OSError, UnicodeDecodeError):
        return False
    return is_same and all(Path(folder, path).is_file() for path in files)


class Mode(Enum):
    """What to run."""

    ANALYTIC = "analytic"


app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.command()
def run(
    workload_profile_id: Annotated[
        str, typer.Option(metavar="ID|FILE", help=report_command.WORKLOAD_HELP)
    ] = report_command.WORKLOAD,
    mode: Annotated[Mode, typer.Option(help="What to run.")] = Mode.ANALYTIC,
    num_pages: report_command.NumPagesOption = None,
    hardware: report_command.HardwareOption = report_command.HARDWARE,
    dtype: report_command.DtypeOption = report_command.DTYPE,
    efficiency: report_command.EfficiencyOption = 1.0,
    run_id: report_command.RunIdOption = None,
    measured_ms: report_command.MeasuredOption = None,
    out: report_command.OutOption = None,
    force_rebuild: report_command.ForceOption = False,
    timestamp: report_command.TimestampOption = False,
    as_json: report_command.JsonOption = False,
) -> None:
    """Predict the time and memory of a workload on a card. Writes a report, module by module."""
    report_command.report(
        workload_profile_id,
        num_pages,
        hardware,
        dtype,
        efficiency,
        run_id,
        measured_ms,
        out,
        force_rebuild,
        timestamp,
        as_json,
    )


def main() -> NoReturn:
    """Run the command line."""
    run_to_end(app)


if __name__ == "__main__":
    main()
