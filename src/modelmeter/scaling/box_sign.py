"""The sign of a formula on a box, and that it goes one way, as certificates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from attrs import field, frozen

from modelmeter.scaling import box, growth, normal_form, terms
from modelmeter.scaling.certificate import check_fingerprint, refusing_formulas, take_fingerprint
from modelmeter.scaling.domain import Range
from modelmeter.scaling.terms import Term
from modelmeter.support.errors import CertificateError
from modelmeter.support.frozen_mapping import freeze_mapping


@frozen
class BoxSign:
    """A formula that is at least 0, or more than 0, on all integers of a box.

    Parameters
    ----------
    formula
        In normal form.
    ranges
        Of each size.
    is_strict
        Whether it is more than 0.
    fingerprint
        Of the formula.
    """

    kind: ClassVar[str] = "box_sign"
    technique: ClassVar[str] = "coefficients of one sign after a shift to the corner of the box"

    formula: Term
    ranges: Mapping[str, Range] = field(converter=freeze_mapping)
    is_strict: bool
    fingerprint: str = take_fingerprint()

    def check(self, formula: Term | None = None) -> None:
        """Replay: shift, and read the signs of the coefficients."""
        check_fingerprint(self.formula, self.fingerprint, formula)
        check_names(terms.names_of(self.formula), self.ranges)
        with refusing_formulas():
            is_proved = box.proves(normal_form.read(self.formula), self.ranges, strict=self.is_strict)
        if not is_proved:
            raise CertificateError(
                "a formula is not proved to have this sign", place=terms.to_text(self.formula),
                expected="more than 0" if self.is_strict else "at least 0",
            )  # fmt: skip

    def to_json(self) -> dict[str, Any]:
        """Return the certificate as JSON."""
        return {
            "kind": self.kind,
            "formula": terms.to_json(self.formula),
            "ranges": {name: each.to_json() for name, each in self.ranges.items()},
            "is_strict": self.is_strict,
            "fingerprint": self.fingerprint,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> BoxSign:
        """Return the certificate of a JSON object with the keys of :meth:`to_json`."""
        return cls(
            terms.from_json(value["formula"]), read_ranges(value["ranges"]), value["is_strict"], value["fingerprint"]
        )


@frozen
class Growth:
    """A formula that goes one way over a size, since every part of it does.

    Parameters
    ----------
    formula
        In normal form.
    name
        The size.
    ranges
        Of each size.
    direction
        1: it never falls; -1: it never rises; 0: it stays.
    fingerprint
        Of the formula.
    """

    kind: ClassVar[str] = "growth"
    technique: ClassVar[str] = "parts that all go one way: sums, products of what is not negative, roundings, brackets"

    formula: Term
    name: str
    ranges: Mapping[str, Range] = field(converter=freeze_mapping)
    direction: int
    fingerprint: str = take_fingerprint()

    def check(self, formula: Term | None = None) -> None:
        """Replay: ask every part."""
        check_fingerprint(self.formula, self.fingerprint, formula)
        check_names(terms.names_of(self.formula) | {self.name}, self.ranges)
        with refusing_formulas():
            found = growth.find_direction(normal_form.read(self.formula), self.name, self.ranges)
        if found not in (0, self.direction):
            raise CertificateError(
                "a formula does not go this way over a size", place=self.name, expected=self.direction, found=found
            )

    def to_json(self) -> dict[str, Any]:
        """Return the certificate as JSON."""
        return {
            "kind": self.kind,
            "formula": terms.to_json(self.formula),
            "name": self.name,
            "ranges": {name: each.to_json() for name, each in self.ranges.items()},
            "direction": self.direction,
            "fingerprint": self.fingerprint,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Growth:
        """Return the certificate of a JSON object with the keys of :meth:`to_json`."""
        return cls(
            terms.from_json(value["formula"]), value["name"], read_ranges(value["ranges"]), value["direction"],
            value["fingerprint"],
        )  # fmt: skip


def check_names(names: frozenset[str], ranges: Mapping[str, Range]) -> None:
    """Refuse a box without a range for each size.

    Raises
    ------
    CertificateError
        If one has none.
    """
    missing = sorted(names - ranges.keys())
    if missing:
        raise CertificateError("a size has no range", place=", ".join(missing), expected=sorted(ranges))


def read_ranges(value: object) -> dict[str, Range]:
    """Return the ranges of a JSON object.

    Raises
    ------
    CertificateError
        If it is none.
    """
    if not isinstance(value, dict):
        raise CertificateError("these are no ranges", found=value)
    return {name: Range.from_json(each) for name, each in value.items()}
