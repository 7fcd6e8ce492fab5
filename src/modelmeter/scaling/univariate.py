"""Polynomials in one whole number, as tuples of their coefficients, lowest first; their signs on integers, exactly.

Signs come from differences: where ``p(q + 1) - p(q)`` has one sign, ``p`` goes one way, and changes its sign at most
once. The difference has a lower degree, so this ends; it finds every sign on the integers, with integer arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from math import comb
from typing import TypeAlias

import sympy
from attrs import frozen

from modelmeter.scaling.terms import Number, simplest

Coefficients: TypeAlias = tuple[Number, ...]
"""Of a polynomial, lowest first, without a zero at the end; the polynomial 0 has none."""


def trim(coefficients: list[Number] | Coefficients) -> Coefficients:
    """Return the coefficients without zeros at the end."""
    last = len(coefficients)
    while last and coefficients[last - 1] == 0:
        last -= 1
    return tuple(map(simplest, coefficients[:last]))


def constant(value: Number) -> Coefficients:
    """Return the polynomial of a number."""
    return (value,) if value else ()


def add(one: Coefficients, other: Coefficients) -> Coefficients:
    """Return the sum."""
    if len(one) < len(other):
        one, other = other, one
    return trim([*(a + b for a, b in zip(one, other, strict=False)), *one[len(other) :]])


def add_all(polynomials: Sequence[Coefficients]) -> Coefficients:
    """Return the sum of many polynomials."""
    total: list[Number] = [0] * max(map(len, polynomials), default=0)
    for polynomial in polynomials:
        for place, coefficient in enumerate(polynomial):
            total[place] += coefficient
    return trim(total)


def multiply(one: Coefficients, other: Coefficients) -> Coefficients:
    """Return the product."""
    if not one or not other:
        return ()
    if len(one) == 1:
        return tuple(simplest(one[0] * b) for b in other)
    product: list[Number] = [0] * (len(one) + len(other) - 1)
    for place, a in enumerate(one):
        for step, b in enumerate(other):
            product[place + step] += a * b
    return trim(product)


def scale(polynomial: Coefficients, factor: Number) -> Coefficients:
    """Return the polynomial times a number."""
    return multiply(constant(factor), polynomial)


def subtract(one: Coefficients, other: Coefficients) -> Coefficients:
    """Return the difference."""
    return add(one, scale(other, -1))


def power(base: Coefficients, exponent: int) -> Coefficients:
    """Return a power with an exponent of at least 0."""
    product: Coefficients = (1,)
    for _ in range(exponent):
        product = multiply(product, base)
    return product


def value_at(polynomial: Coefficients, point: Number) -> Number:
    """Return the value at a point."""
    value: Number = 0
    for coefficient in reversed(polynomial):
        value = value * point + coefficient
    return simplest(value)


def substitute(polynomial: Coefficients, inner: Coefficients) -> Coefficients:
    """Return the polynomial of another one."""
    total: Coefficients = ()
    for coefficient in reversed(polynomial):
        total = add(multiply(total, inner), constant(coefficient))
    return total


def difference(polynomial: Coefficients) -> Coefficients:
    """Return ``p(q + 1) - p(q)``."""
    return trim(
        [
            sum((polynomial[high] * comb(high, low) for high in range(low + 1, len(polynomial))), start=0)
            for low in range(len(polynomial) - 1)
        ]
    )


def derivative(polynomial: Coefficients) -> Coefficients:
    """Return the derivative."""
    return trim([place * coefficient for place, coefficient in enumerate(polynomial)][1:])


def sign_of(value: Number) -> int:
    """Return -1, 0 or 1."""
    return (value > 0) - (value < 0)


@frozen
class Run:
    """Whole numbers in a row, ``first`` to ``last`` (None: without end), where a polynomial has one sign."""

    first: int
    last: int | None
    sign: int


def find_signs(polynomial: Coefficients, first: int, last: int | None) -> list[Run]:
    """Return the signs of a polynomial on the integers ``first`` to ``last`` (None: without end), as runs in order."""
    if len(polynomial) <= 1 or last == first:
        return [Run(first, last, sign_of(value_at(polynomial, first)))]
    steps = find_signs(difference(polynomial), first, None if last is None else last - 1)
    runs: list[Run] = []
    for step in steps:
        end = step.last if step is not steps[-1] else last  # the end of a stretch begins the next
        for run in _split_stretch(polynomial, step.first, end, step.sign):
            if runs and runs[-1].sign == run.sign:
                runs[-1] = Run(runs[-1].first, run.last, run.sign)
            else:
                runs.append(run)
    return runs


def _split_stretch(polynomial: Coefficients, first: int, last: int | None, direction: int) -> Iterator[Run]:
    """Yield the runs of a stretch on which the polynomial goes one way, or stays."""
    if direction == 0:
        yield Run(first, last, sign_of(value_at(polynomial, first)))
        return

    def rises_to(least: int) -> Callable[[int], bool]:
        return lambda point: sign_of(value_at(polynomial, point)) * direction >= least

    at = first
    for least, sign in ((0, -direction), (1, 0)):
        crossing = find_first(rises_to(least), at, last)
        if crossing is None:
            yield Run(at, last, sign)
            return
        if crossing > at:
            yield Run(at, crossing - 1, sign)
            at = crossing
    yield Run(at, last, direction)


def find_first(holds: Callable[[int], bool], first: int, last: int | None) -> int | None:
    """Return the first integer of ``first`` to ``last`` where a condition holds that never ceases to, or None.

    Without an end it must hold somewhere.
    """
    if holds(first):
        return first
    low, width = first, 1
    while True:
        high = low + width
        if last is not None and high >= last:
            if not holds(last):
                return None
            high = last
            break
        if holds(high):
            break
        low, width = high, 2 * width
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high


def list_roots(polynomial: Coefficients) -> list[sympy.Expr]:
    """Return the real roots of a polynomial of degree 1 or 2 in closed form; of others none."""
    numbers = [sympy.Rational(each.numerator, each.denominator) for each in polynomial]
    if len(numbers) == 2:
        return [-numbers[0] / numbers[1]]
    if len(numbers) != 3 or (under_root := numbers[1] ** 2 - 4 * numbers[0] * numbers[2]) < 0:
        return []
    return [(-numbers[1] + sign * sympy.sqrt(under_root)) / (2 * numbers[2]) for sign in (1, -1)]


def in_size(polynomial: Coefficients, points: Coefficients) -> Coefficients:
    """Return a polynomial in the number q of a cell's integers as one in the integers."""
    residue, modulus = points
    return substitute(polynomial, trim([Fraction(-residue) / modulus, Fraction(1) / modulus]))


def to_formula(polynomial: Coefficients, symbol: sympy.Symbol) -> sympy.Expr:
    """Return a polynomial as a formula."""
    return sympy.Add(
        *(sympy.Rational(each.numerator, each.denominator) * symbol**place for place, each in enumerate(polynomial))
    )
