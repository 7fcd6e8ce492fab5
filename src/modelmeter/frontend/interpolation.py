"""Exact formulas through counts: linear in given terms, solved in rational numbers, and checked at points beside."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Final, TypeAlias

import sympy
from sympy import QQ
from sympy.polys.matrices import DomainMatrix

from modelmeter.dimensions.functions import Size
from modelmeter.support.errors import CountError

Number: TypeAlias = int | Fraction


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
        self._rows = [evaluate_terms(terms, point) for point in points]
        self._chosen, self._inverse, self._denominator = _invert(self._rows)
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
        chosen, common = [values[row] for row in self._chosen], self._denominator
        solution = [sum(a * b for a, b in zip(row, chosen, strict=True)) for row in self._inverse]
        for row, value in zip(self._rows, values, strict=True):
            if sum(a * b for a, b in zip(row, solution, strict=True)) != common * value:
                raise CountError("a count is no sum of the terms of its card", place=place, found=value)
        total = sympy.Add(
            *(sympy.Rational(a, common) * term for a, term in zip(solution, self._terms, strict=True) if a)
        )
        return int(total) if total.is_Integer else sympy.expand(total)


_PRIME: Final = 2**61 - 1


class IndependentRows:
    """Rows of numbers of which none is a combination of those before it, found one by one.

    They are told apart modulo a prime: what is independent there is so in rational numbers, too.
    """

    def __init__(self) -> None:
        self._reduced: dict[int, list[int]] = {}

    def __len__(self) -> int:
        """How many were taken."""
        return len(self._reduced)

    def add(self, row: Sequence[Number]) -> bool:
        """Take a row, and tell whether it is independent of those before."""
        rest = [value.numerator * pow(value.denominator, -1, _PRIME) % _PRIME for value in row]
        for pivot, reduced in self._reduced.items():
            if factor := rest[pivot]:
                rest = [(value - factor * known) % _PRIME for value, known in zip(rest, reduced, strict=True)]
        for pivot, value in enumerate(rest):
            if value:
                inverse = pow(value, -1, _PRIME)
                self._reduced[pivot] = [each * inverse % _PRIME for each in rest]
                return True
        return False


def evaluate_terms(terms: Sequence[sympy.Expr], point: Mapping[str, int]) -> list[Number]:
    """Return the value of each term at a point."""
    return [_evaluate(term, point) for term in terms]


def _evaluate(term: sympy.Expr, point: Mapping[str, int]) -> Number:
    value = term.xreplace({symbol: sympy.Integer(point[symbol.name]) for symbol in term.free_symbols})
    return int(value) if value.is_Integer else Fraction(int(value.p), int(value.q))


def _invert(rows: Sequence[Sequence[Number]]) -> tuple[list[int], list[list[int]], int]:
    """Return the first rows that are independent, as many as there are columns, and the inverse of their matrix.

    The inverse is of integers over a denominator, which comes last.
    """
    width, independent = len(rows[0]), IndependentRows()
    chosen = [number for number, row in enumerate(rows) if independent.add(row)]
    if len(chosen) < width:
        raise CountError(
            "the points do not tell the terms of a card apart", expected=f"{width} terms", found=len(chosen)
        )
    numbers = [[QQ(value.numerator, value.denominator) for value in rows[row]] for row in chosen]
    inverse = DomainMatrix(numbers, (width, width), QQ).inv().to_list()
    common = math.lcm(*(int(value.denominator) for row in inverse for value in row))
    return (
        chosen,
        [[int(value.numerator) * (common // int(value.denominator)) for value in row] for row in inverse],
        common,
    )
