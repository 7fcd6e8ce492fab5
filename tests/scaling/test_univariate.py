"""Polynomials in one whole number, and their signs, against values one by one."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

from modelmeter.scaling import univariate
from modelmeter.scaling.univariate import Run

polynomials = st.lists(st.integers(-30, 30) | st.fractions(-5, 5, max_denominator=6), max_size=5).map(univariate.trim)
Q = sympy.Symbol("q")


@given(polynomials, st.integers(-20, 20), st.integers(0, 40))
def test_signs_are_those_of_the_values(polynomial: univariate.Coefficients, first: int, length: int) -> None:
    runs = univariate.find_signs(polynomial, first, first + length)
    signs = [run.sign for run in runs for _ in range(run.first, (run.last or 0) + 1)]
    values = [sum(c * q**power for power, c in enumerate(polynomial)) for q in range(first, first + length + 1)]
    assert signs == [(value > 0) - (value < 0) for value in values]
    assert all(one.sign != other.sign for one, other in pairwise(runs))


@given(polynomials, st.integers(-20, 20))
def test_the_last_sign_is_that_of_the_leading_term(polynomial: univariate.Coefficients, first: int) -> None:
    last = univariate.find_signs(polynomial, first, None)[-1]
    assert last.last is None
    top = polynomial[-1] if polynomial else 0
    assert last.sign == (top > 0) - (top < 0)


@given(polynomials, polynomials, st.integers(-9, 9))
def test_arithmetic(one: univariate.Coefficients, other: univariate.Coefficients, at: int) -> None:
    def value(polynomial: univariate.Coefficients) -> Fraction:
        return Fraction(sum(c * at**power for power, c in enumerate(polynomial)))

    assert value(univariate.add(one, other)) == value(one) + value(other)
    assert value(univariate.add_all([one, other, one])) == 2 * value(one) + value(other)
    assert value(univariate.subtract(one, other)) == value(one) - value(other)
    assert value(univariate.multiply(one, other)) == value(one) * value(other)
    assert value(univariate.power(one, 3)) == value(one) ** 3
    assert univariate.value_at(one, at) == value(one)
    assert univariate.value_at(univariate.substitute(one, other), at) == univariate.value_at(one, value(other))
    assert value(univariate.difference(one)) == univariate.value_at(one, at + 1) - value(one)


@given(polynomials)
def test_a_derivative_is_that_of_sympy(polynomial: univariate.Coefficients) -> None:
    formula = univariate.to_formula(polynomial, Q)
    assert sympy.expand(univariate.to_formula(univariate.derivative(polynomial), Q) - sympy.diff(formula, Q)) == 0


@given(polynomials, st.integers(1, 9), st.integers(0, 8))
def test_a_polynomial_on_a_class_is_one_in_its_integers(
    polynomial: univariate.Coefficients, modulus: int, residue: int
) -> None:
    in_size = univariate.in_size(polynomial, (residue, modulus))
    assert all(
        univariate.value_at(in_size, residue + modulus * q) == univariate.value_at(polynomial, q) for q in range(5)
    )


def test_roots_in_closed_form() -> None:
    assert univariate.list_roots((Fraction(-7, 2), 3)) == [sympy.Rational(7, 6)]
    assert set(univariate.list_roots((-6, 1, 1))) == {2, -3}
    assert univariate.list_roots((6, 1, 1)) == []
    assert univariate.list_roots((6, 1, 1, 1)) == []


@pytest.mark.parametrize(("first", "last", "found"), [(0, None, 777), (0, 900, 777), (0, 700, None), (800, None, 800)])
def test_the_first_that_holds(first: int, last: int | None, found: int | None) -> None:
    assert univariate.find_first(lambda point: point >= 777, first, last) == found


def test_a_long_stretch_takes_few_steps() -> None:
    root = 10**40 + 7
    assert univariate.find_signs((-root, 1), 0, None) == [
        Run(0, root - 1, -1),
        Run(root, root, 0),
        Run(root + 1, None, 1),
    ]
