"""Steps: where a rounding jumps as a size grows, and what a jump costs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import zip_longest
from typing import Any

import sympy
from attrs import frozen

from modelmeter.scaling import normal_form, terms, univariate
from modelmeter.scaling.cell import Cell
from modelmeter.scaling.cells import NotResolvedError
from modelmeter.scaling.certificate import SignTable
from modelmeter.scaling.domain import Range, number_to_json
from modelmeter.scaling.normal_form import NormalForm
from modelmeter.scaling.pieces import Pieces
from modelmeter.scaling.quantity import Operand, as_quantity
from modelmeter.scaling.question import Bounds, ask, read_fraction, term_of
from modelmeter.scaling.shift import shift
from modelmeter.scaling.statement import Statement, expect_answer, expect_formula, expect_tail, symbols_of
from modelmeter.scaling.terms import ROUNDINGS, Number, Term
from modelmeter.support.errors import CertificateError, FormulaError


@frozen(kw_only=True)
class Step:
    """Where one rounding jumps.

    Parameters
    ----------
    rounding
        As a text.
    modulus, residues
        It jumps at the sizes of these residues by the modulus: there its value is another than just before.
    first
        The first size at which it jumps, after the least one.
    from_size
        From this size on it jumps at these residues and at no others.
    costs
        By residue, what the whole cost grows by at a jump, from just before to it, as a formula of the size; in the
        end, where all brackets are settled.
    first_cost
        What it grows by at ``first``.
    """

    rounding: str
    modulus: int
    residues: tuple[int, ...]
    first: int
    from_size: int
    costs: tuple[sympy.Expr, ...]
    first_cost: Number

    def jumps_at(self, size: int) -> bool:
        """Tell whether it jumps at a size of at least ``from_size``."""
        return size % self.modulus in self.residues

    def to_json(self) -> dict[str, Any]:
        """Return the step as JSON."""
        return {
            "rounding": self.rounding, "modulus": self.modulus, "residues": list(self.residues), "first": self.first,
            "from_size": self.from_size,
            "costs": list(map(str, self.costs)), "first_cost": number_to_json(self.first_cost),
        }  # fmt: skip


@frozen(kw_only=True)
class Steps(Statement):
    """Where the roundings of a cost jump.

    Parameters
    ----------
    over
        The size.
    steps
        Of each rounding that holds the size; those that jump at every size are left out, and named in ``smooth``.
    between
        What the cost grows by at a size where nothing jumps, where that is one formula in the end.
    smooth
        Roundings that change at every size.
    """

    over: str
    steps: tuple[Step, ...]
    between: sympy.Expr | None
    smooth: tuple[str, ...] = ()

    def _check_answer(self) -> None:
        """Read the steps from the tail and from the table of each rounding again."""
        form, _ = read_fraction(self.formula if self.formula is not None else sympy.Integer(0))
        tail, *tables = self.certificates
        if not isinstance(tail, Pieces) or list(self.domain.ranges) != [self.over]:
            raise CertificateError("a statement has other certificates", place=self.question, expected="a tail")
        range_ = self.domain.ranges[self.over]
        expect_tail(self, tail.name, tail.range)
        expect_formula(self, tail, term_of(_growth(form, self.over, range_)))
        roundings = list_roundings(form, self.over)
        found: dict[Term, SignTable] = {}
        for rounding, table in zip_longest(roundings, tables):
            if not isinstance(table, SignTable) or (table.name, table.range) != (self.over, _after_first(range_)):
                raise CertificateError("a rounding has no certificate", place=self.question)
            expect_formula(self, table, term_of(_growth(normal_form.generator(rounding), self.over, range_)))
            found[rounding] = table
        answer = _read_steps(tail, found, range_, symbols_of([self.over], self.formula)[self.over])
        expect_answer(self, over=tail.name, value=None, **answer)

    def details(self) -> Mapping[str, Any]:
        """Return what this has beside the others, as JSON."""
        return {
            "over": self.over, "steps": [step.to_json() for step in self.steps],
            "between": None if self.between is None else str(self.between), "smooth": list(self.smooth),
        }  # fmt: skip


def steps(of: Operand, over: str, *, bounds: Bounds | None = None) -> Steps:
    """Return where the roundings of a cost jump as a size grows, and what a jump costs.

    Raises
    ------
    UnknownNameError
        If there is no such size.
    FormulaError
        If the cost is a quotient, the size has an end, or the pieces of the cost are not found.
    """
    quantity = as_quantity(of)
    question = ask((quantity,), over, bounds=bounds)
    form, below = read_fraction(question.formulas[0])
    if below != normal_form.constant(1):
        raise FormulaError("a quotient has no steps", place=quantity.name, remedy="ask for those of its parts")
    range_ = question.range
    growth = _growth(form, over, range_)
    try:
        tail = Pieces.make_tail(term_of(growth), over, _after_first(range_))
        tables = {
            rounding: SignTable.make(
                term_of(_growth(normal_form.generator(rounding), over, range_)), over, _after_first(range_)
            )
            for rounding in list_roundings(form, over)
        }
    except NotResolvedError as error:
        raise FormulaError("the pieces of a cost are not found", place=over, found=str(error)) from None
    found = _read_steps(tail, tables, range_, question.symbols[over])
    return Steps(
        question=f"steps of {quantity.name} over {over}", formula=question.formulas[0], value=None,
        domain=question.domain, sentence=_say(quantity.name, over, found["steps"]),
        certificates=(tail, *tables.values()), over=over, **found,
    )  # fmt: skip


def _read_steps(tail: Pieces, tables: Mapping[Term, SignTable], range_: Range, symbol: sympy.Symbol) -> dict[str, Any]:
    """Return all that the growth of a cost, and of each of its roundings, says, by field."""
    found: list[Step] = []
    smooth: list[str] = []
    jumping: set[int] = set()
    modulus = max(piece.cell.modulus for piece in tail.pieces)
    for rounding, table in tables.items():
        step = _find_step(rounding, table, tail, range_, symbol)
        if step is None:
            smooth.append(terms.to_text(rounding))
            continue
        found.append(step)
        jumping |= {each for each in range(0, modulus, range_.multiple_of) if each % step.modulus in step.residues}
    between = {
        _in_size(piece.polynomials[0], piece.cell, symbol)
        for piece in tail.pieces
        if not any(residue % piece.cell.modulus == piece.cell.residue % piece.cell.modulus for residue in jumping)
    }
    only = between.pop() if len(between) == 1 else None
    return {"steps": tuple(found), "between": only, "smooth": tuple(smooth)}


def list_roundings(form: NormalForm, over: str) -> list[Term]:
    """Return the roundings in a formula that hold a size, outermost first, each once."""

    def visit(term: Term) -> Iterator[Term]:
        if isinstance(term, tuple) and term[0] != "/":
            if term[0] in ROUNDINGS and over in terms.names_of(term):
                yield term
            for part in term[1:]:
                yield from visit(part)

    return list(dict.fromkeys(visit(term_of(form))))


def _growth(form: NormalForm, over: str, range_: Range) -> NormalForm:
    """Return what a cost at a size is more than just before."""
    before = shift(form, over, -range_.multiple_of)
    return normal_form.add(form, normal_form.scale(before, -1))


def _after_first(range_: Range) -> Range:
    return Range(range_.first + range_.multiple_of, range_.maximum, range_.multiple_of)


def _find_step(rounding: Term, table: SignTable, tail: Pieces, range_: Range, symbol: sympy.Symbol) -> Step | None:
    """Return where a rounding jumps, from the signs of its growth; None where that is at every size, or at none."""
    ending = [each for each in table.cells if each.cell.last is None]
    modulus = max((each.cell.modulus for each in ending), default=1)
    residues = tuple(
        residue
        for residue in range(modulus)
        if any(each.sign and (residue - each.cell.residue) % each.cell.modulus == 0 for each in ending)
    )
    jumps = [each.cell.start for each in table.cells if each.sign]
    if not jumps or not residues or len(residues) * range_.multiple_of == modulus:
        return None
    costs = {
        _in_size(piece.polynomials[0], piece.cell, symbol): None
        for piece in tail.pieces
        if piece.cell.residue % modulus in residues
        or any((residue - piece.cell.residue) % piece.cell.modulus == 0 for residue in residues)
    }
    first = min(jumps)
    return Step(
        rounding=terms.to_text(rounding), modulus=modulus, residues=residues, first=first,
        from_size=_find_start(table, modulus, residues), costs=tuple(costs),
        first_cost=terms.evaluate(tail.formula, {tail.name: first}),
    )  # fmt: skip


def _find_start(table: SignTable, modulus: int, residues: tuple[int, ...]) -> int:
    """Return from which size on a rounding jumps at these residues and at no others."""
    start = table.range.first
    for each in table.cells:
        if each.cell.end is None:
            continue
        points = range(each.cell.start, each.cell.end + 1, each.cell.modulus)
        # The residues of a stretch repeat after so many of its points.
        wrong = [point for point in points[-modulus:] if (each.sign != 0) != (point % modulus in residues)]
        if wrong:
            start = max(start, wrong[-1] + table.range.multiple_of)
    return start


def _in_size(polynomial: univariate.Coefficients, cell: Cell, symbol: sympy.Symbol) -> sympy.Expr:
    return univariate.to_formula(univariate.in_size(polynomial, cell.points), symbol)


def _say(name: str, over: str, found: list[Step]) -> str:
    if not found:
        return f"No rounding in {name} jumps as {over} grows."
    parts = [
        f"{step.rounding} at {over} = {step.first} and at every {over} that is {_residues(step)} by {step.modulus}"
        for step in found[:4]
    ]
    more = f", and {len(found) - 4} more" if len(found) > 4 else ""
    return f"{name} jumps with {'; '.join(parts)}{more}."


def _residues(step: Step) -> str:
    shown = " or ".join(map(str, step.residues[:4]))
    return shown + (" or others" if len(step.residues) > 4 else "")
