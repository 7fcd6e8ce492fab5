"""Where a statement holds: the integers that each free size may be, and the numbers that the others are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from math import lcm
from typing import Any

from attrs import evolve, field, frozen

from modelmeter.dimensions.size_rules import Rule
from modelmeter.scaling.cell import Cell
from modelmeter.scaling.terms import Number
from modelmeter.support.errors import CertificateError, FormulaError
from modelmeter.support.frozen_mapping import freeze_mapping


@frozen
class Range:
    """The integers from ``minimum`` to ``maximum`` (None: without end) that are multiples of ``multiple_of``."""

    minimum: int = 1
    maximum: int | None = None
    multiple_of: int = 1

    def __attrs_post_init__(self) -> None:
        if self.multiple_of < 1 or (self.last is not None and self.last < self.first):
            raise FormulaError("a range holds no integer", found=str(self))

    @property
    def first(self) -> int:
        """The least integer of the range."""
        return -(-self.minimum // self.multiple_of) * self.multiple_of

    @property
    def last(self) -> int | None:
        """The largest integer of the range, if there is one."""
        return None if self.maximum is None else self.maximum // self.multiple_of * self.multiple_of

    @property
    def cell(self) -> Cell:
        """The range as one cell."""
        last = None if self.last is None else self.last // self.multiple_of
        return Cell(self.multiple_of, 0, self.first // self.multiple_of, last)

    def __contains__(self, value: Number) -> bool:
        is_below = self.maximum is not None and value > self.maximum
        return value.denominator == 1 and value >= self.minimum and not is_below and value % self.multiple_of == 0

    def __str__(self) -> str:
        end = "on" if self.maximum is None else f"to {self.maximum}"
        step = "" if self.multiple_of == 1 else f", multiples of {self.multiple_of}"
        return f"from {self.minimum} {end}{step}"

    def sample(self, count: int) -> Iterator[int]:
        """Yield the first integers of the range, at most ``count``."""
        for place in range(count):
            value = self.first + place * self.multiple_of
            if self.last is not None and value > self.last:
                return
            yield value

    def round_down(self, value: Number) -> int | None:
        """Return the largest integer of the range that is at most a number; None: there is none."""
        bound = int(value // self.multiple_of) * self.multiple_of
        found = bound if self.last is None else min(bound, self.last)
        return found if found >= self.first else None

    def round_up(self, value: Number) -> int | None:
        """Return the smallest integer of the range that is at least a number; None: there is none."""
        found = max(-int(-value // self.multiple_of) * self.multiple_of, self.first)
        return found if self.last is None or found <= self.last else None

    def intersect(self, *, minimum: int | None = None, maximum: int | None = None, multiple_of: int = 1) -> Range:
        """Return the part of the range between bounds that are multiples of a number, too."""
        least = self.minimum if minimum is None else max(self.minimum, minimum)
        ends = [end for end in (self.maximum, maximum) if end is not None]
        return Range(least, min(ends, default=None), lcm(self.multiple_of, multiple_of))

    def to_json(self) -> dict[str, int | None]:
        """Return the range as JSON."""
        return {"minimum": self.minimum, "maximum": self.maximum, "multiple_of": self.multiple_of}

    @classmethod
    def from_json(cls, value: object) -> Range:
        """Return the range of a JSON value.

        Raises
        ------
        CertificateError
            If it is none.
        """
        if not isinstance(value, dict) or value.keys() != {"minimum", "maximum", "multiple_of"}:
            raise CertificateError("this is no range", found=value)
        is_whole = {name: type(number) is int for name, number in value.items()}
        if not (is_whole["minimum"] and is_whole["multiple_of"] and (is_whole["maximum"] or value["maximum"] is None)):
            raise CertificateError("a bound of a range is no integer", found=value)
        try:
            return cls(**value)
        except FormulaError as error:
            raise CertificateError("a range holds no integer", found=error.found) from None


@frozen
class Domain:
    """Where a statement holds.

    Parameters
    ----------
    ranges
        Of each free size, by name.
    fixed
        The numbers that other sizes are.
    rules
        What also holds between free sizes. What is said of all sizes is proved without them, so also where they do
        not hold; a point that is an example is one where they do.
    """

    ranges: Mapping[str, Range] = field(converter=freeze_mapping)
    fixed: Mapping[str, Number] = field(converter=freeze_mapping, factory=dict)
    rules: tuple[Rule, ...] = ()

    def allows(self, point: Mapping[str, Number]) -> bool:
        """Tell whether what holds between free sizes does at a point."""
        whole = {name: int(value) for name, value in point.items()}
        return all(rule.holds(whole) for rule in self.rules)

    def restrict(self, name: str, *, minimum: int | None = None, maximum: int | None = None) -> Domain:
        """Return the domain with a bound on a free size."""
        bounded = self.ranges[name].intersect(minimum=minimum, maximum=maximum)
        return evolve(self, ranges={**self.ranges, name: bounded})

    def __str__(self) -> str:
        free = [f"{name} {each}" for name, each in self.ranges.items()]
        return ", ".join(
            [*free, *map(write_rule, self.rules), *(f"{name} = {value}" for name, value in self.fixed.items())]
        )

    def to_json(self) -> dict[str, Any]:
        """Return the domain as JSON; a fraction is a text like ``"2/3"``."""
        return {
            "ranges": {name: each.to_json() for name, each in self.ranges.items()},
            "fixed": {name: number_to_json(value) for name, value in self.fixed.items()},
            "rules": list(map(write_rule, self.rules)),
        }


def write_rule(rule: Rule) -> str:
    """Return what holds between two sizes, as people write it."""
    return f"{rule.a} is {rule.words} {rule.b}"


def number_to_json(value: Number) -> int | str:
    """Return a number as JSON: an integer, or a text like ``"2/3"``."""
    return value.numerator if value.denominator == 1 else f"{value.numerator}/{value.denominator}"


def number_from_json(value: object) -> Number:
    """Return the number of a JSON value.

    Raises
    ------
    CertificateError
        If it is none.
    """
    if type(value) is int:
        return value
    if isinstance(value, str):
        above, _, below = value.partition("/")
        if above.lstrip("-").isdecimal() and below.isdecimal() and int(below):
            return Fraction(int(above), int(below))
    raise CertificateError("this is no number", found=value)
