"""The largest size within a budget, and the smallest that reaches a target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any, ClassVar

import sympy
from attrs import frozen

from modelmeter.scaling import normal_form
from modelmeter.scaling.certificate import SignTable
from modelmeter.scaling.closed_form import ClosedForm, replay_closed_form, solve_at_least_zero
from modelmeter.scaling.crossover import compare
from modelmeter.scaling.domain import Range
from modelmeter.scaling.normal_form import NormalForm
from modelmeter.scaling.quantity import Operand, Quantity, of_one_unit
from modelmeter.scaling.question import Bounds, Question, ask, term_of
from modelmeter.scaling.roots import find_root, round_root
from modelmeter.scaling.settle import leave_brackets
from modelmeter.scaling.signs import Signs, find_signs, read_signs
from modelmeter.scaling.statement import Interval, Statement, expect_answer, expect_only, expect_range, hedge
from modelmeter.scaling.terms import Number
from modelmeter.support.errors import FormulaError


@frozen(kw_only=True)
class Largest(Statement):
    """The largest integer at which a quantity is within a budget: it exceeds it at every larger one.

    ``value`` is None where it is within the budget nowhere, or at ever larger integers: see ``outcome``.

    Parameters
    ----------
    over
        The size.
    outcome
        ``at``: the value; ``never``: over the budget everywhere; ``unbounded``: within it however large the size.
    fits
        All intervals of integers within the budget; the quantity need not be within it at every smaller one.
    condition
        With free sizes: what must be more than 0 for the answer; where it is not, the quantity is always within the
        budget.
    """

    over: str
    outcome: str
    fits: tuple[Interval, ...] = ()
    condition: sympy.Expr | None = None

    rounding: ClassVar[Any] = sympy.floor

    def _check_answer(self) -> None:
        """Check that everything said is what the signs, or the closed form, say."""
        if len(self.domain.ranges) > 1:
            found = replay_closed_form(self, self.over, self.formula, self.condition)
            answer = self._read_closed_form(found, self.domain.ranges[self.over])
            expect_answer(self, **answer, value=None, fits=())
            return
        (table,) = expect_only(self, SignTable, 1)
        expect_range(self, table.name, table.range)
        form = normal_form.read(table.formula)
        answer = self._read_signs(read_signs(table), form, table.name, table.range)
        expect_answer(self, over=table.name, condition=None, **answer)

    @classmethod
    def _read_signs(cls, signs: Signs, form: NormalForm, over: str, range_: Range) -> dict[str, Any]:
        """Return all that the signs of a difference say, by field."""
        outcome, value = cls._read(signs)
        formula = _closed_form(form, over, value, cls.rounding, range_)
        return {"outcome": outcome, "value": value, "fits": signs.where(0, 1), "formula": formula}

    @staticmethod
    def _read_closed_form(found: ClosedForm, range_: Range) -> dict[str, Any]:
        """Return all that a closed form says, by field."""
        if found.side == "from":
            raise FormulaError("a quantity falls as the size grows: there is no largest")
        return {
            "outcome": {"up to": "at", "always": "unbounded", "never": "never"}[found.side],
            "formula": sympy.floor(found.root) if found.side == "up to" else None, "condition": found.condition,
        }  # fmt: skip

    @staticmethod
    def _read(signs: Signs) -> tuple[str, int | None]:
        """Return outcome and value."""
        for each in reversed(signs.intervals):
            if each.sign is not None and each.sign < 0:
                continue
            if each.last is None:
                return "unbounded", None
            if each.sign is not None:
                return "at", each.last
            assert signs.table is not None  # the residue decides: the last that fits
            points = range(each.last, each.first - 1, -signs.table.range.multiple_of)
            return "at", next(point for point in points if signs.table.sign_at(point) >= 0)
        return "never", None

    def _fit(self, value: Number | None) -> Number | None:
        """Return the largest size of the domain up to a number; None: no number bounds it."""
        range_ = self.domain.ranges[self.over]
        if self.outcome == "never":
            return None
        return range_.last if value is None else range_.round_down(value)

    def details(self) -> Mapping[str, Any]:
        """Return what this has beside the others, as JSON."""
        return {
            "over": self.over, "outcome": self.outcome, "fits": [[each.first, each.last] for each in self.fits],
        }  # fmt: skip


@frozen(kw_only=True)
class Smallest(Largest):
    """The smallest integer at which a quantity reaches a target; ``fits`` are all that do."""

    rounding: ClassVar[Any] = sympy.ceiling

    def _fit(self, value: Number | None) -> Number | None:
        """Return the smallest size of the domain from a number on; None: there is none."""
        return None if value is None else self.domain.ranges[self.over].round_up(value)

    @staticmethod
    def _read_closed_form(found: ClosedForm, range_: Range) -> dict[str, Any]:
        """Return all that a closed form says, by field."""
        if found.side == "up to":
            raise FormulaError("a quantity falls as the size grows: ask for the largest")
        formula = sympy.Integer(range_.first) if found.side == "always" else None
        formula = sympy.ceiling(found.root) if found.side == "from" else formula
        return {"outcome": "never" if formula is None else "at", "formula": formula, "condition": found.condition}

    @staticmethod
    def _read(signs: Signs) -> tuple[str, int | None]:
        """Return outcome and value."""
        for each in signs.intervals:
            if each.sign is None and signs.table is not None:  # the residue decides: the first that fits
                step = signs.table.range.multiple_of
                return "at", next(point for point in count(each.first, step) if signs.table.sign_at(point) >= 0)
            if each.sign is not None and each.sign >= 0:
                return "at", each.first
        return "never", None


def largest(
    over: str, *, of: Quantity, under: Operand, bounds: Bounds | None = None, free: Sequence[str] = ()
) -> Largest:
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
        Bounds of free sizes.
    free
        More sizes that stay symbols, such as the bytes of a card: then the answer is a formula of them.

    Raises
    ------
    UnknownNameError
        If there is no such size.
    FormulaError
        If the units differ, or a symbol has no value.
    """
    one, other = of_one_unit(under, of)
    question = ask((one, other), over, bounds=bounds, free=free)
    form = compare(question)
    if len(question.names) > 1:
        return _with_free_sizes(other.name, one.name, question, form)
    signs = find_signs(term_of(form), over, question.range)
    domain = signs.narrow(question.domain, over)
    found = Largest._read_signs(signs, form, over, domain.ranges[over])
    outcome, value, fits = found["outcome"], found["value"], found["fits"]
    texts = {
        "at": f"{other.name} is at most {one.name} up to {over} = {value}, and exceeds it at every larger one.",
        "never": f"{other.name} is more than {one.name} at every {over} {domain.ranges[over]}.",
        "unbounded": f"{other.name} is at most {one.name} at ever larger {over}: there is no largest.",
    }
    if outcome == "at" and value == domain.ranges[over].last:
        texts["at"] = f"{other.name} is at most {one.name} at {over} = {value}, the largest that was asked for."
    elif outcome == "at" and len(fits) > 1:
        texts["at"] = (
            f"{other.name} is at most {one.name} at {over} = {value} and at no larger one, but not at all smaller ones."
        )
    return Largest(
        question=f"largest {over} with {other.name} <= {one.name}", domain=domain,
        sentence=hedge(texts[outcome], signs.known), known=signs.known, certificates=signs.certificates, over=over,
        **found,
    )  # fmt: skip


