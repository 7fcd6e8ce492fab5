"""Proves that one formula is never less than another, from the signs of the coefficients of their difference."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import product
from math import prod
from random import Random
from typing import Any, Literal

import sympy
from sympy.polys.rings import PolyElement

from modelmeter.algebra.polynomials import Polynomials
from modelmeter.core.evaluate import evaluate
from modelmeter.core.functions import BRACKETS, CeilDiv, Exceeds, FloorDiv
from modelmeter.core.size_rules import Rule

Bound = Literal["upper", "lower", "mixed"]
"""What may replace a generator: something larger or smaller; mixed, what is at least 1 and at least a quotient is
replaced by a mean of the two."""

_ATTEMPTS: tuple[tuple[Bound, ...], ...] = ((), ("upper",), ("upper", "lower"), ("upper", "lower", "mixed"))


_LARGE = 10**6


class Ordering:
    """Compares polynomials over the generators of ``read``.

    Every size is an integer that is not negative. What is between two bounds is replaced by the one that makes a
    difference smallest; what is at least 1 is written as 1 and a rest: positive sizes, and a size by another that a
    rule declares to be no larger. If no term is negative then, the difference is not. A proof may fail where the
    order holds: only what is proved is used.

    Parameters
    ----------
    read
        The polynomials.
    rules
        What holds between the sizes, by name; a size that is a number in the polynomials is one here too.
    """

    def __init__(self, read: Polynomials, *, rules: Iterable[Rule] = ()) -> None:
        self._read = read
        declared = tuple(rules)
        self._whole_quotients = {call for call in read.arguments if _is_whole(call, declared)}
        self._ring = read.outputs[0].ring
        self._points = list(_make_points(read.generators, self._whole_quotients))
        self._samples: dict[PolyElement, list[int | Fraction]] = {}
        self._unknowns = dict(zip(read.generators, self._ring.gens, strict=True))
        self._places = {generator: place for place, generator in enumerate(read.generators)}
        self._brackets = {place for generator, place in self._places.items() if isinstance(generator, BRACKETS)}
        # A call comes before those in its arguments, which its bounds are made of.
        self._calls = sorted(read.arguments, key=lambda call: (-_depth(call), str(call)))
        # The dividends that are symbols, each with a quotient: x < b (floor(x / b) + 1).
        self._quotients = {
            call.args[0]: call for call in self._calls if isinstance(call, FloorDiv) and call.args[0].is_Symbol
        }

    def is_at_least(self, larger: PolyElement, smaller: PolyElement) -> bool:
        """Tell whether ``larger >= smaller`` is proved for all sizes."""
        if any(one < other for one, other in zip(self._sample(larger), self._sample(smaller), strict=True)):
            return False  # most pairs have no order, and a proof that fails is slow
        rest = larger - smaller
        units = dict(self._find_units(rest))
        # Bounds lose something, so the proof is tried with few of them first.
        return any(self._is_never_negative(rest, units, bounds) for bounds in _ATTEMPTS)

    def _sample(self, polynomial: PolyElement) -> list[int | Fraction]:
        """Return the values of a polynomial at the sample points."""
        if polynomial not in self._samples:
            terms = [
                (_to_number(coefficient), [(place, exponents[place]) for place in _support(exponents)])
                for exponents, coefficient in polynomial.items()
            ]
            self._samples[polynomial] = [
                sum(
                    coefficient * prod(point[place] ** power for place, power in powers)
                    for coefficient, powers in terms
                )
                for point in self._points
            ]
        return self._samples[polynomial]

    def _is_never_negative(
        self, rest: PolyElement, units: Mapping[int, PolyElement], bounds: Collection[Bound]
    ) -> bool:
        """Try a proof with such bounds."""
        for generator in (*self._calls, *self._quotients):
            rest = self._put_bound(rest, generator, units, bounds)
        rest = _clear_divisors(rest)
        if not has_no_negative(rest):
            if self._is_hopeless(rest, units):
                return False
            # Only what is in a term that adds can make up for a term that takes away.
            added = {place for powers, coefficient in rest.items() if coefficient > 0 for place in _support(powers)}
            for place, unknown in units.items():
                if place in added:
                    rest = _substitute(rest, place, unknown + 1)
        for call in self._calls:
            if isinstance(call, BRACKETS):  # a term that was mixed may have one sign now
                rest = self._put_bound(rest, call, units, bounds)
        return has_no_negative(rest)

    def _is_hopeless(self, rest: PolyElement, units: Collection[int]) -> bool:
        """Tell, faster than by trying, that a proof fails for a polynomial whose bounds are put in.

        Where a term takes away, no other adds a multiple of it by units. Or the sum is negative at some corner: where
        all brackets are open or closed, and the other unknowns as small as they may be or large.
        """
        added = [powers for powers, coefficient in rest.items() if coefficient > 0]
        for powers, coefficient in rest.items():
            if coefficient < 0 and not any(self._is_multiple(other, powers, units) for other in added):
                return True
        terms = [
            (coefficient, [(place, powers[place]) for place in _support(powers)])
            for powers, coefficient in rest.items()
        ]
        return any(
            sum(coefficient * prod(corner[place] ** power for place, power in powers) for coefficient, powers in terms)
            < 0
            for corner in self._corners(units)
        )

    def _is_multiple(self, powers: Sequence[int], of: Sequence[int], units: Collection[int]) -> bool:
        """Tell whether a term is another times units, whatever the brackets in both."""
        return all(
            power == other or place in self._brackets or (power > other and place in units)
            for place, (power, other) in enumerate(zip(powers, of, strict=True))
        )

    def _corners(self, units: Collection[int]) -> Iterator[list[int]]:
        for bracket, unit, other in product((0, 1), (1, _LARGE), (0, 1, _LARGE)):
            yield [
                bracket if place in self._brackets else unit if place in units else other
                for place in range(len(self._unknowns))
            ]

    def _find_units(self, rest: PolyElement) -> Iterator[tuple[int, PolyElement]]:
        """Yield the places and unknowns that are at least 1, or may be taken so because ``rest`` is 0 otherwise."""
        positive = {generator for generator in self._unknowns if generator.is_Symbol and generator.is_positive}
        positive.update(self._whole_quotients)
        for call in self._calls:
            if isinstance(call, Exceeds) and all(exponents[self._places[call]] for exponents in rest):
                positive.update(sympy.Mul.make_args(call.args[0]))  # a product that exceeds something is not 0
        for call in reversed(self._calls):
            if isinstance(call, CeilDiv) and self._is_positive(self._read.arguments[call][0], positive):
                positive.add(call)
        for place, (generator, unknown) in enumerate(self._unknowns.items()):
            if generator in positive:
                yield place, unknown

    def _is_positive(self, polynomial: PolyElement, positive: Collection[sympy.Expr]) -> bool:
        """Tell whether some term of a polynomial without negative ones is made of positive generators only."""
        return has_no_negative(polynomial) and any(
            all(self._read.generators[place] in positive for place in _support(exponents)) for exponents in polynomial
        )

    def _put_bound(
        self, rest: PolyElement, generator: sympy.Expr, units: Mapping[int, PolyElement], bounds: Collection[Bound]
    ) -> PolyElement:
        """Return something that is at most ``rest``, without ``generator`` if it only adds or only takes away."""
        place = self._places[generator]
        signs = {coefficient > 0 for exponents, coefficient in rest.items() if exponents[place]}
        if len(signs) != 1 or (needed := "lower" if signs == {True} else "upper") not in bounds:
            return rest
        bound = self._lower_bound(generator) if needed == "lower" else self._upper_bound(generator)
        if bound is None:
            return rest
        if needed == "lower" and "mixed" in bounds and isinstance(generator, CeilDiv) and place in units:
            return _put_mixed(rest, place, bound)
        return _substitute(rest, place, bound)

    def _lower_bound(self, generator: sympy.Expr) -> PolyElement | None:
        if isinstance(generator, BRACKETS):
            return self._ring.zero
        if isinstance(generator, CeilDiv):
            return self._divide(*self._read.arguments[generator])
        return None

    def _upper_bound(self, generator: sympy.Expr) -> PolyElement | None:
        if isinstance(generator, BRACKETS):
            return self._ring.one
        if isinstance(generator, FloorDiv):
            return self._divide(*self._read.arguments[generator])
        if isinstance(generator, CeilDiv):
            dividend, divisor = self._read.arguments[generator]
            return self._divide(dividend + divisor - 1, divisor)
        if generator in self._quotients:
            quotient = self._quotients[generator]
            _, divisor = self._read.arguments[quotient]
            return divisor * self._unknowns[quotient] + divisor - 1
        return None

    def _divide(self, dividend: PolyElement, divisor: PolyElement) -> PolyElement | None:
        """Return the quotient where the divisor is one term; exponents may be negative."""
        if len(divisor) != 1:
            return None
        ((exponents, coefficient),) = divisor.terms()
        return dividend * self._ring.from_dict({tuple(-exponent for exponent in exponents): 1 / coefficient})


def has_no_negative(polynomial: PolyElement) -> bool:
    """Tell whether no term is negative; then no value is, since no size is."""
    return all(coefficient >= 0 for coefficient in polynomial.coeffs())


def _is_whole(generator: sympy.Expr, rules: Iterable[Rule]) -> bool:
    """Tell whether a generator is ``floor(x / b)`` of a size ``x`` that a rule declares to be at least ``b``."""
    if not (isinstance(generator, FloorDiv) and generator.args[0].is_Symbol):
        return False
    dividend, divisor = generator.args
    return any(rule.b == dividend.name and _bounds_below(rule, dividend, divisor) for rule in rules)


def _bounds_below(rule: Rule, size: sympy.Symbol, least: sympy.Expr) -> bool:
    """Tell whether a rule on ``size`` makes it at least ``least``."""
    if rule.relation == "zero_together" or (rule.relation != "at_most" and not size.is_positive):
        return False  # 0 is a multiple of everything
    if isinstance(rule.a, int):
        return bool(least.is_Integer) and rule.a >= int(least)
    return bool(least.is_Symbol) and rule.a == least.name


def _make_points(
    generators: Sequence[sympy.Expr], whole_quotients: Collection[sympy.Expr]
) -> Iterator[list[int | Fraction]]:
    """Yield values of the generators: small sizes, large ones, and both; each of ``whole_quotients`` is at least 1.

    Every other point has multiples of the numbers in the generators, at which quotients are whole and brackets close.
    """
    symbols = sorted({symbol.name for generator in generators for symbol in generator.free_symbols})
    numbers = sorted({1, *(int(number) for generator in generators for number in generator.atoms(sympy.Integer))} - {0})
    for seed in range(48):
        random = Random(seed)
        if seed % 2:
            sizes = {
                name: prod(random.choices(numbers, k=random.randint(0, 3))) * random.randint(1, 5) for name in symbols
            }
        else:
            sizes = {name: random.randint(1, 4 ** random.randint(1, 6)) for name in symbols}
        for generator in generators:
            if generator in whole_quotients and evaluate(generator, sizes) == 0:
                sizes[generator.args[0].name] += int(evaluate(generator.args[1], sizes))
        yield [evaluate(generator, sizes) for generator in generators]


def _substitute(polynomial: PolyElement, place: int, value: PolyElement) -> PolyElement:
    """Return the polynomial with a value for the unknown at a place, which each power of it is multiplied with once."""
    by_power: dict[int, dict[tuple[int, ...], object]] = {}
    for exponents, coefficient in polynomial.items():
        others = (*exponents[:place], 0, *exponents[place + 1 :])
        by_power.setdefault(exponents[place], {})[others] = coefficient
    total = polynomial.ring.from_dict(by_power.pop(0, {}))
    for power, terms in by_power.items() if value else ():
        total += polynomial.ring.from_dict(terms) * value**power
    return total


def _put_mixed(polynomial: PolyElement, place: int, quotient: PolyElement) -> PolyElement:
    """Return the polynomial with a mean of 1 and of powers of ``quotient`` for each power of an unknown.

    The unknown is at least 1 and at least the quotient, so its k-th power is at least each of 1, q, ..., q^k.
    """
    ring = polynomial.ring
    mixed = ring.zero
    for exponents, coefficient in polynomial.items():
        power = exponents[place]
        others = ring.from_dict({(*exponents[:place], 0, *exponents[place + 1 :]): coefficient})
        powers = sum((quotient**lower for lower in range(1, power + 1)), start=ring.zero)
        mixed += others if not power else others * (1 + powers * ring.domain(1, power)) * ring.domain(1, 2)
    return mixed


def _to_number(coefficient: Any) -> int | Fraction:
    """Return a coefficient of the ring."""
    numerator, denominator = int(coefficient.numerator), int(coefficient.denominator)
    return numerator if denominator == 1 else Fraction(numerator, denominator)


def _clear_divisors(polynomial: PolyElement) -> PolyElement:
    """Return the polynomial times all that it divides by: its sign stays."""
    lowest = [min(0, *powers) for powers in zip(*polynomial, strict=True)]
    if not any(lowest):
        return polynomial
    return polynomial * polynomial.ring.from_dict({tuple(-power for power in lowest): polynomial.ring.domain.one})


def _support(exponents: tuple[int, ...]) -> Iterator[int]:
    """Yield the places of the unknowns in a term."""
    return (place for place, power in enumerate(exponents) if power)


def _depth(expression: sympy.Expr) -> int:
    return 1 + max(map(_depth, expression.args), default=0)
