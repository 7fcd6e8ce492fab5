"""The exact part of a report: what it accepts, what it refuses, and that it adds up."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from predictions import make_hardware, make_operator, make_prediction, make_stage
from records import make_report

from llm_perf_opt.data import AnalyticModelReport
from llm_perf_opt.data.schema import report_schema_json
from llm_perf_opt.data.serialization import from_json, from_yaml, structure, to_json, to_yaml, unstructure
from llm_perf_opt.errors import RecordError

REPORT = unstructure(make_report(prediction=make_prediction()))
WRONG: dict[type, list[Any]] = {
    str: [3, None, "", ["a"]],
    int: ["3", True, 1.5, -1, 2**63, None],
    float: ["1.0", True, -0.5, math.nan, math.inf, None],
    list: [None, "ab", {"a": 1}],
    dict: [3, "ab", [1]],
}


def walk(data: Any, steps: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items: Any = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for step, value in items:
        yield (*steps, step)
        yield from walk(value, (*steps, step))


def name(steps: tuple[Any, ...]) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps).lstrip(".")


def value_at(data: Any, steps: tuple[Any, ...]) -> Any:
    for step in steps:
        data = data[step]
    return data


def damage(steps: tuple[Any, ...], value: Any) -> dict[str, Any]:
    data = copy.deepcopy(REPORT)
    value_at(data, steps[:-1])[steps[-1]] = value
    return data


FIELDS = [("prediction", *steps) for steps in walk(REPORT["prediction"])]


def test_a_report_with_a_prediction_survives_json_and_yaml_and_validates() -> None:
    report = make_report(prediction=make_prediction())
    assert from_json(to_json(report), AnalyticModelReport) == from_yaml(to_yaml(report), AnalyticModelReport) == report
    assert not list(Draft202012Validator(json.loads(report_schema_json())).iter_errors(REPORT))


@pytest.mark.parametrize("steps", FIELDS, ids=name)
def test_any_damaged_field_is_refused_by_name(steps: tuple[Any, ...]) -> None:
    for wrong in WRONG[type(value_at(REPORT, steps))]:
        with pytest.raises(RecordError) as caught:
            structure(damage(steps, wrong), AnalyticModelReport)
        assert name(steps) in str(caught.value), wrong


@pytest.mark.parametrize("stage", [0, 1, 2])
@pytest.mark.parametrize("field", ["tensor_core_flops", "cuda_core_flops", "io_bytes"])
def test_operators_that_do_not_add_up_are_refused(stage: int, field: str) -> None:
    steps = ("prediction", "stages", stage, field)
    expected = value_at(REPORT, steps)
    with pytest.raises(RecordError, match=rf"stages\[{stage}\].{field}: .* expected {expected}; found {expected + 1}$"):
        structure(damage(steps, expected + 1), AnalyticModelReport)


@pytest.mark.parametrize("field", ["module_id", "category_id"])
def test_an_operator_of_an_unknown_module_or_category_is_refused(field: str) -> None:
    with pytest.raises(RecordError, match=rf"^prediction\.operators\[1\]\.{field}: no .*; found absent$"):
        structure(damage(("prediction", "operators", 1, field), "absent"), AnalyticModelReport)


def test_a_type_without_a_peak_is_refused() -> None:
    with pytest.raises(RecordError, match=r"abacus: .* expected bfloat16, int8; found float16"):
        make_prediction(dtype="float16")
    assert make_hardware().tensor_peak("int8") == 11000.0


def test_a_card_needs_a_peak_of_a_known_type() -> None:
    for peaks in ({}, {"float17": 1.0}, {"int8": 0.0}, {"int8": math.inf}):
        with pytest.raises(RecordError, match=r"^tensor_flops_per_second"):
            make_hardware(tensor_flops_per_second=peaks)
    # 4 and 4.0 are one number.
    assert make_hardware(tensor_flops_per_second={"int8": 4}).tensor_peak("int8") == 4.0


@pytest.mark.parametrize("efficiency", [0.0, 1.0000001, math.nan])
def test_an_efficiency_is_a_part_of_the_peak(efficiency: float) -> None:
    with pytest.raises(RecordError, match=r"^efficiency"):
        make_prediction(efficiency=efficiency)


def test_a_stage_is_found_by_its_name_and_stands_once() -> None:
    assert make_prediction().stage("vision").tensor_core_flops == 13
    with pytest.raises(RecordError, match=r"^stages\[1\]\.stage: the same as in stages\[0\]"):
        make_prediction(stages=[make_stage("prefill"), make_stage("prefill")], operators=[make_operator()])
