"""Numbers of bits: whole, or exact fractions, as 5.5 for weights that are quantised in groups. Never floats."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Final, TypeAlias

from llm_perf_opt.data.rules import LARGEST_WHOLE_NUMBER, FieldRule
from modelmeter.support.errors import WorkloadError

Rational: TypeAlias = int | Fraction
"""A whole number as int, any other as Fraction."""

_QUOTIENT: Final = re.compile(r"([1-9][0-9]*)/([1-9][0-9]*)")
_NUMBER: Final = re.compile(r"([0-9]+)(\.[0-9]+)?|[0-9]+/0*[1-9][0-9]*")
_LONGEST: Final = 40
"""Characters of a number that someone types."""


def amount(minimum: int = 0) -> FieldRule:
    """Return the rule of a whole number of at least ``minimum``, or of a fraction above it.

    Both are below 2^63, and so is a denominator. In files a fraction is text, ``"11/2"``, in its lowest terms.
    """

    def accepts(value: object) -> bool:
        if type(value) is Fraction:
            return value.denominator > 1 and minimum <= value and max(value.as_integer_ratio()) <= LARGEST_WHOLE_NUMBER
        return type(value) is int and minimum <= value <= LARGEST_WHOLE_NUMBER

    return FieldRule(
        expected=f'a whole number of at least {minimum}, below 2^63, or a fraction such as "11/2"',
        accepts=accepts,
        schema={
            "anyOf": [
                {"type": "integer", "minimum": minimum, "maximum": LARGEST_WHOLE_NUMBER},
                {"type": "string", "pattern": f"^{_QUOTIENT.pattern}$"},
            ]
        },
    )


def as_rational(value: Rational) -> Rational:
    """Return what files hold as the number that it means; the rule of the field refuses what means none.

    ``"11/2"`` becomes a fraction, and a whole fraction an integer. Text that is not in its lowest terms stays text.
    """
    if isinstance(value, str) and len(value) <= _LONGEST and _QUOTIENT.fullmatch(value):
        fraction = Fraction(value)
        return fraction if str(fraction) == value and fraction.denominator > 1 else value
    return int(value) if type(value) is Fraction and value.denominator == 1 else value


def parse_bits(name: str, text: str) -> Rational:
    """Return a number of bits that someone typed: ``8``, ``5.5`` or ``11/2``.

    Raises
    ------
    WorkloadError
        If it is no such number, or 0.
    """
    bits = Fraction(text) if len(text) <= _LONGEST and _NUMBER.fullmatch(text) else Fraction(0)
    if not bits:
        raise WorkloadError(
            "this is no number of bits", place=name, expected="a number above 0, such as 8, 5.5 or 11/2", found=text
        )
    return as_rational(bits)
