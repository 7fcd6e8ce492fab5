"""Closed forms with several free sizes, against the answers at numbers."""

from __future__ import annotations

from itertools import product

import pytest
import sympy

import modelmeter
from modelmeter import scaling
from modelmeter.dimensions.functions import ceil_div, differs
from modelmeter.scaling import Quantity
from modelmeter.support.errors import FormulaError

N, M, K = (sympy.Symbol(name, integer=True, positive=True) for name in "nmk")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (3 * N * M + N, 100 * K),
        (N * M, N * K + 30),  # only where m > k
        (5 * M, 2 * N + K),  # up to (5 m - k) / 2
        (N**2 * M + N * K, 200 + M),
        (200 + M, N**2 * M + N * K),
        (N + M, M),
        (M, N + M),
        (sympy.Max(N * M, N, evaluate=False), 30 + K),
    ],
    ids=str,
)
def test_a_crossover_as_a_formula(one: sympy.Expr, other: sympy.Expr) -> None:
    a, b = Quantity(one, "a"), Quantity(other, "b")
    free = sorted({symbol.name for formula in (one, other) for symbol in formula.free_symbols} - {"n"})
    answer = scaling.crossover(a, b, "n", free=free)
    answer.check()
    for m, k in product((1, 2, 7, 11), (1, 5, 13)):
        exact = scaling.crossover(Quantity(one.subs({M: m, K: k}), "a"), Quantity(other.subs({M: m, K: k}), "b"), "n")
        first = answer.at(**{name: {"m": m, "k": k}[name] for name in free})
        if answer.outcome == "up to":
            assert [each.last for each in exact.holds] == ([] if first is None else [first])
        elif answer.outcome == "from" and first is not None:
            assert exact.value == max(first, 1)
        elif answer.outcome == "always":
            assert exact.outcome == "always"
        else:
            assert exact.outcome == "never"


def test_the_largest_as_a_formula() -> None:
    cost = Quantity(N * M + 7, "cost")
    answer = scaling.largest("n", of=cost, under=Quantity(K, "budget"), free=("m", "k"))
    answer.check()
    assert answer.formula == sympy.floor((K - 7) / M) or sympy.simplify(answer.formula - sympy.floor((K - 7) / M)) == 0
    assert answer.at(m=13, k=150) == 11  # 11 * 13 = 143


def test_the_smallest_as_a_formula() -> None:
    answer = scaling.smallest("n", of=Quantity(N * M, "cost"), at_least=Quantity(K, "target"), free=("m", "k"))
    answer.check()
    assert answer.at(m=13, k=144) == 12  # 11 * 13 = 143


def test_a_square_as_a_formula() -> None:
    cost = Quantity(M * N**2 + N, "cost")
    answer = scaling.largest("n", of=cost, under=Quantity(K, "budget"), free=("m", "k"))
    answer.check()
    for m, k in product((1, 3, 10), (5, 97, 1000)):
        fits = [n for n in range(1, 100) if m * n * n + n <= k]
        assert answer.at(m=m, k=k) == (max(fits) if fits else None)


def test_a_bracket_is_left_behind() -> None:
    answer = scaling.crossover(Quantity(N * M + 9 * differs(N, 5), "a"), Quantity(K, "b"), "n", free=("m", "k"))
    answer.check()
    assert answer.domain.ranges["n"].minimum == 6
    assert answer.at(m=7, k=100) == 13  # 7 * 13 + 9 = 100


def test_what_has_no_closed_form_is_said_so() -> None:
    for one in (ceil_div(N, 4) * M, N**3 * M, N * (M - K) + M - K):
        with pytest.raises(FormulaError):
            scaling.crossover(Quantity(sympy.sympify(one), "a"), Quantity(K - 3, "b"), "n", free=("m", "k"))


def test_the_largest_batch_of_any_card() -> None:
    request = scaling.stage(modelmeter.load(), "request")
    memory = request.weight_bytes + request.kv_cache_bytes + request.peak_activation_bytes
    answer = scaling.largest("batch_size", of=memory, under=scaling.MEMORY_BYTES, free=("memory_bytes",))
    answer.check()
    for card in (24, 80, 141):
        exact = scaling.largest("batch_size", of=memory, under=card * 2**30)
        assert answer.at(memory_bytes=card * 2**30) == exact.value


def test_leading_terms_as_formulas() -> None:
    answer = scaling.order(Quantity(3 * N**2 * M + N * K + differs(N, 2), "cost"), "n", free=("m", "k"))
    answer.check()
    assert (answer.formula, answer.degree) == (3 * M * N**2, 2)
    tends = scaling.limit(Quantity((3 * N * M + K) / (2 * N + M), "cost"), "n", free=("m", "k"))
    tends.check()
    assert tends.formula == 3 * M / 2
    assert scaling.limit(Quantity(K / (N + M), "cost"), "n", free=("m", "k")).formula == 0
    assert scaling.limit(Quantity(N**2 * K / (N + M), "cost"), "n", free=("m", "k")).formula == sympy.oo
    with pytest.raises(FormulaError, match="no closed form"):
        scaling.order(Quantity(M * ceil_div(N, 4), "cost"), "n", free=("m",))
