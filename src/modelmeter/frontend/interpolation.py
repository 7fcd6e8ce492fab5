"""Exact formulas through counts: linear in given terms, solved in rational numbers, and checked at points beside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import sympy
from sympy import QQ
from sympy.polys.matrices import DomainMatrix

from modelmeter.dimensions.functions import Size
from modelmeter.support.errors import CountError


class Interpolation:
    """Solves for the coefficients of ``terms`` from values at ``points``, of which there are more than terms.

    Parameters
    ----------
    terms
        Formulas in symbols.
    points
        A number for each symbol, by its name.
    meanings
        What symbols of the terms stand for in the formulas that are returned.

    Raises
    ------
    CountError
        If the points do not tell the terms apart.
    """

    def __init__(
        self,
        terms: Sequence[sympy.Expr],
        points: Sequence[Mapping[str, int]],
        meanings: Mapping[sympy.Symbol, sympy.Expr] | None = None,
    ) -> None:
        self._terms = [term.xreplace(dict(meanings or {})) for term in terms]
        self._rows = [[_evaluate(term, point) for term in terms] for point in points]
        self._chosen, self._inverse = _invert(self._rows)
        self._known: dict[tuple[int, ...], Size] = {}

    def fit(self, values: Sequence[int], place: str) -> Size:
        """Return the formula with these values at the points.

        Raises
        ------
        CountError
            If no combination of the terms has all of them.
        """
        key = tuple(values)
        if key not in self._known:
            self._known[key] = self._solve(key, place)
        return self._known[key]

    def _solve(self, values: tuple[int, ...], place: str) -> Size:
        if not any(values):
            return 0
        chosen = [values[row] for row in self._chosen]
        solution = [sum(a * b for a, b in zip(row, chosen, strict=True)) for row in self._inverse]
        for row, value in zip(self._rows, values, strict=True):
            if sum(a * b for a, b in zip(row, solution, strict=True)) != value:
                raise CountError("a count is no sum of the terms of its card", place=place, found=value)
        total = sympy.Add(
            *(sympy.Rational(a.numerator, a.denominator) * term for a, term in zip(solution, self._terms, strict=True))
        )
        return int(total) if total.is_Integer else sympy.expand(total)


def count_independent(terms: Sequence[sympy.Expr], points: Sequence[Mapping[str, int]]) -> int:
    """Return how many of ``terms`` the points tell apart."""
    rows = [[_evaluate(term, point) for term in terms] for point in points]
    return len(_choose_rows(rows)[1])


def _evaluate(term: sympy.Expr, point: Mapping[str, int]) -> Fraction:
    value = term.xreplace({symbol: sympy.Integer(point[symbol.name]) for symbol in term.free_symbols})
    return Fraction(int(value.p), int(value.q))


def _invert(rows: Sequence[Sequence[Fraction]]) -> tuple[list[int], list[list[Fraction]]]:
    """Return rows that are independent, as many as there are columns, and the inverse of their matrix."""
    width = len(rows[0])
    numbers, chosen = _choose_rows(rows)
    if len(chosen) < width:
        raise CountError(
            "the points do not tell the terms of a card apart", expected=f"{width} terms", found=len(chosen)
        )
    inverse = DomainMatrix([numbers[row] for row in chosen], (width, width), QQ).inv()
    return list(chosen), [
        [Fraction(int(value.numerator), int(value.denominator)) for value in row] for row in inverse.to_list()
    ]


def _choose_rows(rows: Sequence[Sequence[Fraction]]) -> tuple[list[list[Any]], tuple[int, ...]]:
    """Return the rows as rational numbers of sympy, and which of them are independent."""
    numbers = [[QQ(value.numerator, value.denominator) for value in row] for row in rows]
    chosen: tuple[int, ...] = DomainMatrix(numbers, (len(rows), len(rows[0])), QQ).transpose().rref()[1]
    return numbers, chosen
