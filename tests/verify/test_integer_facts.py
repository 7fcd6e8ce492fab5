"""The facts about integers, against plain arithmetic on many integers."""

from __future__ import annotations

from itertools import product

import pytest
import sympy

from modelmeter.dimensions import functions
from modelmeter.dimensions.functions import CeilDiv, Differs, Equals, Exceeds, FloorDiv, IntegerFunction, Triangular
from modelmeter.verify.integer_facts import (
    Domain,
    EvenReads,
    find_floor,
    find_zeros,
    is_at_least,
    resolve,
    split_quotient,
)

k, n = (sympy.Symbol(name, integer=True, positive=True) for name in "kn")
x = sympy.Symbol("x", integer=True)

ANYWHERE = Domain()
FROM_TWO = Domain(least={k: 2, n: 2})


@pytest.mark.parametrize(
    ("above", "below"), [*product((28 * k + 5, -28 * k - 5, 7 * k**2 - 3 * k * n + 11), (1, 2, 14))]
)
def test_a_quotient_by_a_number_has_a_remainder_of_numbers_below_it(above: sympy.Expr, below: int) -> None:
    split = split_quotient(above, sympy.Integer(below))
    assert split is not None
    quotient, remainder = split
    assert sympy.expand(quotient * below + remainder - above) == 0
    assert all(0 <= coefficient < below for coefficient in remainder.as_coefficients_dict().values())


@pytest.mark.parametrize("below", [sympy.Integer(0), sympy.Integer(-3), 2 * k])
def test_no_quotient_by_zero_or_less_and_none_with_fractions(below: sympy.Expr) -> None:
    assert split_quotient(3 * k + 1, below) is None


@pytest.mark.parametrize("function", [sympy.sqrt(k), sympy.Rational(1, 2) * k, sympy.Symbol("real")])
def test_what_is_no_integer_polynomial_has_no_quotient(function: sympy.Expr) -> None:
    assert split_quotient(function, sympy.Integer(2)) is None


@pytest.mark.parametrize("residue", range(28))
def test_the_floor_of_a_residue_class_is_what_python_says(residue: int) -> None:
    for dividend in (28 * k + residue, -28 * k - residue, 3 * residue - 28 * k):
        for divisor in (1, 2, 4, 7, 14, 28):
            floor = find_floor(dividend, sympy.Integer(divisor), ANYWHERE)
            assert floor is not None
            assert all(floor.subs(k, value) == int(dividend.subs(k, value)) // divisor for value in range(1, 6))


def test_the_floor_of_a_quotient_by_a_symbol_needs_a_remainder_that_is_surely_below_it() -> None:
    # (k + n + 1) n - k, by the window k + n + 1, is n windows less k, so n - 1 whole ones.
    window = k + n + 1
    assert find_floor(window * n - k, window, ANYWHERE) == n - 1
    assert find_floor(k - window * n, window, ANYWHERE) == -n
    assert find_floor(k, n, ANYWHERE) is None
    assert find_floor(k * n, n, ANYWHERE) == k


def test_signs_are_known_from_the_least_values() -> None:
    assert is_at_least(28 * k - 56, 0, FROM_TWO)
    assert not is_at_least(28 * k - 57, 0, FROM_TWO)
    assert not is_at_least(28 * k - 56, 0, ANYWHERE)
    assert not is_at_least(x, 0, ANYWHERE), "nothing is known of a symbol without assumptions"


def test_zeros_are_integers_of_the_domain() -> None:
    # 28 k + 8 = 64 and 7 k + 2 = 16 for k = 2; 28 k = 64 for no integer; k = 1 is outside.
    assert find_zeros(28 * k + 8 - 64, FROM_TWO) == {2}
    assert find_zeros((7 * k + 2) ** 2 - 256, FROM_TWO) == {2}
    assert find_zeros(28 * k - 64, FROM_TWO) == frozenset()
    assert find_zeros(k - 1, FROM_TWO) == frozenset()
    assert find_zeros(k - 3, Domain(excluded={k: frozenset({3})})) == frozenset()
    assert find_zeros(k - n, FROM_TWO) is None, "that is a line, not points"
    assert find_zeros(sympy.Integer(0), FROM_TWO) is None


def test_an_assumption_that_two_sizes_differ_is_used_either_way_round() -> None:
    domain = Domain(assumed=(sympy.Ne(n, 28 * k + 5),))
    assert find_zeros(n - 28 * k - 5, domain) == frozenset()
    assert resolve(Differs(28 * k + 5, n), domain) == 1
    assert resolve(Differs(28 * k + 6, n), domain) == Differs(28 * k + 6, n)


@pytest.mark.parametrize(
    "call",
    [
        FloorDiv(28 * k + 13, sympy.Integer(14)),
        FloorDiv(16 * k + 15, sympy.Integer(16)),
        CeilDiv(28 * k + 1, sympy.Integer(14)),
        CeilDiv(FloorDiv(16 * (28 * k + 5) + 7, sympy.Integer(16)), sympy.Integer(4)),
        Differs(28 * k + 5, sympy.Integer(64)),
        Equals(7 * k + 3, sympy.Integer(16)),
        Exceeds(k * n, sympy.Integer(1)),
        Exceeds(sympy.Integer(4), k * n),
        Triangular(k + 3),
        EvenReads(sympy.Integer(7), sympy.Integer(3), 4 * k, n),
        EvenReads(8 * k * n, sympy.Integer(2), n, k),
    ],
    ids=str,
)
def test_what_a_fact_decides_is_what_the_function_computes(call: IntegerFunction) -> None:
    domain = Domain(least={k: 2, n: 2}, excluded={k: frozenset({2})})
    decided = resolve(call, domain)
    if call.func is Exceeds and call.args[1] != 1:
        assert decided == 0 or decided == call
    else:
        assert not decided.has(IntegerFunction), "these are all decided"
    for values in ({k: a, n: b} for a, b in product(range(3, 7), range(2, 6))):
        assert decided.subs(values) == call.subs(values)


@pytest.mark.parametrize(
    "call",
    [
        FloorDiv(k, sympy.Integer(2)),
        CeilDiv(k, n),
        Differs(k, n),
        Equals(k, sympy.Integer(5)),
        Exceeds(k, n),
        EvenReads(n, sympy.Integer(2), k, sympy.Integer(3)),
        functions.RoutedReads(n, sympy.Integer(2), k, sympy.Integer(3)),
    ],
    ids=str,
)
def test_what_no_fact_decides_stays_as_it_is(call: IntegerFunction) -> None:
    assert resolve(call, FROM_TWO) == call


def test_a_floor_that_rounds_up_is_a_ceiling() -> None:
    for value in range(12):
        assert FloorDiv.compute(value + 1, 2) == CeilDiv.compute(value, 2)
    assert resolve(FloorDiv(k + 1, sympy.Integer(2)), ANYWHERE) == CeilDiv(k, sympy.Integer(2))


def test_even_reads_are_bounded_by_the_assignments() -> None:
    # 5 tokens of 2 experts each read 7 experts at most, 2 tokens read 4; an expert has 11 weights.
    assert EvenReads.compute(7, 2, 5, 11) == 77
    assert EvenReads.compute(7, 2, 2, 11) == 44
