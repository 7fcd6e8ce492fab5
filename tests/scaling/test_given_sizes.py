"""Answers at numbers for their free sizes: fractions, what is no number, and what is outside of the domain."""

from __future__ import annotations

from fractions import Fraction
from math import ceil
from random import Random
from typing import Any

import pytest
import sympy

import modelmeter
from modelmeter import scaling
from modelmeter.scaling import Quantity
from modelmeter.scaling.domain import Range
from modelmeter.support.errors import FormulaError, WorkloadError
from modelmeter.support.suggestions import UnknownNameError

N, M, K = (sympy.Symbol(name, integer=True, positive=True) for name in "nmk")
RATE = sympy.Symbol("rate", positive=True)


@pytest.fixture(scope="module")
def compute_bound() -> scaling.Crossover:
    """From which batch on a 1280 x 1280 layer computes at least ``ratio`` FLOPs for each byte."""
    layer = scaling.stage(modelmeter.load(), "decode").modules("*.self_attn.*_proj")
    needed = scaling.RATIO * layer.io_bytes
    return scaling.crossover(layer.tensor_core_flops, needed, over="batch_size", free=("ratio",))


@pytest.fixture(scope="module")
def largest_batch() -> scaling.Largest:
    request = scaling.stage(modelmeter.load(), "request")
    memory = request.weight_bytes + request.kv_cache_bytes + request.peak_activation_bytes
    return scaling.largest("batch_size", of=memory, under=scaling.MEMORY_BYTES, free=("memory_bytes",))


def first_batch(ratio: Fraction) -> int | None:
    """Try one batch after the other: ``2 B 1280^2 >= ratio * 2 (B 1280 + 1280^2 + B 1280)``, both sides by 2560."""
    if ratio >= 640:  # 1280 B >= ratio (2 B + 1280) needs 1280 > 2 ratio
        return None
    return next(rows for rows in range(1, 10**6) if 1280 * rows >= ratio * (2 * rows + 1280))


def test_a_ratio_that_is_a_fraction_is_computed_exactly(compute_bound: scaling.Crossover) -> None:
    """The H100: 989.4 / 3.35 = 19788 / 67, and 640 r / (640 - r) = 548.45."""
    assert compute_bound.at(ratio=Fraction(19788, 67)) == first_batch(Fraction(19788, 67)) == 549
    assert compute_bound.at(ratio=295) == first_batch(Fraction(295)) == 548
    random = Random(12)
    for _ in range(300):
        below = random.randint(1, 97)
        ratio = Fraction(random.randint(below, 700 * below), below)
        first = first_batch(ratio)
        assert compute_bound.at(ratio=ratio) == first
        if first is not None:  # the closed form by hand
            assert first == ceil(640 * ratio / (640 - ratio))


@pytest.mark.parametrize("value", [295.9, "295.9", "295", True, None, sympy.Float(3), float("nan"), sympy.Symbol("x")])
def test_what_is_no_exact_number_is_refused(compute_bound: scaling.Crossover, value: Any) -> None:
    with pytest.raises(WorkloadError, match="ratio: a size is not exact; expected an integer or a fraction"):
        compute_bound.at(ratio=value)


@pytest.mark.parametrize("value", [295.9, "295.9", "295", True, None, sympy.Float(3)])
def test_a_quantity_refuses_the_same(value: Any) -> None:
    with pytest.raises(WorkloadError, match="ratio: a size is not exact; expected an integer or a fraction"):
        scaling.RATIO.at(ratio=value)


@pytest.mark.parametrize("value", [0, -3, Fraction(1, 2)])
def test_what_is_outside_of_the_domain_is_refused(compute_bound: scaling.Crossover, value: Any) -> None:
    with pytest.raises(WorkloadError, match=r"ratio: a size is outside of the domain .* expected from 1 on; found"):
        compute_bound.at(ratio=value)


def test_names_that_are_not_free_are_refused(compute_bound: scaling.Crossover) -> None:
    with pytest.raises(UnknownNameError, match="known are ratio"):
        compute_bound.at(ratio=295, batch_size=3)
    with pytest.raises(FormulaError, match="ratio: a free size has no number"):
        compute_bound.at()


