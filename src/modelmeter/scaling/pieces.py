"""That a formula is a polynomial on each of some cells: what is known of its leading term and of its steps."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any, ClassVar

from attrs import frozen

from modelmeter.scaling import terms
from modelmeter.scaling.cells import NotResolvedError, Piece, find_pieces, read_together
from modelmeter.scaling.certificate import check_fingerprint, replay_pieces, take_fingerprint
from modelmeter.scaling.cover import cell_to_json, cells_from_json, check_cover
from modelmeter.scaling.domain import Range, number_from_json, number_to_json
from modelmeter.scaling.program import compile_terms
from modelmeter.scaling.terms import Number, Term
from modelmeter.support.errors import CertificateError

_TRIES = 40


@frozen
class Pieces:
    """A formula of one size as a polynomial on each cell of a range.

    Parameters
    ----------
    formula
        In normal form.
    name
        The size.
    range
        What it may be.
    pieces
        Cells that cover the range, each with one polynomial in the number ``q`` of the cell's integers.
    fingerprint
        Of the formula.
    """

    kind: ClassVar[str] = "pieces"

    formula: Term
    name: str
    range: Range
    pieces: tuple[Piece, ...]
    fingerprint: str = take_fingerprint()

    @classmethod
    def make(cls, formula: Term, name: str, range_: Range) -> Pieces:
        """Return the pieces of a formula.

        Raises
        ------
        NotResolvedError
            If they are not found.
        """
        return cls(formula, name, range_, tuple(find_pieces([formula], name, [range_.cell])))

    @classmethod
    def make_tail(cls, formula: Term, name: str, range_: Range) -> Pieces:
        """Return the pieces from some size on, where each goes on without end.

        Raises
        ------
        NotResolvedError
            If they are not found, or the range has an end.
        """
        for _ in range(_TRIES):
            found = cls.make(formula, name, range_)
            if all(piece.cell.last is None for piece in found.pieces):
                return found
            starts = [piece.cell.start for piece in found.pieces if piece.cell.last is None]
            if not starts:
                break
            range_ = range_.intersect(minimum=max(max(starts), range_.first + 1))
        raise NotResolvedError("a formula has no tail that is found", place=name)

    @property
    def technique(self) -> str:
        """How it proves, as a noun after *by*."""
        modulus = max(piece.cell.modulus for piece in self.pieces) // self.range.multiple_of
        if modulus == 1:
            return "multiplying the formula out into one polynomial"
        return f"multiplying the formula out into a polynomial on each of {modulus} residue classes"

    def leading(self) -> tuple[int, Number] | None:
        """Return degree and coefficient of the leading term of a tail, where all classes have the same."""
        if any(piece.cell.last is not None for piece in self.pieces):
            return None
        found: set[tuple[int, Number]] = set()
        for piece in self.pieces:
            (polynomial,) = piece.polynomials
            degree = max(len(polynomial) - 1, 0)
            top = Fraction(polynomial[-1] if polynomial else 0)
            found.add((degree, terms.simplest(top / piece.cell.modulus**degree)))
        return found.pop() if len(found) == 1 else None

    def check(self, formula: Term | None = None) -> None:
        """Replay: the cells cover the range, and on each the formula is the polynomial that is claimed."""
        check_fingerprint(self.formula, self.fingerprint, formula)
        check_cover([piece.cell for piece in self.pieces], self.range)
        program = compile_terms([self.formula])
        together = read_together(program, self.name, [piece.cell for piece in self.pieces])
        for piece, polynomials in zip(self.pieces, together, strict=True):
            if polynomials == piece.polynomials:
                continue
            found = replay_pieces(program, self.name, piece.cell)  # alone: it says what is wrong
            if [each.polynomials for each in found] != [piece.polynomials]:
                raise CertificateError(
                    "a formula is another polynomial", place=f"{self.name} on {piece.cell}",
                    expected=piece.polynomials, found=[each.polynomials for each in found],
                )  # fmt: skip

    def to_json(self) -> dict[str, Any]:
        """Return the certificate as JSON."""
        return {
            "kind": self.kind,
            "formula": terms.to_json(self.formula),
            "name": self.name,
            "range": self.range.to_json(),
            "pieces": [
                [*cell_to_json(piece.cell), [number_to_json(each) for each in piece.polynomials[0]]]
                for piece in self.pieces
            ],
            "fingerprint": self.fingerprint,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Pieces:
        """Return the certificate of a JSON object with the keys of :meth:`to_json`."""
        pieces = tuple(
            Piece(cell, (tuple(terms.simplest(number_from_json(each)) for each in coefficients),))
            for cell, (coefficients,) in cells_from_json(value["pieces"], extra=1)
        )
        return cls(
            terms.from_json(value["formula"]), value["name"], Range.from_json(value["range"]), pieces,
            value["fingerprint"],
        )  # fmt: skip
