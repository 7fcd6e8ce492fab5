"""From a request to a report on disk."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import evolve, frozen

from llm_perf_opt.contracts import DeepSeekOCRAnalyticRequest
from llm_perf_opt.data import MemoryReserve
from llm_perf_opt.data.hardware import Float32MatmulPrecision
from llm_perf_opt.defaults import DTYPE, HARDWARE
from llm_perf_opt.evaluators import load_costs
from llm_perf_opt.hardware import find_hardware
from llm_perf_opt.planning.time import choose_calibration
from llm_perf_opt.profiles import find_profile
from llm_perf_opt.reporting.build import ReportRequest, build_report
from llm_perf_opt.reporting.compiled_build import CompiledReportRequest, build_compiled_report
from llm_perf_opt.reporting.evaluation import AS_COMPUTED, Storage, read_conventions, read_model_id
from llm_perf_opt.reporting.folder import write_folder
from llm_perf_opt.utils.paths import analytic_model_dir
from llm_perf_opt.visualize.pages import render_files
from llm_perf_opt.visualize.report_subject import Report
from modelmeter.model.page_views import find_page_views
from modelmeter.support.errors import WorkloadError


@frozen(kw_only=True)
class AnalyticRun:
    """A report, the folder that holds it, and whether it was written now."""

    report: Report
    folder: str
    is_new: bool


def analyze(
    request: DeepSeekOCRAnalyticRequest,
    *,
    num_pages: int | None = None,
    vision_batch_size: int | None = None,
    logits_tokens: int | None = None,
    hardware: str = HARDWARE,
    dtype: str = DTYPE,
    efficiency: float = 1.0,
    storage: Storage = AS_COMPUTED,
    float32_matmul_precision: Float32MatmulPrecision = "highest",
    reserve: MemoryReserve | None = None,
    engine: str | None = None,
    measured_total_time_ms: float | None = None,
    written_at: str | None = None,
    with_paths: bool = False,
    out: str | os.PathLike[str] | None = None,
    preprocessing: str | None = None,
    page: tuple[int, int] | None = None,
) -> AnalyticRun:
    """Predict the time of a workload and write the report.

    Parameters
    ----------
    request
        The model and the workload; ``workload_profile_id`` may also be the path of a YAML file.
    num_pages
        Pages in one batch; without it, those of the workload.
    vision_batch_size, logits_tokens
        Pages that share a call of the vision towers, and positions of each prompt that get logits; without them, as
        the workload says.
    hardware
        The id of a card, or the path of a YAML file.
    dtype, efficiency
        The type that is computed in, and the part of the card's peak rates that is reached.
    storage
        The bits that weights, activations and the cache are stored in, where they are not those of the type.
    float32_matmul_precision
        Of float32 only: ``highest`` as it is, ``high`` rounded to TF32.
    reserve
        What of the card's memory is not for the model; without it, what the card states.
    engine
        What starts the kernels, ``eager`` or ``graphs``, or the name or the file of a calibration; its times stand
        beside the rooflines.
    measured_total_time_ms
        What the run took, to compare with.
    written_at
        A time of day for the report's notes.
    with_paths
        Whether the report has the absolute paths of the model's config and of its own pages.
    out
        The folder to write; by default that of the run, or of the report's own id where there is no run.
    preprocessing
        Which of the vendor's programs makes the views of a page; without it, as the workload says.
    page
        The sides of the page in pixels, which its tiles and the image tokens of its prompt follow from; without them,
        as the workload says.

    Raises
    ------
    ModelMeterError
        If there is no such model, profile, card or type, or the folder cannot be written; also if it holds a file that
        we would replace, and that is not as we wrote it.
    """
    if request.model_id != (model_id := read_model_id()):
        raise WorkloadError("no evaluators of this model", place="model_id", expected=model_id, found=request.model_id)
    _check_efficiency(engine is not None, efficiency)
    if preprocessing is not None:
        find_page_views().check_preprocessing(preprocessing)
    asked: dict[str, Any] = {
        "num_pages": num_pages,
        "vision_batch_size": vision_batch_size,
        "logits_tokens": logits_tokens,
        "preprocessing": preprocessing,
    }
    asked = {name: value for name, value in asked.items() if value is not None}
    found = find_profile(request.workload_profile_id)
    if page is not None:
        found = evolve(found, preprocessing=asked.pop("preprocessing", found.preprocessing)).with_page(*page)
    profile = evolve(found, **asked)  # all at once, as they are checked against each other
    card = find_hardware(hardware)
    report = build_report(
        ReportRequest(
            profile=profile,
            hardware=card,
            dtype=dtype,
            efficiency=efficiency,
            storage=storage,
            float32_matmul_precision=float32_matmul_precision,
            reserve=reserve,
            calibration=None if engine is None else choose_calibration(card, engine),
            model_variant=request.model_variant,
            profile_run_id=request.profile_run_id,
            measured_total_time_ms=measured_total_time_ms,
            written_at=written_at,
            with_paths=with_paths,
        )
    )
    return _write_report(
        report, read_conventions(), out=out, force_rebuild=request.force_rebuild, with_paths=with_paths
    )


def analyze_compiled(
    request: CompiledReportRequest,
    *,
    out: str | os.PathLike[str] | None = None,
    force_rebuild: bool = False,
    with_paths: bool = False,
) -> AnalyticRun:
    """Predict the time of a request to a compiled model, and write the report.

    Parameters
    ----------
    request
        The model, the sizes and the card.
    out, with_paths
        As of :func:`analyze`.
    force_rebuild
        Whether a report that exists already is made anew.

    Raises
    ------
    ModelMeterError
        As :func:`analyze`; also if the model has no request.
    """
    _check_efficiency(request.calibration is not None, request.efficiency)
    report = build_compiled_report(request)
    conventions = load_costs(request.model).CONVENTIONS
    return _write_report(report, conventions, out=out, force_rebuild=force_rebuild, with_paths=with_paths)


def _check_efficiency(has_engine: bool, efficiency: float) -> None:
    if has_engine and efficiency != 1:
        raise WorkloadError(
            "an engine has efficiencies of its own", place="efficiency", expected="1 with an engine", found=efficiency,
            remedy="give either of the two",
        )  # fmt: skip


def _write_report(
    report: Report,
    conventions: Sequence[str],
    *,
    out: str | os.PathLike[str] | None,
    force_rebuild: bool,
    with_paths: bool,
) -> AnalyticRun:
    """Write the files of a report, unless its folder has them already; ``conventions`` are lines of text."""
    folder = os.path.abspath(out if out is not None else analytic_model_dir(report.profile_run_id or report.report_id))
    if with_paths:
        report = evolve(report, layer_docs_dir=os.path.join(folder, "layers"))
    files = render_files(report, conventions)
    is_new = force_rebuild or not _holds(folder, files)
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
