"""Formulas on many cells at once: one polynomial a cell, as columns of integers with a row for each cell."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import repeat
from typing import TypeAlias

from attrs import frozen

from modelmeter.scaling import univariate
from modelmeter.scaling.terms import simplest

Column: TypeAlias = int | list[int]
"""A coefficient on all cells: one number where all have the same, else one for each."""


@frozen(eq=False)
class Columns:
    """A term on all cells: the coefficients of its polynomials in q times ``denominator``, lowest power first.

    Parameters
    ----------
    coefficients
        Of each power.
    denominator
        Positive.
    is_open
        The rows where it is not known; there the coefficients mean nothing.
    """

    coefficients: tuple[Column, ...]
    denominator: int = 1
    is_open: frozenset[int] = frozenset()

    def row(self, place: int) -> list[int]:
        """Return the coefficients of a cell, still times the denominator, without zeros at the end."""
        found = [each if isinstance(each, int) else each[place] for each in self.coefficients]
        while found and not found[-1]:
            found.pop()
        return found

    def polynomial(self, place: int) -> univariate.Coefficients | None:
        """Return the polynomial of a cell, or None where it is open."""
        if place in self.is_open:
            return None
        if self.denominator == 1:
            return tuple(self.row(place))
        return tuple(simplest(Fraction(each, self.denominator)) for each in self.row(place))


def find_signs_by_row(column: Columns, bounds: Sequence[tuple[int, int | None]]) -> list[int | None]:
    """Return the one sign of a term on each cell, given by its first and last q; None where it changes."""
    coefficients = column.coefficients
    if not coefficients:
        return [0] * len(bounds)
    if bounds and all(first >= 0 for first, _ in bounds):
        for sign, extreme in ((1, min), (-1, max)):  # most terms have one sign, and coefficients of it
            ends = [each if isinstance(each, int) else extreme(each) for each in coefficients]
            if ends[0] * sign > 0 and all(end * sign >= 0 for end in ends):
                return [sign] * len(bounds)
    rows = zip(*(spread(each, len(bounds)) for each in coefficients), strict=True)
    return [find_sign(row, first, last) for row, (first, last) in zip(rows, bounds, strict=True)]


def spread(column: Column, count: int) -> Iterable[int]:
    """Return a coefficient as one number for each cell."""
    return repeat(column, count) if isinstance(column, int) else column


def find_sign(coefficients: Sequence[int], first: int, last: int | None) -> int | None:
    """Return the one sign that a polynomial has on the integers ``first`` to ``last``, or None if it changes."""
    if not any(coefficients[1:]):
        return univariate.sign_of(coefficients[0] if coefficients else 0)
    if first >= 0 and coefficients[0] > 0 and min(coefficients) >= 0:
        return 1
    shifted = _shift_to(coefficients, first)
    if shifted[0] > 0 and min(shifted) >= 0:
        return 1
    if shifted[0] < 0 and max(shifted) <= 0:
        return -1
    runs = univariate.find_signs(univariate.trim(tuple(coefficients)), first, last)
    return runs[0].sign if len(runs) == 1 else None


def _shift_to(coefficients: Sequence[int], first: int) -> list[int]:
    """Return the coefficients of ``p(first + t)``, by repeated division by ``q - first``."""
    shifted = list(coefficients)
    if first:
        for start in range(len(shifted) - 1):
            for place in range(len(shifted) - 2, start - 1, -1):
                shifted[place] += first * shifted[place + 1]
    return shifted


def add(columns: Sequence[Column]) -> Column:
    """Return the sum of coefficients, cell by cell."""
    number = sum(each for each in columns if isinstance(each, int))
    lists = [each for each in columns if not isinstance(each, int)]
    if not lists:
        return number
    total = lists[0] if len(lists) == 1 else list(map(sum, zip(*lists, strict=True)))
    return [each + number for each in total] if number else total


def multiply(one: Column, other: Column) -> Column:
    """Return the product of two coefficients, cell by cell."""
    if isinstance(one, int):
        return one * other if isinstance(other, int) else _times(other, one)
    return _times(one, other) if isinstance(other, int) else [a * b for a, b in zip(one, other, strict=True)]


def _times(column: list[int], number: int) -> Column:
    if number in (0, 1):
        return column if number else 0
    return [each * number for each in column]


def join_open(parts: Sequence[Columns]) -> frozenset[int]:
    """Return the rows where any of some terms is not known."""
    return frozenset().union(*(part.is_open for part in parts))


def list_open(signs: Sequence[int | None]) -> frozenset[int]:
    """Return the rows whose sign is not known."""
    return frozenset(row for row, sign in enumerate(signs) if sign is None)


def scale(part: Columns, factor: int) -> Columns:
    """Return a term times a number."""
    return Columns(tuple(multiply(each, factor) for each in part.coefficients), part.denominator, part.is_open)
