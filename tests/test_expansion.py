"""Polynomials multiplied out: one object for one polynomial, whatever fractions it is given in, and differences."""

from __future__ import annotations

import sympy
from hypothesis import given
from hypothesis import strategies as st

from modelmeter.algebra.expansion import Expansion, Exponents

A, B = sympy.symbols("a b", positive=True, integer=True)

powers = st.tuples(st.integers(-2, 3), st.integers(0, 3))
terms = st.dictionaries(powers, st.integers(-12, 12), max_size=5)
denominators = st.integers(1, 12)


def formula(found: dict[Exponents, int], denominator: int) -> sympy.Expr:
    return sympy.Add(*(sympy.Rational(number, denominator) * A**a * B**b for (a, b), number in found.items()))


@given(found=terms, denominator=denominators, times=st.integers(1, 6))
def test_equal_polynomials_have_equal_terms_in_lowest_terms(
    found: dict[Exponents, int], denominator: int, times: int
) -> None:
    one = Expansion.of((A, B), found.items(), denominator)
    more = {exponents: number * times for exponents, number in reversed(found.items())}
    other = Expansion.of((A, B), more.items(), denominator * times)
    assert one == other
    assert hash(one) == hash(other)
    assert list(one.terms) == sorted(one.terms, reverse=True)
    assert 0 not in one.terms.values()
    # The least integer that clears all denominators, as sympy finds it of the coefficients.
    fractions = [sympy.Rational(number, denominator) for number in found.values()]
    assert one.denominator == sympy.ilcm(1, 1, *(fraction.q for fraction in fractions))


@given(found=terms, denominator=denominators, other=terms, other_denominator=denominators)
def test_a_difference_is_that_of_the_formulas(
    found: dict[Exponents, int], denominator: int, other: dict[Exponents, int], other_denominator: int
) -> None:
    one, subtracted = (
        Expansion.of((A, B), each.items(), below) for each, below in ((found, denominator), (other, other_denominator))
    )
    difference = one - subtracted
    expected = sympy.expand(formula(found, denominator) - formula(other, other_denominator))
    assert difference.as_expr() == expected
    assert bool(difference) == (expected != 0) == (one != subtracted)


def test_polynomials_over_other_generators_differ() -> None:
    assert Expansion.of((A,), [((1,), 1)]) != Expansion.of((B,), [((1,), 1)])
