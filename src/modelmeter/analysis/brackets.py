"""Polynomials in which some symbols are brackets, which are 0 or 1: a canonical form of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import sympy

from modelmeter.algebra.expansion import Expansion
from modelmeter.algebra.polynomials import Polynomials, read_polynomials
from modelmeter.dimensions.functions import BRACKETS, Differs, Equals, Size
from modelmeter.dimensions.symbols import ANY_LAYER, Dimensions


def multiply_out(sizes: Iterable[Size], *, dimensions: Dimensions = ANY_LAYER) -> list[sympy.Expr]:
    """Return sizes multiplied out, equal ones as equal expressions; brackets are 0 or 1."""
    read = read_polynomials([sympy.sympify(size) for size in sizes], dimensions=dimensions)
    brackets = find_brackets(read)
    return [flatten(polynomial, brackets).as_expr() for polynomial in read.outputs]


def flatten(polynomial: Expansion, brackets: Mapping[int, int | None]) -> Expansion:
    """Return the polynomial with every bracket to the first power only, and without those that make no difference.

    A bracket is 0 or 1. What stands beside a bracket and beside its opposite stands beside neither.
    """
    used = [place for place in brackets if any(exponents[place] for exponents in polynomial.terms)]
    terms: dict[tuple[int, ...], int] = {}
    for exponents, coefficient in polynomial.terms.items():
        once = _replace(exponents, {place: min(exponents[place], 1) for place in used})
        terms[once] = terms.get(once, 0) + coefficient
    for place in used:
        opposite = brackets[place]
        if opposite is None:
            continue
        for exponents in [exponents for exponents in terms if exponents[place]]:
            if exponents[opposite]:
                del terms[exponents]  # both are never 1
                continue
            other = _replace(exponents, {place: 0, opposite: 1})
            shared = min(terms[exponents], terms.get(other, 0))
            if shared > 0:
                plain = _replace(exponents, {place: 0})
                terms[plain] = terms.get(plain, 0) + shared
                terms[exponents] -= shared
                terms[other] -= shared
    return polynomial.replace(terms.items(), polynomial.denominator)


def _replace(exponents: tuple[int, ...], powers: Mapping[int, int]) -> tuple[int, ...]:
    replaced = list(exponents)
    for place, power in powers.items():
        replaced[place] = power
    return tuple(replaced)


def find_brackets(read: Polynomials) -> dict[int, int | None]:
    """Return the places of the brackets; with that of an inequality, that of the bracket that is 1 where it is 0."""
    places = {generator: place for place, generator in enumerate(read.generators)}
    return {
        place: places.get(Equals(*bracket.args)) if isinstance(bracket, Differs) else None
        for bracket, place in places.items()
        if isinstance(bracket, BRACKETS)
    }