def _with_free_sizes(cost: str, budget: str, question: Question, form: NormalForm) -> Largest:
    over = question.over
    domain = leave_brackets(form, over, question.domain)
    found = solve_at_least_zero(form, over, domain, question.symbols)
    if found.side == "from":
        raise FormulaError("a quantity falls as the size grows: there is no largest", place=over, found=cost)
    answer = Largest._read_closed_form(found, domain.ranges[over])
    formula = answer["formula"]
    only = "" if found.condition is None else f" where {found.condition} > 0, and always where it is not"
    sentence = {
        "up to": f"{cost} is at most {budget} up to {over} = {formula}{only}.",
        "always": f"{cost} is at most {budget} at every {over}.", "never": f"{cost} is at most {budget} at no {over}.",
    }[found.side]  # fmt: skip
    return Largest(
        question=f"largest {over} with {cost} <= {budget}", value=None, domain=domain, sentence=sentence,
        certificates=found.certificates, over=over, **answer,
    )  # fmt: skip


def smallest(
    over: str, *, of: Quantity, at_least: Operand, bounds: Bounds | None = None, free: Sequence[str] = ()
) -> Smallest:
    """Return the smallest integer at which a quantity is at least a target; it need not stay so.

    With more ``free`` sizes the answer is a formula of them.

    Raises
    ------
    UnknownNameError
        If there is no such size.
    FormulaError
        If the units differ, or a symbol has no value.
    """
    one, other = of_one_unit(of, at_least)
    question = ask((one, other), over, bounds=bounds, free=free)
    form = compare(question)
    if len(question.names) > 1:
        return _smallest_with_free_sizes(one.name, other.name, question, form)
    signs = find_signs(term_of(form), over, question.range)
    domain = signs.narrow(question.domain, over)
    found = Smallest._read_signs(signs, form, over, domain.ranges[over])
    outcome, value = found["outcome"], found["value"]
    texts = {
        "at": f"{one.name} is at least {other.name} at {over} = {value}, and at no smaller one.",
        "never": f"{one.name} is less than {other.name} at every {over} {domain.ranges[over]}.",
    }
    return Smallest(
        question=f"smallest {over} with {one.name} >= {other.name}", domain=domain,
        sentence=hedge(texts[outcome], signs.known), known=signs.known, certificates=signs.certificates, over=over,
        **found,
    )  # fmt: skip


def _smallest_with_free_sizes(cost: str, target: str, question: Question, form: NormalForm) -> Smallest:
    over = question.over
    domain = leave_brackets(form, over, question.domain)
    found = solve_at_least_zero(form, over, domain, question.symbols)
    if found.side == "up to":
        raise FormulaError("a quantity falls as the size grows: ask for the largest", place=over, found=cost)
    answer = Smallest._read_closed_form(found, domain.ranges[over])
    formula = answer["formula"]
    only = "" if found.condition is None else f" where {found.condition} > 0, and nowhere where it is not"
    where = "no" if formula is None else f"{over} = {formula} and at no smaller one"
    return Smallest(
        question=f"smallest {over} with {cost} >= {target}", value=None, domain=domain,
        sentence=f"{cost} is at least {target} at {where}{only}.", certificates=found.certificates, over=over, **answer,
    )  # fmt: skip


def _closed_form(form: NormalForm, over: str, value: int | None, rounding: Any, range_: Range) -> sympy.Expr | None:
    """Return the rounded root that is the value, or the value itself."""
    root = find_root(form, over, value, rounding, range_)
    if root is None:
        return None if value is None else sympy.Integer(value)
    return round_root(root, rounding)
