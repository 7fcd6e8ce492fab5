"""Certificates: why a statement holds, as data that is replayed with integers and without sympy's solvers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar, Protocol, runtime_checkable

from attrs import Factory, field, frozen

from modelmeter.scaling import terms, univariate
from modelmeter.scaling.cell import Cell
from modelmeter.scaling.cells import Piece, find_pieces
from modelmeter.scaling.column_reader import read_columns
from modelmeter.scaling.columns import find_signs_by_row
from modelmeter.scaling.cover import cell_to_json, cells_from_json, check_cover
from modelmeter.scaling.domain import Range
from modelmeter.scaling.program import Instructions, compile_terms
from modelmeter.scaling.terms import Term
from modelmeter.support.errors import CertificateError, FormulaError


def take_fingerprint() -> Any:
    """Return the field of a certificate that tells its ``formula`` from any other; by default of what it has."""
    return field(default=Factory(lambda certificate: terms.fingerprint(certificate.formula), takes_self=True))


@runtime_checkable
class Certificate(Protocol):
    """Why a statement holds."""

    kind: ClassVar[str]

    @property
    def formula(self) -> Term:
        """The formula that it is about, in normal form or as a product of such."""

    @property
    def fingerprint(self) -> str:
        """What tells the formula that it is about from any other."""

    @property
    def technique(self) -> str:
        """How it proves, as a noun after *by*."""

    def check(self, formula: Term | None = None) -> None:
        """Replay the proof; with a formula in normal form, refuse one of another formula.

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
    fingerprint: str = take_fingerprint()

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
        """How it proves, as a noun after *by*."""
        modulus = max(each.cell.modulus for each in self.cells) // self.range.multiple_of
        if modulus > 1:
            return f"the sign of a polynomial on each of {modulus} residue classes"
        if len({each.sign for each in self.cells}) == 1:
            return "one sign of the difference on the whole domain"
        return "brackets of integers between which the difference changes its sign"

    def sign_at(self, point: int) -> int:
        """Return the sign at an integer of the range."""
        return univariate.sign_of(terms.evaluate(self.formula, {self.name: point}))

    def claimed_at(self, point: int) -> int:
        """Return the sign that the cells claim at an integer of the range."""
        return next(each.sign for each in self.cells if point in each.cell)

    def check(self, formula: Term | None = None) -> None:
        """Replay: the cells cover the range, and on each the formula has the sign that is claimed."""
        check_fingerprint(self.formula, self.fingerprint, formula)
        check_cover([each.cell for each in self.cells], self.range)
        program = compile_terms([self.formula])
        for each, sign in zip(self.cells, self._read_signs(program), strict=True):
            if sign != each.sign:
                self._check_cell(program, each)

    def _read_signs(self, program: Instructions) -> list[int | None]:
        """Return the sign of the formula on each cell; None where it is not one that is found for all together."""
        cells = [each.cell for each in self.cells]
        (column,) = read_columns(program, self.name, cells)
        signs = find_signs_by_row(column, [(cell.first, cell.last) for cell in cells])
        return [None if row in column.is_open else sign for row, sign in enumerate(signs)]

    def _check_cell(self, program: Instructions, claimed: SignCell) -> None:
        """Read a cell alone, and refuse another sign."""
        for piece in replay_pieces(program, self.name, claimed.cell):
            runs = univariate.find_signs(piece.polynomials[0], piece.cell.first, piece.cell.last)
            wrong = [run for run in runs if run.sign != claimed.sign]
            if wrong:
                raise CertificateError(
                    "a formula has another sign", place=f"{self.name} = {piece.cell.point(wrong[0].first)}",
                    expected=claimed.sign, found=wrong[0].sign,
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
    def from_json(cls, value: Mapping[str, Any]) -> SignTable:
        """Return the certificate of a JSON object with the keys of :meth:`to_json`."""
        cells = tuple(SignCell(cell, sign) for cell, (sign,) in cells_from_json(value["cells"], extra=1))
        return cls(
            terms.from_json(value["formula"]),
            value["name"],
            Range.from_json(value["range"]),
            cells,
            value["fingerprint"],
        )


@contextmanager
def refusing_formulas() -> Iterator[None]:
    """Refuse a certificate whose formula has no value, or is nested too deeply.

    Raises
    ------
    CertificateError
        In place of the other error.
    """
    try:
        yield
    except FormulaError as error:
        raise CertificateError("a certificate cannot be replayed", found=str(error)) from None
    except RecursionError:
        raise CertificateError("a formula is nested too deeply") from None


def replay_pieces(program: Instructions, name: str, cell: Cell) -> list[Piece]:
    """Return the pieces of a formula on a cell of a certificate.

    Raises
    ------
    CertificateError
        If it has none.
    """
    with refusing_formulas():
        return find_pieces(program, name, [cell])


def check_fingerprint(formula: Term, fingerprint: str, asked: Term | None = None) -> None:
    """Refuse a fingerprint of another formula, and one of another formula than is asked about."""
    for each, problem in (
        (formula, "the fingerprint of a certificate is of another formula"),
        (asked, "the formula has changed since it was certified"),
    ):
        if each is not None and (found := terms.fingerprint(each)) != fingerprint:
            raise CertificateError(problem, expected=found, found=fingerprint, remedy="ask again")
