"""Regimes over two sizes: the cells of a plane by which cost is the largest, with their borders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sympy
from attrs import evolve, field, frozen

from modelmeter.scaling import normal_form
from modelmeter.scaling.certificate import Certificate, SignTable
from modelmeter.scaling.closed_form import ClosedForm, solve_at_least_zero
from modelmeter.scaling.context import Context
from modelmeter.scaling.domain import Domain, Range
from modelmeter.scaling.quantity import Operand, Quantity, as_quantity
from modelmeter.scaling.question import Bounds, ask, read_fraction, term_of
from modelmeter.scaling.regimes import Goal, Regime, Regimes, over_one_denominator, regimes
from modelmeter.scaling.settle import leave_brackets
from modelmeter.scaling.shift import replace
from modelmeter.scaling.statement import Statement, expect_answer, expect_only, symbols_of
from modelmeter.scaling.terms import Term
from modelmeter.support.errors import CertificateError, FormulaError
from modelmeter.support.frozen_mapping import freeze_mapping

MOST_ROWS = 512
"""The first size of a map has at most so many values."""


@frozen(kw_only=True)
class RegimeRows:
    """Values of the first size in a row at which the same costs follow each other along the second.

    Parameters
    ----------
    first, last
        The values.
    winners
        The costs in order along the second size.
    borders
        For each value, the first sizes of each regime but the first.
    """

    first: int
    last: int
    winners: tuple[str | None, ...]
    borders: tuple[tuple[int, ...], ...]

    def to_json(self) -> dict[str, Any]:
        """Return the rows as JSON."""
        return {
            "first": self.first, "last": self.last, "winners": list(self.winners),
            "borders": [list(each) for each in self.borders],
        }  # fmt: skip


@frozen(kw_only=True)
class RegimeMap(Statement):
    """Which of several costs is the largest, or the smallest, over two sizes.

    Parameters
    ----------
    over
        The two sizes.
    goal
        ``largest`` or ``smallest``.
    rows
        In order of the first size; they cover its domain.
    curves
        Borders in closed form, by the two costs they are between: the second size from which on the second cost is at
        least as much as the first, as a formula of the first size; only those that have one.
    costs
        By name, the numerator and the denominator of each over both sizes, in normal form.
    """

    over: tuple[str, str]
    goal: Goal
    rows: tuple[RegimeRows, ...]
    curves: Mapping[tuple[str, str], sympy.Expr]
    costs: Mapping[str, tuple[Term, Term]] = field(converter=freeze_mapping, repr=False)

    def winner_at(self, first: int, second: int) -> str | None:
        """Return which cost it is at two sizes."""
        for row in self.rows:
            if row.first <= first <= row.last:
                step = self.domain.ranges[self.over[0]].multiple_of
                borders = row.borders[(first - row.first) // step]
                return row.winners[sum(border <= second for border in borders)]
        raise FormulaError("a size is outside of the domain", place=self.over[0], found=first)

    def _check_answer(self) -> None:
        """Check each row with its certificates, and the borders in closed form."""
        if tuple(self.domain.ranges) != self.over:
            raise CertificateError("a statement is of other sizes", place=self.question, found=self.over)
        across, along = self.over
        tables = expect_only(self, SignTable)
        values = list(self.domain.ranges[across].sample(MOST_ROWS))
        rows = [(row, borders) for row in self.rows for borders in row.borders]
        ends = [(row.first, row.last, len(row.borders)) for row in self.rows]
        found: list[RegimeRows] = []
        for value, (row, borders) in zip(values, rows, strict=False):
            regimes_of_row = _read_row(row.winners, borders, self.domain.ranges[along])
            count = sum(len(self.costs) - 1 for each in regimes_of_row if each.winner is not None)
            statement = Regimes(
                question=f"{self.question}, {across} = {value}", formula=None, value=None, sentence="",
                domain=Domain({along: self.domain.ranges[along]}), certificates=tuple(tables[:count]), over=along,
                goal=self.goal, regimes=regimes_of_row, costs=_costs_at(self.costs, across, value, along),
            )  # fmt: skip
            statement.check_tables(tables[:count])
            del tables[:count]
            _append(found, value, statement)
        if tables or len(values) != len(rows) or ends != [(row.first, row.last, len(row.borders)) for row in found]:
            raise CertificateError("the rows do not cover the domain", place=self.question)
        symbols = symbols_of(self.over, *self.curves.values())
        expect_answer(
            self, value=None, formula=None,
            question=f"{self.goal} of {', '.join(self.costs)} over {across} and {along}",
            curves=_find_curves(self.costs, self.rows, self.over, self.domain, symbols),
        )  # fmt: skip

    def details(self) -> Mapping[str, Any]:
        """Return what this has beside the others, as JSON."""
        return {
            "over": list(self.over), "goal": self.goal, "rows": [row.to_json() for row in self.rows],
            "curves": [{"between": list(pair), "border": str(curve)} for pair, curve in self.curves.items()],
        }  # fmt: skip


def regime_map(
    costs: Mapping[str, Operand], over: tuple[str, str], *, bounds: Bounds, goal: Goal = "largest"
) -> RegimeMap:
    """Return which of several costs is the largest over two sizes, exactly, row by row.

    Parameters
    ----------
    costs
        By name: quantities of one unit.
    over
        Two sizes; the first takes each of its values, and needs an end.
    bounds
        Of the sizes.
    goal
        ``smallest`` for what is cheapest.

    Raises
    ------
    UnknownNameError
        If there is no such size.
    FormulaError
        If the first size has no end or too many values, or a row has no regimes.
    """
    quantities = {name: as_quantity(each) for name, each in costs.items()}
    question = ask(list(quantities.values()), over, bounds=bounds)
    across, along = over
    range_ = question.domain.ranges[across]
    values = list(range_.sample(MOST_ROWS + 1))
    if range_.last is None or len(values) > MOST_ROWS:
        raise FormulaError("a map needs an end of its first size", place=across, expected=f"at most {MOST_ROWS} values")
    fractions = {
        name: (term_of(above), term_of(below))
        for name, (above, below) in zip(quantities, map(read_fraction, question.formulas), strict=True)
    }
    rows: list[RegimeRows] = []
    certificates: list[Certificate] = []
    filled = {
        name: Quantity(formula=formula, name=name, unit=each.unit, context=Context(dimensions=each.context.dimensions))
        for (name, each), formula in zip(quantities.items(), question.formulas, strict=True)
    }
    for value in values:
        at = {name: each.at(**{across: value}) if each.has_size(across) else each for name, each in filled.items()}
        row = regimes(at, along, bounds={along: question.domain.ranges[along]}, goal=goal)
        certificates += row.certificates
        _append(rows, value, row)
    return RegimeMap(
        question=f"{goal} of {', '.join(quantities)} over {across} and {along}", formula=None, value=None,
        domain=question.domain, sentence=_say(rows, over, goal), certificates=tuple(certificates), over=over, goal=goal,
        rows=tuple(rows), curves=_find_curves(fractions, rows, over, question.domain, question.symbols),
        costs=fractions,
    )  # fmt: skip


def _read_row(winners: Sequence[str | None], borders: Sequence[int], range_: Range) -> tuple[Regime, ...]:
    """Return the regimes of one value of the first size.

    Raises
    ------
    CertificateError
        If there are not as many borders as there must be.
    """
    if len(winners) != len(borders) + 1:
        raise CertificateError("a row has not as many borders as changes", found=borders)
    starts = [range_.first, *borders]
    ends = [*(border - range_.multiple_of for border in borders), range_.last]
    return tuple(
        Regime(first=first, last=last, winner=winner) for first, last, winner in zip(starts, ends, winners, strict=True)
    )


def _costs_at(costs: Mapping[str, tuple[Term, Term]], across: str, value: int, along: str) -> dict[str, Term]:
    """Return the costs at a value of the first size."""
    forms = over_one_denominator(
        [
            (normal_form.read(replace(above, {across: value})), normal_form.read(replace(below, {across: value})))
            for above, below in costs.values()
        ],
        along,
    )
    return dict(zip(costs, map(term_of, forms), strict=True))


def _append(rows: list[RegimeRows], value: int, row: Regimes) -> None:
    winners = tuple(each.winner for each in row.regimes)
    if rows and rows[-1].winners == winners:
        last = rows.pop()
        rows.append(RegimeRows(first=last.first, last=value, winners=winners, borders=(*last.borders, row.borders)))
    else:
        rows.append(RegimeRows(first=value, last=value, winners=winners, borders=(row.borders,)))


def _find_curves(
    costs: Mapping[str, tuple[Term, Term]], rows: Sequence[RegimeRows], over: tuple[str, str], domain: Domain,
    symbols: Mapping[str, sympy.Symbol],
) -> dict[tuple[str, str], sympy.Expr]:  # fmt: skip
    pairs = {pair: None for row in rows for pair in zip(row.winners, row.winners[1:], strict=False) if None not in pair}
    curves: dict[tuple[str, str], sympy.Expr] = {}
    for one, other in pairs:
        if one is None or other is None:
            continue
        try:
            found = _find_curve(costs[other], costs[one], over[1], domain, symbols)
        except FormulaError:  # no closed form: the borders of the rows say where it is
            continue
        if found.side in ("from", "up to") and found.root is not None:
            curves[one, other] = found.root
    return curves


def _find_curve(
    one: tuple[Term, Term], other: tuple[Term, Term], along: str, domain: Domain, symbols: Mapping[str, sympy.Symbol]
) -> ClosedForm:
    """Return where one cost is at least another, both with two free sizes."""
    (above, below), (theirs, under) = ([normal_form.read(each) for each in pair] for pair in (one, other))
    crossed = normal_form.add(
        normal_form.multiply(above, under), normal_form.scale(normal_form.multiply(theirs, below), -1)
    )
    if below != normal_form.constant(1) or under != normal_form.constant(1):
        crossed = normal_form.multiply(crossed, normal_form.multiply(below, under))
    ordered = evolve(domain, ranges={name: domain.ranges[name] for name in (along, *domain.ranges)})
    return solve_at_least_zero(crossed, along, leave_brackets(crossed, along, ordered), symbols)


def _say(rows: list[RegimeRows], over: tuple[str, str], goal: Goal) -> str:
    parts = [
        f"from {over[0]} = {row.first} to {row.last}, along {over[1]}, {', then '.join(map(str, row.winners))}"
        for row in rows[:4]
    ]
    more = f", and {len(rows) - 4} more" if len(rows) > 4 else ""
    return f"The {goal} is {'; '.join(parts)}{more}."
