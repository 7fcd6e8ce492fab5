"""The largest size within a budget, and the smallest that reaches a target."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sympy
from attrs import frozen

from modelmeter.scaling import univariate
from modelmeter.scaling.crossover import compare, of_one_unit, read_coefficients
from modelmeter.scaling.domain import Range
from modelmeter.scaling.normal_form import NormalForm
from modelmeter.scaling.quantity import Operand, Quantity
from modelmeter.scaling.question import Bounds, ask, term_of
from modelmeter.scaling.signs import Signs, find_signs
from modelmeter.scaling.statement import Interval, Statement


@frozen(kw_only=True)
class Largest(Statement):
    """The largest integer at which a quantity is within a budget: it is more at every larger one.

    ``value`` is None where it is within the budget nowhere, or at ever larger integers: see ``outcome``.

    Parameters
    ----------
    over
        The size.
    outcome
        ``at``: the value; ``never``: over the budget everywhere; ``unbounded``: within it however large the size.
    fits
        All intervals of integers within the budget; the quantity need not be within it at every smaller one.
    """

    over: str
    outcome: str
    fits: tuple[Interval, ...]

    def details(self) -> Mapping[str, Any]:
        """Return what this has beside the others, as JSON."""
        return {
            "over": self.over, "outcome": self.outcome, "fits": [[each.first, each.last] for each in self.fits],
        }  # fmt: skip


@frozen(kw_only=True)
class Smallest(Largest):
    """The smallest integer at which a quantity reaches a target; ``fits`` are all that do."""


def largest(over: str, *, of: Quantity, under: Operand, bounds: Bounds | None = None) -> Largest:
    """Return the largest integer at which a quantity is at most a budget.

    Parameters
    ----------
    over
        The size.
    of
        The quantity, such as the bytes of a request.
    under
        The budget: a quantity of the same unit, or a number.
    bounds
        Bounds of the size.

    Raises
    ------
    UnknownNameError
        If there is no such size.
    FormulaError
        If the units differ, or a symbol has no value.
    """
    one, other = of_one_unit(under, of)
    question = ask((one, other), over, bounds=bounds)
    form = compare(question)
    signs = find_signs(term_of(form), over, question.range)
    fits = signs.where(0, 1)
    outcome, value = _find_last(signs, fits, question.range)
    exact = _root(form, over, value, sympy.floor)
    texts = {
        "at": f"{other.name} is within {one.name} up to {over} = {value}, and more at every larger one.",
        "never": f"{other.name} is more than {one.name} at every {over} {question.range}.",
        "unbounded": f"{other.name} is within {one.name} at ever larger {over}: there is no largest.",
    }
    if outcome == "at" and len(fits) > 1:
        texts["at"] = (
            f"{other.name} is within {one.name} at {over} = {value} and at no larger one, but not at every smaller one."
        )
    return Largest(
        question=f"largest {over} with {other.name} <= {one.name}", formula=exact, value=value, domain=question.domain,
        sentence=texts[outcome], known=signs.known, certificates=() if signs.table is None else (signs.table,),
        over=over, outcome=outcome, fits=fits,
    )  # fmt: skip


def smallest(over: str, *, of: Quantity, at_least: Operand, bounds: Bounds | None = None) -> Smallest:
    """Return the smallest integer at which a quantity is at least a target; it need not stay so.

    Raises
    ------
    UnknownNameError
        If there is no such size.
    FormulaError
        If the units differ, or a symbol has no value.
    """
    one, other = of_one_unit(of, at_least)
    question = ask((one, other), over, bounds=bounds)
    form = compare(question)
    signs = find_signs(term_of(form), over, question.range)
    fits = signs.where(0, 1)
    value = fits[0].first if fits else _first_mixed(signs)
    outcome = "never" if value is None else "at"
    exact = _root(form, over, value, sympy.ceiling)
    texts = {
        "at": f"{one.name} is at least {other.name} at {over} = {value}, and at no smaller one.",
        "never": f"{one.name} is less than {other.name} at every {over} {question.range}.",
    }
    return Smallest(
        question=f"smallest {over} with {one.name} >= {other.name}", formula=exact, value=value,
        domain=question.domain, sentence=texts[outcome], known=signs.known,
        certificates=() if signs.table is None else (signs.table,), over=over, outcome=outcome, fits=fits,
    )  # fmt: skip


def _find_last(signs: Signs, fits: tuple[Interval, ...], range_: Range) -> tuple[str, int | None]:
    last = signs.intervals[-1]
    if last.sign is None or (last.sign >= 0 and last.last is None):
        return "unbounded", None
    return ("at", fits[-1].last) if fits else ("never", None)


def _first_mixed(signs: Signs) -> int | None:
    """Return the first point that fits in an interval where the residue decides."""
    for each in signs.intervals:
        if each.sign is None and signs.table is not None:
            step = signs.table.range.multiple_of
            point = each.first
            while signs.table.sign_at(point) < 0:
                point += step
            return point
    return None


def _root(form: NormalForm, over: str, value: int | None, rounding: Any) -> sympy.Expr | None:
    """Return the rounded root of a difference up to degree 2 that is the value, or the value itself."""
    if value is None:
        return None
    coefficients = read_coefficients(form, over)
    for root in () if coefficients is None else univariate.list_roots(coefficients):
        if rounding(root) == value:
            return rounding(root, evaluate=False)
    return sympy.Integer(value)
