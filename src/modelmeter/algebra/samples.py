"""Values of polynomials at sample points: most pairs of formulas have no order, and a point shows it at once."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from fractions import Fraction
from math import prod
from operator import mul
from random import Random

import sympy

from modelmeter.algebra.packed import Packed, unpack
from modelmeter.dimensions.evaluate import Evaluator, evaluate


class Samples:
    """Sample points, and what polynomials over ``generators`` are at them.

    Parameters
    ----------
    generators
        Sizes, and calls of integer functions on them.
    whole_quotients
        Those among them that are at least 1 at each point.
    """

    def __init__(self, generators: Sequence[sympy.Expr], whole_quotients: Collection[sympy.Expr]) -> None:
        self._columns = list(zip(*_make_points(generators, whole_quotients), strict=True))
        # By monomial: formulas that are compared have most of them in common.
        self._known: dict[int, list[int | Fraction]] = {}

    def evaluate(self, polynomial: Packed) -> list[int | Fraction]:
        """Return the values of a polynomial."""
        numbers = list(polynomial.terms.values())
        points = zip(*map(self._evaluate, polynomial.terms), strict=True) if numbers else [()] * _POINTS
        sums = [sum(map(mul, numbers, values)) for values in points]
        return sums if polynomial.denominator == 1 else [Fraction(each) / polynomial.denominator for each in sums]

    def _evaluate(self, monomial: int) -> list[int | Fraction]:
        if monomial not in self._known:
            values: list[int | Fraction] = [1] * _POINTS
            for column, power in zip(self._columns, unpack(monomial, len(self._columns)), strict=True):
                if power:
                    values = list(map(mul, values, (_raise(value, power) for value in column)))
            self._known[monomial] = values
        return self._known[monomial]


_POINTS = 48

_LARGE = 10**6


def _raise(value: int | Fraction, power: int) -> int | Fraction:
    return value**power if power > 0 else Fraction(value) ** power


def _make_points(
    generators: Sequence[sympy.Expr], whole_quotients: Collection[sympy.Expr]
) -> Iterator[list[int | Fraction]]:
    """Yield values of the generators: small sizes, large ones, and both; each of ``whole_quotients`` is at least 1.

    Every other point has multiples of the numbers in the generators, at which quotients are whole and brackets close;
    of the others, every other has some sizes that are 1 and some beside which all else is small.
    """
    symbols = sorted({symbol.name for generator in generators for symbol in generator.free_symbols})
    numbers = sorted({1, *(int(number) for generator in generators for number in generator.atoms(sympy.Integer))} - {0})
    ordered_quotients = [generator for generator in generators if generator in whole_quotients]
    for seed in range(_POINTS):
        random = Random(seed)
        if seed % 2:
            sizes = {
                name: prod(random.choices(numbers, k=random.randint(0, 3))) * random.randint(1, 5) for name in symbols
            }
        elif seed % 4:
            sizes = {name: random.choice((1, random.choice(numbers), _LARGE)) for name in symbols}
        else:
            sizes = {name: random.randint(1, 4 ** random.randint(1, 6)) for name in symbols}
        for quotient in ordered_quotients:
            if evaluate(quotient, sizes) == 0:
                sizes[quotient.args[0].name] += int(evaluate(quotient.args[1], sizes))
        yield [*map(Evaluator(sizes), generators)]
