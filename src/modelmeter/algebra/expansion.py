"""A formula multiplied out: its terms by their exponents, in integers only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from math import gcd, lcm
from typing import Self, TypeAlias

import sympy
from attrs import frozen

Exponents: TypeAlias = tuple[int, ...]
"""Those of each generator in a term, in their order; of a quotient they are negative."""


@frozen(eq=False, slots=False)
class Expansion:
    """A polynomial over some generators; the same one has the same terms and denominator. Make it by :meth:`of`.

    Parameters
    ----------
    generators
        Symbols, and calls of integer functions.
    terms
        An integer other than 0 by exponents, the largest exponents first, those of the first generators before others.
    denominator
        What all of the terms are divided by: the least integer that does.
    """

    generators: tuple[sympy.Expr, ...]
    terms: Mapping[Exponents, int]
    denominator: int = 1

    @classmethod
    def of(
        cls, generators: tuple[sympy.Expr, ...], terms: Iterable[tuple[Exponents, int]], denominator: int = 1
    ) -> Self:
        """Return the polynomial of these terms, whose exponents differ."""
        kept = dict(sorted(((exponents, number) for exponents, number in terms if number), reverse=True))
        common = 1 if denominator == 1 else gcd(denominator, *kept.values())
        if common != 1:
            kept = {exponents: number // common for exponents, number in kept.items()}
        return cls(generators, kept, denominator // common)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Expansion):
            return NotImplemented
        return self is other or (
            self._hash == other._hash
            and self.denominator == other.denominator
            and self.terms == other.terms
            and self.generators == other.generators
        )

    def __hash__(self) -> int:
        return self._hash

    def __bool__(self) -> bool:
        return bool(self.terms)

    def __sub__(self, other: Expansion) -> Expansion:
        denominator = lcm(self.denominator, other.denominator)
        times, other_times = denominator // self.denominator, denominator // other.denominator
        terms = {exponents: number * times for exponents, number in self.terms.items()}
        for exponents, number in other.terms.items():
            terms[exponents] = terms.get(exponents, 0) - number * other_times
        return self.replace(terms.items(), denominator)

    def replace(self, terms: Iterable[tuple[Exponents, int]], denominator: int) -> Expansion:
        """Return another polynomial over the same generators."""
        return Expansion.of(self.generators, terms, denominator)

    def as_expr(self) -> sympy.Expr:
        """Return the formula."""
        return sympy.Add(
            *(
                sympy.Mul(
                    sympy.Rational(number, self.denominator),
                    *(base**power for base, power in zip(self.generators, exponents, strict=True) if power),
                )
                for exponents, number in self.terms.items()
            )
        )

    @cached_property
    def _hash(self) -> int:
        return hash((self.denominator, frozenset(self.terms.items())))
