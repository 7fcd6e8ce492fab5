"""The exact part of a report: what it accepts, what it refuses, and that it adds up."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Iterator
from fractions import Fraction
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
OPTIONAL = {
    ("prediction", "reserve"),
    ("prediction", "last_logits"),
    ("prediction", "estimate"),
    ("prediction", "estimate", "relative_error"),
    *(("prediction", "hardware", key) for key in ("reserve", "memory_class", "visible_gib", "link_bytes_per_second")),
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
    assert steps not in OPTIONAL or structure(damage(steps, None), AnalyticModelReport)
    for wrong in WRONG[type(value_at(REPORT, steps))]:
        if wrong is None and steps in OPTIONAL:
            continue
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
    with pytest.raises(RecordError, match=r"abacus: tensor_flops_per_second: .* expected bfloat16, int8; found tf32"):
        make_prediction(dtype="float32", float32_matmul_precision="high")
    with pytest.raises(RecordError, match=r"^float32_matmul_precision: .* expected one of highest, high;"):
        make_prediction(float32_matmul_precision="medium")


@pytest.mark.parametrize("text", ["11/2", "13/8"])
def test_a_fraction_of_a_bit_is_kept_exactly(text: str) -> None:
    """The bits of the three operators are 163, 29 and 83: less a whole bit and a part more, the sums are the same."""
    part = Fraction(text) - 5
    operators = list(make_prediction().operators)
    operators[0] = make_operator(io_bits=163 - part)
    operators[1] = make_operator(operator="add", tensor_core_flops=100, cuda_core_flops=5, io_bits=29 + part)
    prediction = make_prediction(operators=operators, sizes={"batch_size": 1, "weight_bits": Fraction(text)})
    report = make_report(prediction=prediction)
    assert from_json(to_json(report), AnalyticModelReport) == from_yaml(to_yaml(report), AnalyticModelReport) == report
    plain = unstructure(report)
    assert plain["prediction"]["sizes"]["weight_bits"] == text
    assert not list(Draft202012Validator(json.loads(report_schema_json())).iter_errors(plain))


@pytest.mark.parametrize("wrong", ["22/4", "4/2", "5.5", 5.5, "11/0", "-11/2", "11/ 2", "0/7", f"{2**63}/7"])
def test_what_is_no_exact_fraction_is_refused(wrong: Any) -> None:
    steps = ("prediction", "sizes", "seq_len")
    with pytest.raises(RecordError, match=r"^prediction\.sizes\.seq_len: wrong value; expected .* such as"):
        structure(damage(steps, wrong), AnalyticModelReport)


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
