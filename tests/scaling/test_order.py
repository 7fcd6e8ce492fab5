"""Leading terms and limits, by hand and against values."""

from __future__ import annotations

from fractions import Fraction

import pytest
import sympy
from attrs import evolve
from hypothesis import given, settings
from questions import QUESTIONS, N, costs, values

import modelmeter
from modelmeter import scaling
from modelmeter.dimensions.functions import ceil_div, exceeds, floor_div
from modelmeter.scaling import Quantity
from modelmeter.support.errors import CertificateError, FormulaError


@pytest.mark.parametrize(
    ("cost", "degree", "coefficient", "from_size", "side"),
    [
        (3 * N**2 + N, 2, 3, 4, "above"),  # n <= 3 n^2 / 10 where 3 n >= 10
        (N + 100, 1, 1, 1000, "above"),
        (64 * ceil_div(N, 64), 1, 1, 582, "above"),  # 640 <= 1.1 n from 581.8 on; and 704 <= 1.1 * 641 = 705.1
        (N**2 - 30 * N + 800, 2, 1, 271, "below"),  # n^2 - 300 n + 8000 >= 0 from 270.4 on
        (-3 * N - 9, 1, -3, 30, "below"),  # -9 is below -3 n
        (N + (64 - N) * exceeds(N, 64), 0, 64, 58, "below"),  # the least of n and 64, with n >= 57.6
        (5 + 5 * exceeds(12, N), 0, 5, 12, "equal"),
        (sympy.Integer(7), 0, 7, 1, "equal"),
    ],
    ids=str,
)
def test_by_hand(cost: sympy.Expr, degree: int, coefficient: int, from_size: int, side: str) -> None:
    answer = scaling.order(Quantity(cost, "cost"), "n")
    answer.check()
    assert (answer.degree, answer.coefficient, answer.side) == (degree, coefficient, side)
    whole = values(Quantity(cost, "cost"), 1200)
    leading = [coefficient * n**degree for n in range(1, 1201)]
    close = [10 * abs(value - most) <= abs(most) for value, most in zip(whole, leading, strict=True)]
    assert answer.from_size == 1 + max((n for n, holds in enumerate(close, start=1) if not holds), default=0)
    assert answer.from_size == from_size


def test_closeness_is_that_of_the_quantity_to_its_limit() -> None:
    """It was said of the limit that it is most of the quantity, which is true of any quantity below its limit."""
    late = scaling.order(Quantity(sympy.Min(N, 64), "late"), "n")  # n >= 57.6
    assert late.sentence == "late tends to 64 from below, and is within 10% of that from n = 58 on."
    grows = scaling.order(Quantity(3 * N**2 + N, "cost"), "n", within=Fraction(1, 40))  # 40 n <= 3 n^2 from 13.3 on
    assert grows.sentence == "cost grows as 3*n**2, and is at most 2.5% above that from n = 14 on."
    assert scaling.order(Quantity(3 * N, "cost"), "n").sentence == "cost is 3*n."
    steps = scaling.order(Quantity(5 + 5 * exceeds(12, N), "step"), "n")
    assert steps.sentence == "step is 5 from n = 12 on."
    with pytest.raises(CertificateError):
        late.remake(from_size=57).check()
    with pytest.raises(CertificateError):
        late.remake(side="above").check()


@settings(max_examples=QUESTIONS, deadline=None)
@given(costs, costs)
def test_a_limit_is_approached(above: Quantity, below: Quantity) -> None:
    quotient = above / (below + 1)
    try:
        answer = scaling.limit(quotient, "n")
    except FormulaError:
        return  # residue classes tend to different numbers
    answer.check()
    far = 10**12
    exact = Fraction(scaling.difference(quotient.formula.subs(N, far) * Quantity(sympy.Integer(1), "1"), 0).value or 0)
    if answer.value is None:
        assert abs(exact) > 10**4
    else:
        assert abs(exact - answer.value) < Fraction(1, 10**4)
        found = [Fraction(a, b + 1) for a, b in zip(values(above, 40), values(below, 40), strict=True)]
        assert answer.side != "below" or all(value <= answer.value for value in found)
        assert answer.side != "above" or all(value >= answer.value for value in found)
        assert answer.side != "equal" or all(value == answer.value for value in found)


def test_residues_that_tend_to_different_numbers() -> None:
    odd = N - 2 * floor_div(N, 2)
    with pytest.raises(FormulaError, match="different numbers"):
        scaling.limit(Quantity((1 + odd) * N, "cost") / Quantity(N, "n"), "n")
    with pytest.raises(FormulaError, match="residue classes grow differently"):
        scaling.order(Quantity((1 + odd) * N, "cost"), "n")


def test_a_size_with_an_end_has_no_limit() -> None:
    with pytest.raises(FormulaError, match="has an end"):
        scaling.limit(Quantity(N, "n"), "n", bounds={"n": (1, 9)})


def test_the_prompt_grows_with_its_square() -> None:
    answer = scaling.order(scaling.stage(modelmeter.load(), "prefill").tensor_core_flops, "seq_len")
    answer.check()
    assert answer.formula == 12 * 4 * 1280 * sympy.Symbol("seq_len", integer=True, positive=True) ** 2


def test_what_does_not_depend_on_the_size_says_so() -> None:
    cost, nothing = Quantity(sympy.Integer(7), "cost"), Quantity(sympy.Integer(0), "nothing")
    assert scaling.order(cost, "n").sentence == "cost does not depend on n: it is 7."
    assert scaling.order(nothing, "n").sentence == "nothing does not depend on n: it is 0."
    assert scaling.limit(cost / 3, "n").sentence == "cost / 3 does not depend on n: it is 7/3."
    # The decoder has 2,934,734,080 parameters, of 16 bits: 5,869,468,160 bytes, an eighth of the bits.
    held = scaling.stage(modelmeter.load(), "prefill").weight_bytes
    found = scaling.order(held, "seq_len", free=("weight_bits",))
    assert found.sentence == "prefill.weight_bytes does not depend on seq_len: it is 366841760*weight_bits."
    # max(7 [n > 5], 7) is 7 on both sides of 5, though n is in it.
    step = scaling.order(Quantity(sympy.Max(7 * exceeds(N, 5), 7), "step"), "n")
    assert step.sentence == "step does not depend on n: it is 7."
    assert step.is_constant
    step.check()
    with pytest.raises(CertificateError):
        evolve(step, coefficient=Fraction(8), value=Fraction(8), formula=sympy.Integer(8)).check()
