"""The integer at which a cost is smallest or largest, against values one by one."""

from __future__ import annotations

from fractions import Fraction

import pytest
import sympy
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st
from questions import LAST, QUESTIONS, N, costs, values

from modelmeter import scaling
from modelmeter.dimensions.functions import ceil_div
from modelmeter.scaling import Quantity
from modelmeter.support.errors import CertificateError


@settings(max_examples=QUESTIONS, deadline=None)
@given(costs, costs, st.sampled_from(["smallest", "largest"]))
def test_an_optimum_is_what_values_say(above: Quantity, below: Quantity, goal: str) -> None:
    answer = scaling.optimum(above / (below + 1), "n", goal=goal)  # type: ignore[arg-type]
    sign = 1 if goal == "largest" else -1
    found = [Fraction(a, b + 1) for a, b in zip(values(above, LAST), values(below, LAST), strict=True)]
    if answer.bound is None:
        assert answer.value is None
        return
    answer.check()
    assert all(sign * value <= sign * answer.bound for value in found)
    if answer.value is None:
        assert answer.bound not in found
    elif answer.value <= LAST:
        assert found.index(Fraction(answer.bound)) + 1 == answer.value


@pytest.mark.parametrize(
    ("cost", "goal", "value", "bound"),
    [
        (N + sympy.Integer(100) / N, "smallest", 10, 20),
        (N / (N + 5), "largest", None, 1),
        (N / (N + 5), "smallest", 1, Fraction(1, 6)),
        (64 * ceil_div(N, 64) / N, "smallest", 64, 1),
        (N**2, "largest", None, None),
    ],
    ids=str,
)
def test_known_optima(cost: sympy.Expr, goal: str, value: int | None, bound: Fraction | None) -> None:
    answer = scaling.optimum(Quantity(cost, "cost"), "n", goal=goal)  # type: ignore[arg-type]
    assert (answer.value, answer.bound) == (value, bound)
    answer.check()
    if value is not None:
        with pytest.raises(CertificateError):
            evolve(answer, value=value + 1).check()
