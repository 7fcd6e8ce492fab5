"""The report of a workload on a card, as a record."""

from __future__ import annotations

import hashlib
import os
from importlib import resources
from typing import Final

from attrs import evolve, frozen

from llm_perf_opt.data import AnalyticModelReport, DeepSeekOCRModelSpec, OCRWorkloadProfile
from llm_perf_opt.data.serialization import to_json
from llm_perf_opt.reporting.categories import REPORT_CATEGORIES
from llm_perf_opt.reporting.evaluation import (
    MODEL_ID,
    Evaluation,
    evaluate_workload,
    read_model_id,
)
from llm_perf_opt.reporting.metrics import measure_modules
from llm_perf_opt.reporting.modules import build_modules
from llm_perf_opt.reporting.prediction_request import PredictionRequest
from modelmeter.support.generated_files import GRAPH_FILE

MODEL_VARIANT: Final = "deepseek-ocr-v1-base"

_METHOD: Final = (
    "Predicted from exact operator counts with a roofline: see prediction. Pages are one batch. Every snapshot has "
    "a module's own operators only, so that all of them add up to the model."
)


@frozen(kw_only=True)
class ReportRequest(PredictionRequest):
    """What a report of a workload is asked for, beside what every one is.

    Parameters
    ----------
    profile
        The workload.
    model_variant
        What the caller calls the model.
    with_paths
        Whether the path of the config is in the report, which is another one on another machine.
    """

    profile: OCRWorkloadProfile
    model_variant: str = MODEL_VARIANT
    with_paths: bool = False


def build_report(request: ReportRequest) -> AnalyticModelReport:
    """Return the report; its id is a digest of everything else in it but paths and times of day.

    Raises
    ------
    ModelMeterError
        If the workload or the card lacks something, or the generated package is not installed.
    """
    roofline = request.make_roofline()
    # workload -> exact work of every operator, from the generated evaluators
    evaluation = evaluate_workload(request.profile, request.dtype, request.storage)
    prediction = request.predict(evaluation, roofline)
    predicted, measured = prediction.stage("request").time_ms, request.measured_total_time_ms
    report = AnalyticModelReport(
        report_id="-",
        model=_describe_model(evaluation, request),
        workload=request.profile,
        modules=build_modules(evaluation),
        operator_categories=REPORT_CATEGORIES,
        module_metrics=measure_modules(evaluation, prediction, request.profile.profile_id),
        profile_run_id=request.profile_run_id,
        predicted_total_time_ms=predicted,
        measured_total_time_ms=measured,
        predicted_vs_measured_ratio=predicted / measured if measured else None,
        notes=_METHOD,
        prediction=prediction,
    )
    identity = f"{request.profile.profile_id}-{request.hardware.hardware_id}-{_digest(report)}"
    return evolve(report, report_id=identity, notes=request.add_time(_METHOD))


def _digest(report: AnalyticModelReport) -> str:
    nowhere = evolve(report, model=evolve(report.model, config_path=None))
    return hashlib.sha256(to_json(nowhere).encode()).hexdigest()[:12]


def _describe_model(evaluation: Evaluation, request: ReportRequest) -> DeepSeekOCRModelSpec:
    sizes, model_id = evaluation.architecture, read_model_id()
    is_published = model_id == MODEL_ID
    towers = "SAM ViT-B and CLIP-L" if is_published else "SAM and CLIP"
    # Ours is the name of a variant of the published model.
    variant = model_id if request.model_variant == MODEL_VARIANT and not is_published else request.model_variant
    config = str(resources.files("deepseek_ocr_costs") / GRAPH_FILE)
    return DeepSeekOCRModelSpec(
        model_id=model_id,
        model_variant=variant,
        config_path=os.path.abspath(config) if request.with_paths else None,
        hidden_size=sizes["hidden_size"],
        intermediate_size=sizes["intermediate_size"],
        num_layers=sizes["num_hidden_layers"],
        num_attention_heads=sizes["num_attention_heads"],
        vision_backbone="sam_vit_b" if is_published else "other",
        uses_moe=sizes["n_routed_experts"] > 0,
        notes=f"The vision backbone is {towers}, one after the other.",
    )
