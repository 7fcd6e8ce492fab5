"""The report of a request to a compiled model on a card, as a record."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Final

from attrs import evolve, field, frozen

from llm_perf_opt.arguments import Argument
from llm_perf_opt.data.compiled_report import CompiledModelReport, CompiledModelSpec, CompiledWorkload
from llm_perf_opt.data.serialization import to_json
from llm_perf_opt.evaluators import load_costs
from llm_perf_opt.lengths import list_length_notes
from llm_perf_opt.reporting.categories import REPORT_CATEGORIES
from llm_perf_opt.reporting.compiled_evaluation import REQUEST, evaluate_request
from llm_perf_opt.reporting.evaluation import Evaluation
from llm_perf_opt.reporting.metrics import measure_modules
from llm_perf_opt.reporting.modules import build_modules
from llm_perf_opt.reporting.prediction_request import PredictionRequest
from modelmeter.model.page_views import find_page_views

IMAGES: Final = "num_images"
"""The size that says how many images a prompt has."""

_METHOD: Final = (
    "Predicted from exact operator counts with a roofline: see prediction. Prompts are one batch. Every snapshot has "
    "a module's own operators only, so that all of them add up to the model."
)


@frozen(kw_only=True)
class CompiledReportRequest(PredictionRequest):
    """What a report of a compiled model is asked for, beside what every one is.

    Parameters
    ----------
    model
        The name of a registered model.
    sizes
        Sizes of the request; the others have their defaults, or follow from those.
    page
        The sides of the page in pixels which some of these sizes were made from.
    """

    model: str
    sizes: Mapping[str, Argument] = field(factory=dict)
    page: tuple[int, int] | None = None


def build_compiled_report(request: CompiledReportRequest) -> CompiledModelReport:
    """Return the report; its id is a digest of everything else in it but times of day.

    Raises
    ------
    ModelMeterError
        If there is no such model, it has no request, or the workload or the card lacks something.
    """
    roofline = request.make_roofline()
    # sizes -> exact work of every operator, from the generated evaluators
    evaluation = evaluate_request(request.model, request.sizes, request.dtype, request.storage)
    prediction = request.predict(evaluation, roofline, model=request.model)
    predicted, measured = prediction.stage(REQUEST).time_ms, request.measured_total_time_ms
    width, height = request.page or (None, None)
    method = " ".join((_METHOD, *list_length_notes(evaluation.sizes, request.model)))
    report = CompiledModelReport(
        report_id="-",
        model=_describe_model(evaluation, request.model),
        workload=CompiledWorkload(
            profile_id=REQUEST, description=_describe_request(evaluation, request.model, request.page),
            page_width=width, page_height=height,
        ),
        modules=build_modules(evaluation),
        operator_categories=REPORT_CATEGORIES,
        module_metrics=measure_modules(evaluation, prediction, REQUEST),
        profile_run_id=request.profile_run_id,
        predicted_total_time_ms=predicted,
        measured_total_time_ms=measured,
        predicted_vs_measured_ratio=predicted / measured if measured else None,
        notes=method,
        prediction=prediction,
    )  # fmt: skip
    digest = hashlib.sha256(to_json(report).encode()).hexdigest()[:12]
    return evolve(
        report, report_id=f"{request.model}-{request.hardware.hardware_id}-{digest}", notes=request.add_time(method)
    )


def _describe_model(evaluation: Evaluation, model: str) -> CompiledModelSpec:
    return CompiledModelSpec(
        model_id=model,
        qualified_class_name=evaluation.modules[0].qualified_class_name,
        evaluators=load_costs(model).PROVENANCE["evaluators"],
    )


def _describe_request(evaluation: Evaluation, model: str, page: tuple[int, int] | None) -> str:
    sizes = evaluation.sizes
    batch_size, tokens = sizes["batch_size"], int(sizes["decode_steps"]) + 1
    prompts = "A prompt" if batch_size == 1 else f"{batch_size} prompts side by side, each"
    written = "1 new one" if tokens == 1 else f"{tokens:,} new ones"
    seen = "" if page is None else f", with {describe_pages(int(sizes.get(IMAGES, 1)), model, page)}"
    return f"{prompts} of {sizes['seq_len']:,} tokens and {written}{seen}"


def describe_pages(images: int, model: str, page: tuple[int, int]) -> str:
    """Return the pages of a prompt: one that a model cuts into images, or an image for each."""
    pixels = f"{page[0]} x {page[1]} pixels"
    if IMAGES in find_page_views(model).tiles:
        return f"one page of {pixels}" + (f", cut into {images} images" if images > 1 else "")
    return f"one page of {pixels}" if images == 1 else f"{images} pages of {pixels}"
