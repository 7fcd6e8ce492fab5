"""Certificates: why a statement holds, as data that is replayed with integers and without sympy's solvers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import lcm
from typing import Any, ClassVar, Protocol, runtime_checkable

from attrs import field, frozen

from modelmeter.scaling import terms, univariate
from modelmeter.scaling.cells import Cell, find_pieces
from modelmeter.scaling.domain import Range
from modelmeter.scaling.terms import Term
from modelmeter.support.errors import CertificateError, FormulaError


@runtime_checkable
class Certificate(Protocol):
    """Why a statement holds."""

    kind: ClassVar[str]

    @property
    def fingerprint(self) -> str:
        """What tells the formula that it is about from any other."""

    @property
    def technique(self) -> str:
        """How it proves, in words."""

    def check(self) -> None:
        """Replay the proof.

        Raises
        ------
        CertificateError
            If anything of it does not hold.
        """

    def to_json(self) -> dict[str, Any]:
        """Return the certificate as JSON."""


@frozen
class SignCell:
    """A stretch of a residue class on which a formula has one sign: -1, 0 or 1."""

    cell: Cell
    sign: int


@frozen
class SignTable:
    """The sign of a formula of one size on all integers of a range.

    On each cell the formula is a polynomial, and its sign follows from differences: at the corner of the cell all are
    of one sign; or the polynomial goes one way between integers where it has the same sign.

    Parameters
    ----------
    formula
        In normal form.
    name
        The size.
    range
        What it may be.
    cells
        Cover the range, each integer once.
    fingerprint
        Of the formula.
    """

    kind: ClassVar[str] = "sign_table"

    formula: Term
    name: str
    range: Range
    cells: tuple[SignCell, ...]
    fingerprint: str = field()

    @fingerprint.default
    def _take_fingerprint(self) -> str:
        return terms.fingerprint(self.formula)

    @classmethod
    def make(cls, formula: Term, name: str, range_: Range) -> SignTable:
        """Return the signs of a formula.

        Raises
        ------
        NotResolvedError
            If its pieces are not found.
        """
        found = [
            SignCell(part, run.sign)
            for piece in find_pieces([formula], name, [range_.cell])
            for run in univariate.find_signs(piece.polynomials[0], piece.cell.first, piece.cell.last)
            for part in piece.cell.cut([run])
        ]
        return cls(formula, name, range_, tuple(found))

    @property
    def technique(self) -> str:
        """How it proves, in words."""
        modulus = max(each.cell.modulus for each in self.cells) // self.range.multiple_of
        if modulus > 1:
            return f"residue classes by {modulus}, with the sign of a polynomial on each"
        if len({each.sign for each in self.cells}) == 1:
            return "one sign of all differences at the corner"
        return "an integer bracket: the polynomial goes one way between integers of both signs"

    def sign_at(self, point: int) -> int:
        """Return the sign at an integer of the range."""
        return univariate.sign_of(terms.evaluate(self.formula, {self.name: point}))

    def check(self) -> None:
        """Replay: the cells cover the range, and on each the formula has the sign that is claimed."""
        check_fingerprint(self.formula, self.fingerprint)
        check_cover([each.cell for each in self.cells], self.range)
        for each in self.cells:
            try:
                pieces = find_pieces([self.formula], self.name, [each.cell])
            except FormulaError as error:
                raise CertificateError("a cell cannot be replayed", place=str(each.cell), found=str(error)) from None
            for piece in pieces:
                runs = univariate.find_signs(piece.polynomials[0], piece.cell.first, piece.cell.last)
                wrong = [run for run in runs if run.sign != each.sign]
                if wrong:
                    raise CertificateError(
                        "a formula has another sign", place=f"{self.name} = {piece.cell.point(wrong[0].first)}",
                        expected=each.sign, found=wrong[0].sign,
                    )  # fmt: skip

    def to_json(self) -> dict[str, Any]:
        """Return the certificate as JSON."""
        return {
            "kind": self.kind,
            "formula": terms.to_json(self.formula),
            "name": self.name,
            "range": self.range.to_json(),
            "cells": [[*cell_to_json(each.cell), each.sign] for each in self.cells],
            "fingerprint": self.fingerprint,
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> SignTable:
        """Return the certificate of a JSON value."""
        cells = tuple(SignCell(cell, sign) for cell, (sign,) in cells_from_json(value["cells"], extra=1))
        return cls(
            terms.from_json(value["formula"]), value["name"], Range.from_json(value["range"]), cells,
            value["fingerprint"],
        )  # fmt: skip


def check_fingerprint(formula: Term, fingerprint: str) -> None:
    """Refuse a fingerprint of another formula."""
    found = terms.fingerprint(formula)
    if found != fingerprint:
        raise CertificateError("the fingerprint is of another formula", expected=fingerprint, found=found)


def check_cover(cells: Sequence[Cell], range_: Range) -> None:
    """Refuse cells that leave out an integer of a range, have one twice, or have one outside of it."""
    step = range_.multiple_of
    if any(cell.modulus < 1 or (cell.last is not None and cell.last < cell.first) for cell in cells):
        raise CertificateError("a cell is empty", place=str(range_))
    modulus = lcm(step, *(cell.modulus for cell in cells if cell.start != cell.end))
    stretches: dict[int, list[tuple[int, int | None]]] = {}
    for cell in cells:
        if cell.start == cell.end:
            stretches.setdefault(cell.start % modulus, []).append((cell.start, cell.start))
            continue
        for offset in range(modulus // cell.modulus):
            start = cell.start + offset * cell.modulus
            residue = start % modulus
            if cell.end is None or start <= cell.end:
                end = None if cell.end is None else cell.end - (cell.end - residue) % modulus
                stretches.setdefault(residue, []).append((start, end))
    for residue in range(0, modulus, step):
        first = range_.first + (residue - range_.first) % modulus
        last = None if range_.last is None else range_.last - (range_.last - residue) % modulus
        if last is None or first <= last:
            _check_row(sorted(stretches.pop(residue, []), key=lambda each: each[0]), first, last, modulus)
    if stretches:
        raise CertificateError("a cell is outside of the range", place=f"class {min(stretches)} by {modulus}")


def _check_row(stretches: list[tuple[int, int | None]], first: int, last: int | None, modulus: int) -> None:
    """Check that stretches of one class follow each other from ``first`` to ``last``."""
    expected: int | None = first
    for start, end in stretches:
        if start != expected:
            raise CertificateError("the cells leave a gap, or overlap", expected=expected, found=start)
        expected = None if end is None else end + modulus
    if expected != (None if last is None else last + modulus):
        raise CertificateError("the cells do not end where the range does", expected=last, found=expected)


def cell_to_json(cell: Cell) -> list[int | None]:
    """Return a cell as JSON: modulus, residue, first and last."""
    return [cell.modulus, cell.residue, cell.first, cell.last]


def cells_from_json(rows: object, extra: int) -> Iterator[tuple[Cell, list[Any]]]:
    """Yield the cells of a JSON list, each with so many more values."""
    for row in rows if isinstance(rows, list) else [None]:
        if (
            not isinstance(row, list)
            or len(row) != 4 + extra
            or any(type(each) is not int for each in row[:3])
            or not (row[3] is None or type(row[3]) is int)
        ):
            raise CertificateError("this is no cell", found=row)
        yield Cell(*row[:4]), row[4:]
