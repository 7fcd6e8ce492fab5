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
    ("cost", "degree", "coefficient", "from_size"),
    [
        (3 * N**2 + N, 2, 3, 4),  # 10 * 3 n^2 > 9 (3 n^2 + n) where 3 n > 9
        (N + 100, 1, 1, 901),
        (64 * ceil_div(N, 64), 1, 1, 519),  # n > 0.9 * 576 = 518.4 up to 576; and 577 > 0.9 * 640 = 576
        (sympy.Integer(7), 0, 7, 1),
    ],
    ids=str,
)
def test_by_hand(cost: sympy.Expr, degree: int, coefficient: int, from_size: int) -> None:
    answer = scaling.order(Quantity(cost, "cost"), "n")
    answer.check()
    assert (answer.degree, answer.coefficient) == (degree, coefficient)
    whole = values(Quantity(cost, "cost"), 1200)
    shares = [Fraction(coefficient * n**degree, value) > Fraction(9, 10) for n, value in enumerate(whole, start=1)]
    assert answer.from_size == 1 + max((n for n, holds in enumerate(shares, start=1) if not holds), default=0)
    assert answer.from_size == from_size


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
    # min(n, 64) is 64 from there on only: it depends on n, and tends to 64; 10 * 64 > 9 min(n, 64) everywhere.
    late = scaling.order(Quantity(sympy.Min(N, 64), "late"), "n")
    assert (late.degree, late.from_size) == (0, 1)
    assert late.sentence == "late tends to 64, which is more than 90% of it from n = 1 on."
