"""Where roundings jump and what that costs, against values one by one."""

from __future__ import annotations

import sympy
from hypothesis import given, settings
from hypothesis import strategies as st
from questions import QUESTIONS, N, values

import modelmeter
from modelmeter import scaling
from modelmeter.dimensions.functions import ceil_div, floor_div
from modelmeter.scaling import Quantity

LAST = 120

roundings = st.builds(
    lambda kind, a, b, divisor: sympy.sympify(kind(a * N + b, sympy.Integer(divisor))),
    st.sampled_from([ceil_div, floor_div]), st.integers(1, 5), st.integers(0, 20), st.integers(2, 17),
)  # fmt: skip


@settings(max_examples=QUESTIONS, deadline=None)
@given(roundings, st.integers(1, 9), st.integers(0, 9), st.integers(0, 3))
def test_steps_are_where_values_say(rounding: sympy.Expr, high: int, low: int, power: int) -> None:
    cost = Quantity(high * rounding * N**power + low * N, "cost")
    answer = scaling.steps(cost, "n")
    answer.check()
    rounded = values(Quantity(rounding, "rounded"), LAST)
    costs = values(cost, LAST)
    jumps = [n for n in range(2, LAST + 1) if rounded[n - 1] != rounded[n - 2]]
    if not answer.steps:
        assert len(jumps) in (0, LAST - 1), "it changes at every size, or is no rounding any more"
        return
    (step,) = answer.steps
    assert jumps == [n for n in range(2, LAST + 1) if step.jumps_at(n)]
    assert step.first == jumps[0]
    assert step.first_cost == costs[step.first - 1] - costs[step.first - 2]
    for n in jumps:
        assert costs[n - 1] - costs[n - 2] in {int(each.subs(N, n)) for each in step.costs}


def test_a_page_jumps_where_a_window_is_begun() -> None:
    vision = scaling.stage(modelmeter.load(), "vision")
    answer = scaling.steps(vision.tensor_core_flops, "base_size")
    answer.check()
    # Patches of 16 pixels, windows of 14 patches, and two convolutions that halve the grid.
    assert {step.modulus for step in answer.steps} == {16, 14 * 16, 2 * 16, 4 * 16}
    window = next(step for step in answer.steps if step.modulus == 224)
    assert window.residues == (16,), "the first patch of a window of its own"
