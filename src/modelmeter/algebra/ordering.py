"""Proves that one formula is never less than another, from the signs of the coefficients of their difference."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from fractions import Fraction
from itertools import product
from operator import lt
from typing import Literal

import sympy

from modelmeter.algebra.expansion import Expansion
from modelmeter.algebra.packed import (
    Multiples,
    Packed,
    add,
    clear_divisors,
    find_used,
    invert,
    multiply,
    pack,
    pack_number,
    pack_unknown,
    raise_to,
    split_powers,
    substitute,
    unpack,
)
from modelmeter.algebra.polynomials import Polynomials
from modelmeter.algebra.samples import Samples
from modelmeter.dimensions.functions import BRACKETS, CeilDiv, Exceeds, FloorDiv
from modelmeter.dimensions.size_rules import Rule

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
        declared = tuple(rules)
        self._generators = read.generators
        self._count = len(read.generators)
        self._places = {generator: place for place, generator in enumerate(read.generators)}
        self._arguments = {call: tuple(map(_pack, arguments)) for call, arguments in read.arguments.items()}
        self._whole_quotients = {call for call in read.arguments if _is_whole(call, declared)}
        self._samples = Samples(read.generators, self._whole_quotients)
        self._packed: dict[Expansion, Packed] = {}
        self._values: dict[Expansion, list[int | Fraction]] = {}
        self._brackets = {place for generator, place in self._places.items() if isinstance(generator, BRACKETS)}
        # A call comes before those in its arguments, which its bounds are made of.
        self._calls = sorted(read.arguments, key=lambda call: (-_depth(call), str(call)))
        # The dividends that are symbols, each with a quotient: x < b (floor(x / b) + 1).
        self._quotients = {
            call.args[0]: call for call in self._calls if isinstance(call, FloorDiv) and call.args[0].is_Symbol
        }
        self._upper = [self._find_upper_bound(generator) for generator in read.generators]
        self._lower = [self._find_lower_bound(generator) for generator in read.generators]

    def is_at_least(self, larger: Expansion, smaller: Expansion) -> bool:
        """Tell whether ``larger >= smaller`` is proved for all sizes."""
        if any(map(lt, self._sample(larger), self._sample(smaller))):
            return False  # most pairs have no order, and a proof that fails is slow
        rest = add((self._pack(larger), multiply((self._pack(smaller), pack_number(-1, 1)))))
        units = self._find_units(rest)
        # Bounds lose something, so the proof is tried with few of them first.
        return any(self._is_never_negative(rest, units, bounds) for bounds in _ATTEMPTS)

    def has_larger_terms(self, larger: Expansion, smaller: Expansion) -> bool:
        """Tell, faster than by :meth:`is_at_least`, whether no term of the difference is negative."""
        one, other = self._pack(larger), self._pack(smaller)
        times, other_times = other.denominator, one.denominator
        return all(
            one.terms.get(monomial, 0) * times >= number * other_times for monomial, number in other.terms.items()
        ) and all(number > 0 or monomial in other.terms for monomial, number in one.terms.items())

    def _pack(self, polynomial: Expansion) -> Packed:
        if polynomial not in self._packed:
            self._packed[polynomial] = _pack(polynomial)
        return self._packed[polynomial]

    def _sample(self, polynomial: Expansion) -> list[int | Fraction]:
        """Return the values of a polynomial at the sample points."""
        if polynomial not in self._values:
            self._values[polynomial] = self._samples.evaluate(self._pack(polynomial))
        return self._values[polynomial]

    def _is_never_negative(self, rest: Packed, units: set[int], bounds: Collection[Bound]) -> bool:
        """Try a proof with such bounds."""
        rest = self._put_bounds(rest, (*self._calls, *self._quotients), units, bounds)
        rest = clear_divisors(rest, self._count)
        if not _has_no_negative(rest):
            if self._is_hopeless(rest, units):
                return False
            # Only what is in a term that adds can make up for a term that takes away.
            added = find_used([rest._replace(terms=_take_positive(rest))], self._count)
            for place in sorted(units & added):
                rest = substitute(rest, place, self._count, add((pack_unknown(place), pack_number(1, 1))))
        # A term that was mixed may have one sign now.
        brackets = [call for call in self._calls if isinstance(call, BRACKETS)]
        return _has_no_negative(self._put_bounds(rest, brackets, units, bounds))

    def _is_hopeless(self, rest: Packed, units: set[int]) -> bool:
        """Tell, faster than by trying, that a proof fails for a polynomial whose bounds are put in.

        Where a term takes away, no other adds a multiple of it by units. Or the sum is negative at some corner: where
        all brackets are open or closed, and the other unknowns as small as they may be or large.
        """
        multiples = Multiples(self._count, by=units, ignored=self._brackets)
        added = _take_positive(rest)
        for monomial, number in rest.terms.items():
            if number < 0 and not any(multiples.holds(other, monomial) for other in added):
                return True
        terms = [(number, *self._sort_powers(monomial, units)) for monomial, number in rest.terms.items()]
        return any(
            sum(number * bracket**brackets * unit**powers * other**others for number, brackets, powers, others in terms)
            < 0
            for bracket, unit, other in product((0, 1), (1, _LARGE), (0, 1, _LARGE))
        )

    def _sort_powers(self, monomial: int, units: set[int]) -> tuple[int, int, int]:
        """Return how many factors of a term are brackets, units and others."""
        powers = {place: power for place, power in enumerate(unpack(monomial, self._count)) if power}
        brackets = sum(power for place, power in powers.items() if place in self._brackets)
        of_units = sum(power for place, power in powers.items() if place in units and place not in self._brackets)
        return brackets, of_units, sum(powers.values()) - brackets - of_units

    def _find_units(self, rest: Packed) -> set[int]:
        """Return the places of unknowns that are at least 1, or may be taken so because ``rest`` is 0 otherwise."""
        positive = {generator for generator in self._generators if generator.is_Symbol and generator.is_positive}
        positive.update(self._whole_quotients)
        for call in self._calls:
            if isinstance(call, Exceeds) and 0 not in split_powers(rest, self._places[call], self._count):
                positive.update(sympy.Mul.make_args(call.args[0]))  # a product that exceeds something is not 0
        units = {place for place, generator in enumerate(self._generators) if generator in positive}
        for call in reversed(self._calls):
            if isinstance(call, CeilDiv) and self._is_positive(self._arguments[call][0], units):
                units.add(self._places[call])
        return units

    def _is_positive(self, polynomial: Packed, units: set[int]) -> bool:
        """Tell whether some term of a polynomial without negative ones is made of such unknowns only."""
        return _has_no_negative(polynomial) and any(
            all(place in units for place, power in enumerate(unpack(monomial, self._count)) if power)
            for monomial in polynomial.terms
        )

    def _put_bounds(
        self, rest: Packed, generators: Iterable[sympy.Expr], units: set[int], bounds: Collection[Bound]
    ) -> Packed:
        """Return something that is at most a positive multiple of ``rest``.

        Generators that only add or only take away are replaced by their bounds, one after the other.
        """
        if not bounds:
            return rest
        used = find_used([rest], self._count)
        for generator in generators:
            place = self._places[generator]
            if place in used:
                bounded = self._put_bound(rest, generator, place in units, bounds)
                if bounded is not rest:
                    rest, used = bounded, find_used([bounded], self._count)
        return rest

    def _put_bound(self, rest: Packed, generator: sympy.Expr, is_unit: bool, bounds: Collection[Bound]) -> Packed:
        place = self._places[generator]
        by_power = split_powers(rest, place, self._count)
        signs = {number > 0 for power, others in by_power.items() if power for number in others.terms.values()}
        if len(signs) != 1 or (needed := "lower" if signs == {True} else "upper") not in bounds:
            return rest
        bound = self._lower[place] if needed == "lower" else self._upper[place]
        if bound is None or min(by_power) < 0:
            return rest
        if needed == "lower" and "mixed" in bounds and isinstance(generator, CeilDiv) and is_unit:
            return _put_mixed(by_power, bound)
        return substitute(rest, place, self._count, bound)

    def _find_lower_bound(self, generator: sympy.Expr) -> Packed | None:
        if isinstance(generator, BRACKETS):
            return pack_number(0, 1)
        if isinstance(generator, CeilDiv):
            return _divide(*self._arguments[generator])
        return None

    def _find_upper_bound(self, generator: sympy.Expr) -> Packed | None:
        if isinstance(generator, BRACKETS):
            return pack_number(1, 1)
        if isinstance(generator, FloorDiv):
            return _divide(*self._arguments[generator])
        if isinstance(generator, CeilDiv):
            dividend, divisor = self._arguments[generator]
            return _divide(add((dividend, divisor, pack_number(-1, 1))), divisor)
        if generator in self._quotients:
            quotient = self._quotients[generator]
            _, divisor = self._arguments[quotient]
            whole = multiply((divisor, pack_unknown(self._places[quotient])))
            return add((whole, divisor, pack_number(-1, 1)))
        return None


def _pack(polynomial: Expansion) -> Packed:
    """Return a polynomial with each monomial in one integer."""
    degree = max((abs(power) for exponents in polynomial.terms for power in exponents), default=0)
    terms = {pack(exponents): number for exponents, number in polynomial.terms.items()}
    return Packed(terms, polynomial.denominator, degree)


def _divide(dividend: Packed, divisor: Packed) -> Packed | None:
    """Return the quotient where the divisor is one term; exponents may be negative."""
    factor = invert(divisor)
    return None if factor is None else multiply((dividend, factor))


def _has_no_negative(polynomial: Packed) -> bool:
    """Tell whether no term is negative; then no value is, since no size is."""
    return all(number > 0 for number in polynomial.terms.values())


def _take_positive(polynomial: Packed) -> dict[int, int]:
    return {monomial: number for monomial, number in polynomial.terms.items() if number > 0}


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


def _put_mixed(by_power: Mapping[int, Packed], quotient: Packed) -> Packed:
    """Return what stands beside the powers of an unknown, each with a mean of 1 and of powers of ``quotient`` for it.

    The unknown is at least 1 and at least the quotient, so its k-th power is at least each of 1, q, ..., q^k.
    """
    return add(
        multiply(
            (
                others,
                add(
                    (
                        pack_number(1, 2),
                        *(
                            multiply((raise_to(quotient, lower), pack_number(1, 2 * power)))
                            for lower in range(1, power + 1)
                        ),
                    )
                ),
            )
        )
        if power
        else others
        for power, others in by_power.items()
    )


def _depth(expression: sympy.Expr) -> int:
    return 1 + max(map(_depth, expression.args), default=0)
