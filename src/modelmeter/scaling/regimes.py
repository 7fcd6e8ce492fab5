"""Regimes: which of several costs is the largest, or the smallest, over one size or two, and where that changes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import sympy
from attrs import field, frozen

from modelmeter.scaling import normal_form, terms, univariate
from modelmeter.scaling.cell import Cell
from modelmeter.scaling.cells import find_pieces
from modelmeter.scaling.certificate import SignTable
from modelmeter.scaling.domain import Domain, Range
from modelmeter.scaling.labels import join_cells
from modelmeter.scaling.normal_form import NormalForm
from modelmeter.scaling.quantity import Operand, as_quantity
from modelmeter.scaling.question import Bounds, ask, read_fraction, term_of
from modelmeter.scaling.statement import Statement, expect_answer, expect_formula, expect_only, symbols_of
from modelmeter.scaling.terms import Term
from modelmeter.support.errors import CertificateError, FormulaError
from modelmeter.support.frozen_mapping import freeze_mapping

Goal = Literal["largest", "smallest"]


@frozen(kw_only=True)
class Regime:
    """Integers in a row where one cost is the largest, or the smallest; ties go to the one that was named first.

    Parameters
    ----------
    first, last
        The integers; None: without end.
    winner
        The name of the cost; None where the residue decides.
    """

    first: int
    last: int | None
    winner: str | None

    def to_json(self) -> dict[str, Any]:
        """Return the regime as JSON."""
        return {"first": self.first, "last": self.last, "winner": self.winner}


@frozen(kw_only=True)
class Regimes(Statement):
    """Which of several costs is the largest, or the smallest, over a size.

    Parameters
    ----------
    over
        The size.
    goal
        ``largest``, as of what binds, or ``smallest``, as of what is cheapest.
    regimes
        In order; they cover the domain.
    costs
        By name, in normal form and over one denominator.
    """

    over: str
    goal: Goal
    regimes: tuple[Regime, ...]
    costs: Mapping[str, Term] = field(converter=freeze_mapping, repr=False)

    def winner_at(self, size: int) -> str | None:
        """Return which cost it is at a size."""
        for each in self.regimes:
            if each.first <= size and (each.last is None or size <= each.last):
                return each.winner
        raise FormulaError("a size is outside of the domain", place=self.over, found=size)

    @property
    def borders(self) -> tuple[int, ...]:
        """The first size of each regime but the first."""
        return tuple(each.first for each in self.regimes[1:])

    def _check_answer(self) -> None:
        """Check that the regimes cover the domain, and that each winner is at least as much as every other."""
        tables = expect_only(self, SignTable)
        self.check_tables(tables)
        symbol = symbols_of([self.over], self.formula)[self.over]
        question = f"{self.goal} of {', '.join(self.costs)} over {self.over}"
        expect_answer(self, question=question, formula=_as_formula(self.regimes, symbol))

    def check_tables(self, tables: Sequence[SignTable]) -> None:
        """Check that the regimes cover the domain, and are what certificates say."""
        range_ = self.domain.ranges.get(self.over)
        if range_ is None or list(self.domain.ranges) != [self.over]:
            raise CertificateError("a statement is of another size", place=self.question, found=self.over)
        step = range_.multiple_of
        ends = [range_.first - step, *(each.last for each in self.regimes)]
        starts = [*(each.first for each in self.regimes), None if range_.last is None else range_.last + step]
        if [None if end is None else end + step for end in ends] != starts:
            raise CertificateError("regimes do not cover the domain", place=self.question, found=self.regimes)
        forms = _turn({name: normal_form.read(term) for name, term in self.costs.items()}, self.goal)
        if any(regime.winner is None for regime in self.regimes):  # no certificate is of residues: all is read again
            found = _read_winners(forms, self.over, range_)
            if found != self.regimes:
                raise CertificateError("other costs win", place=self.question, expected=found, found=self.regimes)
        left = list(tables)
        for regime in self.regimes:
            part = range_.intersect(minimum=regime.first, maximum=regime.last)
            if regime.winner is None:
                continue
            if regime.winner not in forms:
                raise CertificateError("a winner is none of the costs", place=self.question, found=regime.winner)
            for rest, least in _list_rests(forms, regime.winner):
                table = left.pop(0) if left else None
                if table is None or (table.name, table.range) != (self.over, part):
                    raise CertificateError("a regime has no certificate", place=self.question, found=regime)
                expect_formula(self, table, rest)
                if any(each.sign < least for each in table.cells):
                    raise CertificateError("another cost is more", place=self.question, found=regime)
        if left:
            raise CertificateError("a statement has certificates of no regime", place=self.question)
        expect_answer(self, value=None)

    def details(self) -> Mapping[str, Any]:
        """Return what this has beside the others, as JSON."""
        return {"over": self.over, "goal": self.goal, "regimes": [each.to_json() for each in self.regimes]}


def regimes(
    costs: Mapping[str, Operand], over: str, *, bounds: Bounds | None = None, goal: Goal = "largest"
) -> Regimes:
    """Return which of several costs is the largest over a size: what binds, term by term, operator or stage.

    Parameters
    ----------
    costs
        By name: quantities of one unit, which may be at different sizes or of different models.
    over
        The size.
    bounds
        Of the size.
    goal
        ``smallest`` for what is cheapest.

    Raises
    ------
    UnknownNameError
        If there is no such size.
    FormulaError
        If there are no costs, units differ, a cost divides by the size, or pieces are not found.
    """
    names = list(costs)
    listed = [as_quantity(each) for each in costs.values()]
    if len({each.unit for each in listed}) != 1:
        raise FormulaError(
            "quantities of different units have no order", found=", ".join(sorted({each.unit for each in listed})),
            expected="costs of one unit",
        )  # fmt: skip
    question = ask(listed, over, bounds=bounds)
    forms = over_one_denominator([read_fraction(formula) for formula in question.formulas], over)
    by_name = dict(zip(names, forms, strict=True))
    turned = _turn(by_name, goal)
    found = _read_winners(turned, over, question.range)
    certificates = _certify(turned, found, over, question.domain)
    return Regimes(
        question=f"{goal} of {', '.join(names)} over {over}", formula=_as_formula(found, question.symbols[over]),
        value=None, domain=question.domain, sentence=_say(found, over, goal), certificates=certificates, over=over,
        goal=goal, regimes=found, costs={name: term_of(form) for name, form in by_name.items()},
    )  # fmt: skip


def _read_winners(forms: Mapping[str, NormalForm], over: str, range_: Range) -> tuple[Regime, ...]:
    """Return which of several costs is the largest, integer by integer of a range, by name."""
    names = list(forms)
    return tuple(
        Regime(first=each.first, last=each.last, winner=None if each.label is None else names[each.label])
        for each in find_winners([term_of(form) for form in forms.values()], over, range_)
    )


def _turn(forms: Mapping[str, NormalForm], goal: Goal) -> dict[str, NormalForm]:
    """Return costs of which the largest is asked for."""
    return dict(forms) if goal == "largest" else {name: normal_form.scale(form, -1) for name, form in forms.items()}


def _list_rests(forms: Mapping[str, NormalForm], winner: str) -> Iterator[tuple[Term, int]]:
    """Yield what a winner is more than each other cost, and the least sign of it: of equal ones the first wins."""
    least = 1
    for name, form in forms.items():
        if name == winner:
            least = 0
        else:
            yield term_of(normal_form.add(forms[winner], normal_form.scale(form, -1))), least


def find_winners(formulas: Sequence[Term], over: str, range_: Range) -> list[Any]:
    """Return the intervals on which one of several formulas is the largest; labels are places in the list."""
    cells: list[tuple[Cell, int]] = []
    for piece in find_pieces(formulas, over, [range_.cell]):
        cells += _find_winners_on(piece.cell, piece.polynomials)

    def winner_at(point: int) -> int:
        values = [terms.evaluate(formula, {over: point}) for formula in formulas]
        return values.index(max(values))

    return join_cells(cells, range_, winner_at)


def _find_winners_on(cell: Cell, polynomials: Sequence[univariate.Coefficients]) -> list[tuple[Cell, int]]:
    """Return the stretches of a cell on which one polynomial is the largest, the first of equal ones."""
    found: list[tuple[Cell, int]] = []
    first = cell.first
    while True:
        values = [univariate.value_at(polynomial, first) for polynomial in polynomials]
        winner = values.index(max(values))
        ends: list[int] = []
        for place, polynomial in enumerate(polynomials):
            if place == winner:
                continue
            rest = univariate.subtract(polynomial, polynomials[winner])
            least = 0 if place < winner else 1  # of equal ones the first wins
            runs = univariate.find_signs(rest, first, cell.last)
            ends += [run.first for run in runs if run.sign >= least][:1]
        last = min(ends) - 1 if ends else cell.last
        found.append((Cell(cell.modulus, cell.residue, first, last), winner))
        if not ends:
            return found
        first = min(ends)


def over_one_denominator(fractions: list[tuple[NormalForm, NormalForm]], over: str) -> list[NormalForm]:
    """Return the numerators of quotients with one denominator, which must be a number."""
    if any(not normal_form.is_constant(below) for _, below in fractions):
        raise FormulaError("a cost divides by a size", place=over, remedy="compare products instead of quotients")
    return [normal_form.scale(above, normal_form.power(below, -1)[normal_form.ONE]) for above, below in fractions]


def _certify(
    forms: Mapping[str, NormalForm], found: Sequence[Regime], over: str, domain: Domain
) -> tuple[SignTable, ...]:
    """Return, for each regime with a winner and each other cost, that it is at least as much there."""
    certificates: list[SignTable] = []
    for regime in found:
        if regime.winner is None:
            continue
        range_ = domain.restrict(over, minimum=regime.first, maximum=regime.last).ranges[over]
        for rest, _ in _list_rests(forms, regime.winner):
            certificates.append(SignTable.make(rest, over, range_))
    return tuple(certificates)


def _as_formula(found: Sequence[Regime], symbol: sympy.Symbol) -> sympy.Expr | None:
    """Return the number of the winner as a formula of brackets; None where a residue decides."""
    if any(each.winner is None for each in found):
        return None
    cases = [(sympy.Symbol(each.winner), sympy.true if each.last is None else symbol <= each.last) for each in found]
    return sympy.Piecewise(*cases)


def _say(found: Sequence[Regime], over: str, goal: Goal) -> str:
    parts = []
    for each in found[:6]:
        end = "on" if each.last is None else f"to {each.last}"
        who = "which is decided by the residue" if each.winner is None else each.winner
        where = f"at {over} = {each.first}" if each.first == each.last else f"from {over} = {each.first} {end}"
        parts.append(f"{who} {where}")
    more = f", and {len(found) - 6} more regimes" if len(found) > 6 else ""
    return f"The {goal} is {'; '.join(parts)}{more}."
