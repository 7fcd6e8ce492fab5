"""Polynomials in integers only, each monomial in one of them: what adding and multiplying out is fast in."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from functools import lru_cache
from math import lcm
from typing import NamedTuple

from modelmeter.support.errors import FormulaError

_BITS = 32
"""Of each exponent in a monomial."""

_LIMIT = 1 << (_BITS - 1)
"""Every exponent is less than this, and more than its negative."""

_DIGITS = (1 << _BITS) - 1


class Packed(NamedTuple):
    """A polynomial over numbered unknowns, multiplied out.

    Parameters
    ----------
    terms
        An integer by monomial. A monomial is the sum of ``exponent * 2 ** (32 place)`` over its unknowns, and so the
        product of two is their sum. Exponents may be negative.
    denominator
        What all of the terms are divided by: an integer of at least 1.
    degree
        No exponent is larger, nor less than its negative.
    """

    terms: dict[int, int]
    denominator: int
    degree: int


def pack_number(numerator: int, denominator: int) -> Packed:
    """Return a constant."""
    return Packed({0: numerator} if numerator else {}, denominator, 0)


def pack_unknown(place: int) -> Packed:
    """Return the unknown at a place."""
    return Packed({1 << (_BITS * place): 1}, 1, 1)


def add(parts: Iterable[Packed]) -> Packed:
    """Return the sum of polynomials."""
    listed = list(parts)
    denominator = lcm(*(part.denominator for part in listed))
    total: dict[int, int] = {}
    for terms, own, _ in listed:
        times = denominator // own
        for monomial, number in terms.items():
            total[monomial] = total.get(monomial, 0) + times * number
    return Packed(_without_zeros(total), denominator, max((part.degree for part in listed), default=0))


def multiply(factors: Iterable[Packed]) -> Packed:
    """Return the product of polynomials, most of which have one term: these are multiplied with each other.

    Raises
    ------
    FormulaError
        If an exponent is out of all bounds.
    """
    single, number, denominator, degree = 0, 1, 1, 0
    product: dict[int, int] | None = None
    for terms, own, most in factors:
        denominator *= own
        degree += most
        if len(terms) == 1:
            ((monomial, own_number),) = terms.items()
            single += monomial
            number *= own_number
        else:
            product = terms if product is None else _multiply_out(product, terms)
    if degree >= _LIMIT:
        raise FormulaError("an exponent is too large", expected=f"less than {_LIMIT}", found=degree)
    if product is None:
        product = {single: number}
    elif single or number != 1:
        product = {monomial + single: number * own_number for monomial, own_number in product.items()}
    return Packed(product, denominator, degree)


def invert(divisor: Packed) -> Packed | None:
    """Return 1 divided by a polynomial; None where that is a sum or zero."""
    if len(divisor.terms) != 1:
        return None
    ((monomial, number),) = divisor.terms.items()
    sign = 1 if number > 0 else -1
    return Packed({-monomial: sign * divisor.denominator}, abs(number), divisor.degree)


def raise_to(base: Packed, exponent: int) -> Packed:
    """Return a power of a polynomial, whose exponent is not negative.

    Raises
    ------
    FormulaError
        If an exponent is out of all bounds.
    """
    if len(base.terms) == 1:
        degree = base.degree * exponent
        if degree >= _LIMIT:
            raise FormulaError("an exponent is too large", expected=f"less than {_LIMIT}", found=degree)
        ((monomial, number),) = base.terms.items()
        return Packed({monomial * exponent: number**exponent}, base.denominator**exponent, degree)
    return multiply([base] * exponent)


def substitute(polynomial: Packed, place: int, count: int, value: Packed) -> Packed:
    """Return a polynomial in ``count`` unknowns with a value for the one at a place, whose exponents are positive."""
    return add(
        multiply([others, raise_to(value, power)]) if power else others
        for power, others in split_powers(polynomial, place, count).items()
    )


def split_powers(polynomial: Packed, place: int, count: int) -> dict[int, Packed]:
    """Return what stands beside each power of the unknown at a place, of ``count`` unknowns."""
    shift, bias = _BITS * place, _make_bias(count)
    by_power: dict[int, dict[int, int]] = {}
    for monomial, number in polynomial.terms.items():
        power = (((monomial + bias) >> shift) & _DIGITS) - _LIMIT
        by_power.setdefault(power, {})[monomial - (power << shift)] = number
    return {power: polynomial._replace(terms=terms) for power, terms in by_power.items()}


def find_used(polynomials: Iterable[Packed], count: int) -> set[int]:
    """Return the places of the unknowns, of ``count``, that stand in polynomials."""
    bias, found = _make_bias(count), 0
    for terms, _, _ in polynomials:
        for monomial in terms:
            found |= (monomial + bias) ^ bias
    return {place for place, digits in enumerate(_list_digits(found, count)) if digits}


def unpack(monomial: int, count: int) -> tuple[int, ...]:
    """Return the exponents of ``count`` unknowns in a monomial."""
    return unpack_at(monomial, count, range(count))


def unpack_at(monomial: int, count: int, places: Iterable[int]) -> tuple[int, ...]:
    """Return the exponents of the unknowns at some places, of ``count`` unknowns in a monomial."""
    digits = _list_digits(monomial + _make_bias(count), count)
    return tuple([digits[place] - _LIMIT for place in places])


def pack(exponents: Sequence[int]) -> int:
    """Return the monomial of these exponents."""
    return sum(exponent << (_BITS * place) for place, exponent in enumerate(exponents) if exponent)


def clear_divisors(polynomial: Packed, count: int) -> Packed:
    """Return a polynomial in ``count`` unknowns, which are not negative, times all unknowns that it divides by."""
    bias = _make_bias(count)
    if all((monomial + bias) & bias == bias for monomial in polynomial.terms):
        return polynomial
    lowest = pack([min(0, *powers) for powers in zip(*(unpack(each, count) for each in polynomial.terms), strict=True)])
    degree = 2 * polynomial.degree
    return Packed({each - lowest: number for each, number in polynomial.terms.items()}, polynomial.denominator, degree)


class Multiples:
    """Tells of monomials in ``count`` unknowns whether one is a multiple of another.

    Parameters
    ----------
    by
        The places of the unknowns that it may be a multiple by.
    ignored
        The places of those whose exponents make no difference.
    """

    def __init__(self, count: int, *, by: Iterable[int], ignored: Iterable[int]) -> None:
        self._bias = _make_bias(count)
        self._compared = ~_make_mask(ignored)
        self._fixed = self._compared & ~_make_mask(by)

    def holds(self, monomial: int, of: int) -> bool:
        """Tell whether ``monomial`` is ``of`` times something."""
        # Of an exponent that stays, all bits are those of the bias; of one that grows, the highest is.
        quotient = (monomial - of + self._bias) ^ self._bias
        return not quotient & self._fixed and not quotient & self._bias & self._compared


def _make_mask(places: Iterable[int]) -> int:
    return sum(_DIGITS << (_BITS * place) for place in set(places))


@lru_cache(maxsize=1024)
def _make_bias(count: int) -> int:
    """Return what makes every exponent positive when it is added: ``_LIMIT`` for each of ``count`` unknowns."""
    return sum(_LIMIT << (_BITS * place) for place in range(count))


def _list_digits(number: int, count: int) -> tuple[int, ...]:
    return struct.unpack(f"<{count}I", number.to_bytes(_BITS // 8 * count, "little"))


def _multiply_out(one: dict[int, int], other: dict[int, int]) -> dict[int, int]:
    total: dict[int, int] = {}
    for monomial, number in one.items():
        for own_monomial, own_number in other.items():
            product = monomial + own_monomial
            total[product] = total.get(product, 0) + number * own_number
    return _without_zeros(total)


def _without_zeros(terms: dict[int, int]) -> dict[int, int]:
    return terms if all(terms.values()) else {monomial: number for monomial, number in terms.items() if number}