def test_where_nothing_fits_there_is_no_largest(largest_batch: scaling.Largest) -> None:
    """The weights alone are more than 6.6 GB: nothing fits in 6 GB or in 7 GB, and some pages do in 8 GB."""
    memory = largest_batch.question.partition(" with ")[2].partition(" <= ")[0]
    for held in (6 * 10**9, 7 * 10**9, 8 * 10**9, Fraction(24 * 10**9 + 1, 3)):
        exact = scaling.solve(f"{memory} <= {int(held)}", modelmeter.load(), "batch_size")
        assert largest_batch.at(memory_bytes=held) == exact.value
    assert largest_batch.at(memory_bytes=6 * 10**9) is largest_batch.at(memory_bytes=7 * 10**9) is None
    assert largest_batch.at(memory_bytes=8 * 10**9) is not None


@pytest.mark.parametrize("bounds", [(1, None), (5, 11), Range(2, 30, 4), Range(6, None, 3)])
def test_an_answer_is_in_the_range_of_its_size(bounds: Any) -> None:
    """Against all integers of the range, one by one, at fractions of a rate and integers of a size."""
    limits = {"n": bounds}
    cost, budget = Quantity(N * M * RATE, "cost"), Quantity(sympy.Integer(60), "budget")
    free = ("m", "rate")
    largest = scaling.largest("n", of=cost, under=budget, bounds=limits, free=free)
    smallest = scaling.smallest("n", of=cost, at_least=budget, bounds=limits, free=free)
    over, under = (
        scaling.crossover(*pair, over="n", bounds=limits, free=free) for pair in ((cost, budget), (budget, cost))
    )
    range_ = bounds if isinstance(bounds, Range) else Range(*bounds)
    points = list(range_.sample(100))
    for m in (1, 2, 7, 61):
        for rate in (Fraction(1), Fraction(7, 5), Fraction(31, 3)):
            fitting = [n for n in points if n * m * rate <= 60]
            reaching = [n for n in points if n * m * rate >= 60]
            assert largest.at(m=m, rate=rate) == under.at(m=m, rate=rate) == max(fitting, default=None)
            assert smallest.at(m=m, rate=rate) == over.at(m=m, rate=rate) == min(reaching, default=None)


def test_an_answer_without_a_bound_is_one_too() -> None:
    always = scaling.crossover(Quantity(N + M, "a"), Quantity(M, "b"), "n", free=("m",), bounds={"n": (3, None)})
    assert (always.outcome, always.at(m=7)) == ("always", 3)
    within = scaling.largest("n", of=Quantity(M, "a"), under=Quantity(N + M, "b"), free=("m",))
    assert (within.outcome, within.at(m=7)) == ("unbounded", None)


def test_fractions_are_refused_where_only_integers_are_proved() -> None:
    cost = Quantity(N * M, "cost")
    answer = scaling.largest("n", of=cost, under=Quantity(K, "budget"), free=("m", "k"))
    with pytest.raises(WorkloadError, match="m: this size is an integer; expected an integer; found 3/2"):
        answer.at(m=Fraction(3, 2), k=60)
    # (2 r - 3) (r - 2) is 0 at 3/2 and less between, and at integers never: the box is halved between them.
    bent = Quantity(N * (2 * RATE**2 - 7 * RATE + 6 + sympy.Rational(1, 20)), "bent")
    halved = scaling.crossover(bent, Quantity(sympy.Integer(60), "b"), "n", free=("rate",), bounds={"rate": (2, 90)})
    assert halved.at(rate=5) == 3  # 50 - 35 + 6.05 = 21.05, and 3 * 21.05 > 60
    split = Quantity(N * (10 * (2 * RATE - 5) ** 2 - 9), "split")  # at least 1 at integers, and -9 at 5/2
    answer = scaling.crossover(split, Quantity(sympy.Integer(60), "b"), "n", free=("rate",), bounds={"rate": (1, 90)})
    assert answer.at(rate=2) == 60
    with pytest.raises(WorkloadError, match="rate: the answer is proved at integers only"):
        answer.at(rate=Fraction(5, 2))
    rounded = Quantity(N * modelmeter.dimensions.functions.ceil_div(RATE, 4), "rounded")
    answer = scaling.crossover(rounded, Quantity(sympy.Integer(60), "b"), "n", free=("rate",))
    assert answer.at(rate=9) == 20
    with pytest.raises(WorkloadError, match="rate: the answer is proved at integers only"):
        answer.at(rate=Fraction(19, 2))
