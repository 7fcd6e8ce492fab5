"""Formulas factored for people: what all terms share in front, what belongs together in brackets."""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, compress, permutations
from math import comb, gcd

import sympy

from modelmeter.algebra.expansion import Expansion, Exponents
from modelmeter.algebra.polynomials import read_polynomials
from modelmeter.dimensions.functions import Size
from modelmeter.dimensions.symbols import ANY_LAYER, Dimensions

Terms = Mapping[Exponents, int]
"""Coefficients by exponents, the largest exponents first."""


def factor_readably(formula: Size, dimensions: Dimensions = ANY_LAYER) -> sympy.Expr:
    """Return ``formula`` with common factors taken out, and with differences of sizes kept whole.

    Of a sum, the size in most of its terms is taken out with all that these terms share, and again from
    what is left. Where ``a - b`` counts something, such as the layers that are not dense, it stays a
    factor; ``a`` and ``b`` have one unit then. The result depends on the formula only, and
    :func:`~modelmeter.algebra.polynomials.prove_equal` holds for the two. The order of the sizes and their units are
    those of ``dimensions``.

    Raises
    ------
    FormulaError
        If the formula is not made of exact sums, products, powers and integer functions.
    """
    read = read_polynomials((formula,), dimensions=dimensions)
    return factor_polynomial(read.generators, read.outputs[0], dimensions)


def factor_polynomial(
    unknowns: Sequence[sympy.Expr], formula: Expansion, dimensions: Dimensions = ANY_LAYER
) -> sympy.Expr:
    """Return a polynomial in ``unknowns`` as :func:`factor_readably` does its formula."""
    terms = formula.terms
    generators = list(unknowns)
    units = {
        place: dimensions.describe(size.name).unit
        for place, size in enumerate(generators)
        if size.is_Symbol and size.name in dimensions.ranks
    }
    pairs = [(one, other) for one, other in permutations(units, 2) if units[one] == units[other]]
    while pair := next(_differences(terms, pairs), None):
        minuend, subtrahend = pair
        terms = _write_as_rest(terms, minuend, subtrahend)
        generators[minuend] -= unknowns[subtrahend]
    return _factor(terms, generators) / formula.denominator


def _factor(terms: Terms, generators: Sequence[sympy.Expr]) -> sympy.Expr:
    """Return the sum of products; its summands are added at once, as sympy sorts those of every sum anew."""
    return sympy.Add(*_list_summands(terms, generators))


def _list_summands(terms: Terms, generators: Sequence[sympy.Expr]) -> Iterator[sympy.Expr]:
    common = tuple(map(min, *terms)) if len(terms) > 1 else ()
    if any(common):
        content = gcd(*terms.values())
        inner = {
            tuple(map(operator.sub, exponents, common)): coefficient // content
            for exponents, coefficient in terms.items()
        }
        yield sympy.Mul(content, *_list_powers(common, generators), _factor(inner, generators))
        return
    places = range(len(generators))
    occurrences = Counter(chain.from_iterable(compress(places, exponents) for exponents in terms))
    most = max(occurrences, key=lambda place: (occurrences[place], -place), default=0)
    if occurrences[most] < 2:
        yield from (sympy.Mul(number, *_list_powers(powers, generators)) for powers, number in terms.items())
        return
    having = {exponents: coefficient for exponents, coefficient in terms.items() if exponents[most]}
    others = {exponents: coefficient for exponents, coefficient in terms.items() if not exponents[most]}
    yield _factor(having, generators)
    yield from _list_summands(others, generators)


def _list_powers(exponents: Exponents, generators: Sequence[sympy.Expr]) -> Iterator[sympy.Expr]:
    factors = compress(zip(generators, exponents, strict=True), exponents)  # most exponents are 0
    return (generator if exponent == 1 else generator**exponent for generator, exponent in factors)


def _differences(terms: Terms, pairs: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Yield those (a, b) of ``pairs`` for which, written in a - b and b, fewer terms are negative."""
    negative = [exponents for exponents, coefficient in terms.items() if coefficient < 0]
    for exponents in negative:
        for minuend, subtrahend in pairs:
            if not exponents[subtrahend]:
                continue
            # - m b comes from m (a - b), so there must be a term m a.
            partner = list(exponents)
            partner[subtrahend] -= 1
            partner[minuend] += 1
            if terms.get(tuple(partner), 0) > 0 and all(exponents[minuend] >= 0 for exponents in terms):
                rewritten = _write_as_rest(terms, minuend, subtrahend)
                if sum(coefficient < 0 for coefficient in rewritten.values()) < len(negative):
                    yield minuend, subtrahend


def _write_as_rest(terms: Terms, minuend: int, subtrahend: int) -> Terms:
    """Return the polynomial with the minuend's place taken by the difference d: a^n is (d + b)^n."""
    rewritten: dict[Exponents, int] = {}
    for exponents, coefficient in terms.items():
        power = exponents[minuend]
        for taken in range(power + 1):
            powers = list(exponents)
            powers[minuend] -= taken
            powers[subtrahend] += taken
            key = tuple(powers)
            rewritten[key] = rewritten.get(key, 0) + comb(power, taken) * coefficient
    return dict(sorted(((key, coefficient) for key, coefficient in rewritten.items() if coefficient), reverse=True))
