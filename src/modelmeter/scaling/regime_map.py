"""Regimes over two sizes: the cells of a plane by which cost is the largest, with their borders."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sympy
from attrs import frozen

from modelmeter.scaling.certificate import Certificate
from modelmeter.scaling.crossover import crossover
from modelmeter.scaling.quantity import Operand, Quantity, as_quantity
from modelmeter.scaling.question import Bounds, ask
from modelmeter.scaling.regimes import Goal, Regimes, regimes
from modelmeter.scaling.statement import Statement
from modelmeter.support.errors import FormulaError

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
    """

    over: tuple[str, str]
    goal: Goal
    rows: tuple[RegimeRows, ...]
    curves: Mapping[tuple[str, str], sympy.Expr]

    def winner_at(self, first: int, second: int) -> str | None:
        """Return which cost it is at two sizes."""
        for row in self.rows:
            if row.first <= first <= row.last:
                step = self.domain.ranges[self.over[0]].multiple_of
                borders = row.borders[(first - row.first) // step]
                return row.winners[sum(border <= second for border in borders)]
        raise FormulaError("a size is outside of the domain", place=self.over[0], found=first)

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
    rows: list[RegimeRows] = []
    certificates: list[Certificate] = []
    filled = {
        name: Quantity(formula=formula, name=name, unit=each.unit)
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
        rows=tuple(rows), curves=_find_curves(quantities, rows, over, bounds),
    )  # fmt: skip


def _append(rows: list[RegimeRows], value: int, row: Regimes) -> None:
    winners = tuple(each.winner for each in row.regimes)
    if rows and rows[-1].winners == winners:
        last = rows.pop()
        rows.append(RegimeRows(first=last.first, last=value, winners=winners, borders=(*last.borders, row.borders)))
    else:
        rows.append(RegimeRows(first=value, last=value, winners=winners, borders=(row.borders,)))


def _find_curves(
    costs: Mapping[str, Any], rows: list[RegimeRows], over: tuple[str, str], bounds: Bounds
) -> dict[tuple[str, str], sympy.Expr]:
    pairs = {pair: None for row in rows for pair in zip(row.winners, row.winners[1:], strict=False) if None not in pair}
    curves: dict[tuple[str, str], sympy.Expr] = {}
    for one, other in pairs:
        if one is None or other is None:
            continue
        try:
            found = crossover(costs[other], costs[one], over[1], bounds=bounds, free=(over[0],))
        except FormulaError:  # no closed form: the borders of the rows say where it is
            continue
        if found.threshold is not None:
            curves[one, other] = found.threshold
    return curves


def _say(rows: list[RegimeRows], over: tuple[str, str], goal: Goal) -> str:
    parts = [
        f"from {over[0]} = {row.first} to {row.last}, along {over[1]}, {', then '.join(map(str, row.winners))}"
        for row in rows[:4]
    ]
    more = f", and {len(rows) - 4} more" if len(rows) > 4 else ""
    return f"The {goal} is {'; '.join(parts)}{more}."
