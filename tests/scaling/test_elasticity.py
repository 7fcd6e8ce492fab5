"""Elasticities of polynomials, by hand, and where they cross 1."""

from __future__ import annotations

import pytest
import sympy
from questions import N

import modelmeter
from modelmeter import scaling
from modelmeter.dimensions.functions import ceil_div, differs
from modelmeter.scaling import Interval, Quantity
from modelmeter.support.errors import FormulaError


@pytest.mark.parametrize(
    ("cost", "formula", "at_least_one", "value"),
    [
        (5 * N**2, sympy.Integer(2), (Interval(1, None),), 2),
        (N + 7, N / (N + 7), (), 1),
        # (2 n^2 + n) / (n^2 + n + 25) >= 1 where n^2 >= 25
        (N**2 + N + 25, (2 * N**2 + N) / (N**2 + N + 25), (Interval(5, None),), 2),
    ],
    ids=str,
)
def test_by_hand(cost: sympy.Expr, formula: sympy.Expr, at_least_one: tuple[Interval, ...], value: int) -> None:
    answer = scaling.elasticity(Quantity(cost, "cost"), "n")
    answer.check()
    assert sympy.simplify(answer.formula - formula) == 0
    assert answer.at_least_one == at_least_one
    assert answer.value == value


def test_a_bracket_is_left_behind() -> None:
    answer = scaling.elasticity(Quantity(N**2 + 9 * differs(N, 3), "cost"), "n")
    assert answer.domain.ranges["n"].minimum == 4


def test_a_rounding_has_none() -> None:
    with pytest.raises(FormulaError, match="has no elasticity"):
        scaling.elasticity(Quantity(ceil_div(N, 4), "cost"), "n")


def test_attention_makes_a_prefill_grow_faster_than_its_prompt() -> None:
    prefill = scaling.stage(modelmeter.load(), "prefill")
    answer = scaling.elasticity(prefill.tensor_core_flops, "seq_len")
    answer.check()
    assert answer.value == 2
    assert answer.at_least_one == (Interval(1, None),), "no part of it is constant"
