"""The contracts survive their converters and refuse what the records refuse."""

from __future__ import annotations

from typing import Any

import pytest

from llm_perf_opt.contracts import (
    AnalyticModuleSummary,
    DeepSeekOCRAnalyticReportSummary,
    DeepSeekOCRAnalyticRequest,
)
from llm_perf_opt.data.serialization import from_json, from_yaml, structure, to_json, to_yaml, unstructure
from llm_perf_opt.errors import RecordError

REQUEST = DeepSeekOCRAnalyticRequest(
    model_id="deepseek-ai/DeepSeek-OCR", model_variant="deepseek-ocr-v1-base", workload_profile_id="dsocr-standard-v1"
)
SUMMARY = DeepSeekOCRAnalyticReportSummary(
    report_id="r1",
    model_variant="deepseek-ocr-v1-base",
    workload_profile_id="dsocr-standard-v1",
    predicted_total_time_ms=3.0,
    measured_total_time_ms=4.0,
    predicted_vs_measured_ratio=0.75,
    top_modules=[
        AnalyticModuleSummary(
            module_id=module_id,
            name=module_id,
            stage="decode",
            share_of_model_time=0.5,
            total_time_ms=1.5,
            total_flops_tflops=0.25,
            memory_activations_gb=0.125,
        )
        for module_id in ("slow", "fast")
    ],
    notes="",
)


@pytest.mark.parametrize("record", [REQUEST, SUMMARY])
def test_a_contract_survives_json_and_yaml(record: Any) -> None:
    assert from_json(to_json(record), type(record)) == record
    assert from_yaml(to_yaml(record), type(record)) == record


def test_a_request_asks_for_no_run_and_no_rebuild_by_default() -> None:
    assert unstructure(REQUEST)["profile_run_id"] is None
    assert unstructure(REQUEST)["force_rebuild"] is False


@pytest.mark.parametrize(
    ("record", "key", "value"),
    [
        (REQUEST, "model_id", ""),
        (REQUEST, "profile_run_id", 3),
        (REQUEST, "force_rebuild", 0),
        (SUMMARY, "predicted_total_time_ms", -3.0),
        (SUMMARY, "measured_total_time_ms", 0.0),
        (SUMMARY, "predicted_vs_measured_ratio", 0.8),
        (SUMMARY, "predicted_vs_measured_ratio", None),
        (SUMMARY, "top_modules", None),
    ],
)
def test_a_wrong_field_is_refused_by_name(record: Any, key: str, value: Any) -> None:
    with pytest.raises(RecordError, match=f"^{key}: "):
        structure(unstructure(record) | {key: value}, type(record))


def test_a_wrong_module_is_refused_by_place() -> None:
    data = unstructure(SUMMARY)
    data["top_modules"][1]["share_of_model_time"] = 1.5
    with pytest.raises(RecordError, match=r"^top_modules\[1\]\.share_of_model_time: "):
        structure(data, DeepSeekOCRAnalyticReportSummary)
    data["top_modules"][1] |= {"share_of_model_time": 0.5, "module_id": "slow"}
    with pytest.raises(RecordError, match=r"^top_modules\[1\]\.module_id: the same as in top_modules\[0\]"):
        structure(data, DeepSeekOCRAnalyticReportSummary)
