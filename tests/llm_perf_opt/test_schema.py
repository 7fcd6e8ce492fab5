"""The published JSON Schema agrees with the records."""

from __future__ import annotations

import json
from typing import Any

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from jsonschema import Draft202012Validator
from records import make_report
from strategies import reports

from llm_perf_opt.contracts import DeepSeekOCRAnalyticReportSummary
from llm_perf_opt.data import AnalyticModelReport, ModuleMetricsSnapshot
from llm_perf_opt.data.schema import record_schema, report_schema_json
from llm_perf_opt.data.serialization import to_json, unstructure

SCHEMA = json.loads(report_schema_json())


def errors_of(data: Any) -> list[str]:
    return [error.json_path for error in Draft202012Validator(SCHEMA).iter_errors(data)]


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    Draft202012Validator.check_schema(record_schema(DeepSeekOCRAnalyticReportSummary))
    assert report_schema_json() == report_schema_json()


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(reports())
def test_every_report_validates(report: AnalyticModelReport) -> None:
    assert errors_of(json.loads(to_json(report))) == []


def test_every_field_is_in_the_schema_with_its_unit() -> None:
    snapshot = SCHEMA["$defs"]["ModuleMetricsSnapshot"]
    assert list(snapshot["properties"]) == [field.name for field in attrs.fields(ModuleMetricsSnapshot)]
    exact = ["flops", "io_bytes", "weight_bytes", "activation_bytes", "kv_cache_bytes"]
    assert snapshot["required"] == [name for name in snapshot["properties"] if name not in exact]
    assert list(snapshot["properties"])[-len(exact) :] == exact, "in plain units, beside the first specification's"
    assert snapshot["properties"]["total_io_tb"]["description"] == "terabits: 10^12 bits"
    assert snapshot["properties"]["memory_weights_gb"]["description"] == "2^30 bytes"
    assert "profile_run_id" not in SCHEMA["required"]
    assert SCHEMA["required"][0] == "schema_version"


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("schema_version", 2),
        ("report_id", ""),
        ("predicted_total_time_ms", -1.0),
        ("predicted_total_time_ms", "1"),
        ("measured_total_time_ms", 0.0),
        ("layer_docs_dir", "relative"),
        ("modules", {}),
        ("surprise", 1),
    ],
)
def test_what_a_field_refuses_the_schema_refuses(place: str, value: Any) -> None:
    data = unstructure(make_report())
    assert errors_of(data) == []
    data[place] = value
    assert len(errors_of(data)) == 1
    del data[place]
    assert len(errors_of(data)) == (place in SCHEMA["required"])


def test_nested_records_are_checked() -> None:
    data = unstructure(make_report())
    data["module_metrics"][1]["operator_breakdown"][0]["share_of_module_flops"] = 1.5
    data["modules"][2]["constructor_params"]["kernel_size"] = [[3]]
    assert sorted(errors_of(data)) == [
        "$.module_metrics[1].operator_breakdown[0].share_of_module_flops",
        "$.modules[2].constructor_params.kernel_size",
    ]
