"""The slow evaluator: exact at any size, and no value where there is none."""

from __future__ import annotations

from fractions import Fraction

import pytest
import sympy

from modelmeter.dimensions.evaluate import evaluate
from modelmeter.dimensions.functions import (
    Triangular,
    bounded_routed_reads,
    ceil_div,
    differs,
    equals,
    exceeds,
    floor_div,
    routed_reads,
)
from modelmeter.models.deepseek_ocr.dimensions import symbol
from modelmeter.support.errors import FormulaError

BATCH, PROMPT = symbol("batch_size"), symbol("seq_len")


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        (7, 7),
        (BATCH + 2 * PROMPT, 3 + 2 * 11),
        (BATCH * PROMPT**2 - 5, 3 * 121 - 5),
        (BATCH / 8, Fraction(3, 8)),
        (3 * BATCH / 9, 1),
        (PROMPT / BATCH**2, Fraction(11, 9)),
        (ceil_div(PROMPT, 4), 3),
        (floor_div(PROMPT, 4), 2),
        (differs(BATCH, PROMPT) + 5 * equals(BATCH, PROMPT), 1),
        (exceeds(PROMPT, BATCH) + exceeds(BATCH, PROMPT), 1),
        (Triangular(PROMPT), 66),
        # One token of two chooses 2 of 5 experts: 5 (1 - (3/5)^3) = 3.92 experts of 7 weights: 27.44.
        (routed_reads(5, 2, BATCH, 7), 27),
        (sympy.Max(BATCH, PROMPT / 4, evaluate=False), 3),
    ],
)
def test_every_kind_of_node_has_its_exact_value(formula: sympy.Expr, expected: int | Fraction) -> None:
    found = evaluate(formula, {"batch_size": 3, "seq_len": 11})
    assert found == expected
    assert type(found) is type(expected), "whole values are ints"


def test_integers_of_any_size_stay_exact() -> None:
    huge = 10**400 + 1
    assert evaluate(BATCH**2 - 1, {"batch_size": huge}) == (huge - 1) * (huge + 1)
    assert evaluate(ceil_div(BATCH, 10), {"batch_size": huge}) == 10**399 + 1


def test_the_rule_of_routed_reads_can_be_chosen() -> None:
    formula = routed_reads(5, 2, BATCH, 7)
    # Three tokens with two experts each reach all five.
    assert evaluate(formula, {"batch_size": 3}, routed_reads=bounded_routed_reads) == 35


@pytest.mark.parametrize(
    ("formula", "values", "message"),
    [
        (BATCH + 1, {}, "batch_size: a symbol of the formula has no value"),
        (BATCH + 1, {"batch_size": 2.0}, "not an integer"),
        (BATCH + 1, {"batch_size": True}, "not an integer"),
        (BATCH * 0.5, {"batch_size": 2}, "no exact value"),
        (sympy.sin(BATCH), {"batch_size": 2}, "no exact value"),
        (sympy.sqrt(BATCH), {"batch_size": 4}, "no exact value"),
        (1 / (BATCH - 2), {"batch_size": 2}, "divides by zero"),
        (ceil_div(BATCH / 2, 3), {"batch_size": 3}, "got a fraction"),
        (ceil_div(PROMPT, BATCH - 2), {"batch_size": 2, "seq_len": 5}, "positive"),
    ],
)
def test_what_has_no_exact_value_is_an_error(formula: sympy.Expr, values: dict[str, int], message: str) -> None:
    with pytest.raises(FormulaError, match=message):
        evaluate(formula, values)
