"""Where one cost overtakes another: the first integer from which it is at least as much, never, or always."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import sympy
from attrs import frozen

from modelmeter.scaling import normal_form
from modelmeter.scaling.certificate import SignTable
from modelmeter.scaling.closed_form import ClosedForm, replay_closed_form, solve_at_least_zero
from modelmeter.scaling.domain import Range
from modelmeter.scaling.normal_form import NormalForm
from modelmeter.scaling.quantity import Operand, of_one_unit
from modelmeter.scaling.question import Bounds, Question, ask, read_sign_form, term_of
from modelmeter.scaling.roots import find_root, round_root
from modelmeter.scaling.settle import leave_brackets
from modelmeter.scaling.signs import SignInterval, Signs, find_signs, read_signs
from modelmeter.scaling.statement import Interval, Statement, expect_answer, expect_only, expect_range, hedge
from modelmeter.scaling.terms import Number

Outcome = Literal["always", "never", "from", "up to", "only", "by residue"]
"""``from``: from ``value`` on without end, and not just before. ``up to``: with free sizes, up to the formula.
``only``: on some intervals, and not in the end. ``by residue``: in the end on some residue classes only."""


@frozen(kw_only=True)
class Crossover(Statement):
    """Where ``a >= b``.

    ``value`` is the first integer from which ``a >= b`` holds at every integer of the domain: the least of the domain
    for ``always``; None for all outcomes but ``always`` and ``from``.

    Parameters
    ----------
    over
        The size.
    outcome
        How it ends.
    holds
        All intervals of integers where ``a >= b``.
    threshold
        The real number where the two are equal, where the formula says it: the integer is this rounded up.
    condition
        With free sizes: what must be more than 0 for the answer; where it is not, ``a >= b`` holds never, or for
        ``up to`` always.
    """

    over: str
    outcome: Outcome
    holds: tuple[Interval, ...] = ()
    threshold: sympy.Expr | None = None
    condition: sympy.Expr | None = None

    def _check_answer(self) -> None:
        """Check that everything said is what the signs, or the closed form, say."""
        if len(self.domain.ranges) > 1:
            found = replay_closed_form(self, self.over, self.formula, self.threshold, self.condition)
            expect_answer(self, **_read_closed_form(found), holds=(), value=None)
            return
        (table,) = expect_only(self, SignTable, 1)
        expect_range(self, table.name, table.range)
        form = normal_form.read(table.formula)
        expect_answer(
            self, over=table.name, condition=None, **_read_signs(read_signs(table), form, table.name, table.range)
        )

    def _fit(self, value: Number | None) -> Number | None:
        """Return the first size of the domain from a number on, or the last up to it, as the outcome says.

        Where no number bounds it, ``a >= b`` holds never, or for ``always`` and ``up to`` everywhere.
        """
        range_ = self.domain.ranges[self.over]
        if self.outcome == "up to":
            return range_.last if value is None else range_.round_down(value)
        if self.outcome == "always":
            return range_.first
        return None if value is None else range_.round_up(value)

    def details(self) -> Mapping[str, Any]:
        """Return what a crossover has beside the others, as JSON."""
        return {
            "over": self.over,
            "outcome": self.outcome,
            "holds": [[each.first, each.last] for each in self.holds],
            "threshold": None if self.threshold is None else str(self.threshold),
            "condition": None if self.condition is None else f"{self.condition} > 0",
        }


def crossover(
    a: Operand, b: Operand, over: str, *, bounds: Bounds | None = None, free: Sequence[str] = ()
) -> Crossover:
    """Return where ``a >= b`` over a size: from which integer on, only at some, never, or always.

    Parameters
    ----------
    a, b
        Quantities of one unit, or numbers.
    over
        The size that grows. All others have their defaults, or what :meth:`Quantity.at` says.
    bounds
        Bounds of free sizes, where they do not go from their least value on without end.
    free
        More sizes that stay symbols: then the answer is a formula of them, of degree 1 or 2 in ``over``.

    Raises
    ------
    UnknownNameError
        If there is no such size.
    FormulaError
        If the units differ, or a symbol has no value.

    Examples
    --------
    >>> import modelmeter
    >>> from modelmeter import scaling
    >>> prefill = scaling.stage(modelmeter.load(), "prefill")
    >>> attention = prefill.operator("scaled_dot_product_attention").tensor_core_flops
    >>> answer = scaling.crossover(attention, prefill.modules("*.mlp").tensor_core_flops, over="seq_len")
    >>> answer.value, answer.threshold
    (10742, 32224/3)
    """
    one, other = of_one_unit(a, b)
    question = ask((one, other), over, bounds=bounds, free=free)
    form = compare(question)
    if len(question.names) > 1:
        return _with_free_sizes(one.name, other.name, question, form)
    signs = find_signs(term_of(form), over, question.range)
    domain = signs.narrow(question.domain, over)
    found = _read_signs(signs, form, over, domain.ranges[over])
    sentence = _say(one.name, other.name, over, found["outcome"], found["value"], found["holds"], domain.ranges[over])
    return Crossover(
        question=f"{one.name} >= {other.name} over {over}", domain=domain, sentence=hedge(sentence, signs.known),
        known=signs.known, certificates=signs.certificates, over=over, **found,
    )  # fmt: skip


def _read_signs(signs: Signs, form: NormalForm, over: str, range_: Range) -> dict[str, Any]:
    """Return all that the signs of a difference say, by field."""
    outcome, value = _read_outcome(signs.intervals, range_)
    threshold = find_root(form, over, value, sympy.ceiling, range_) if outcome == "from" else None
    return {
        "outcome": outcome, "value": value, "holds": signs.where(0, 1), "threshold": threshold,
        "formula": _closed_form(outcome, value, threshold),
    }  # fmt: skip


def _read_closed_form(found: ClosedForm) -> dict[str, Any]:
    """Return all that a closed form says, by field."""
    rounded = {"from": sympy.ceiling, "up to": sympy.floor}.get(found.side)
    formula = None if found.root is None or rounded is None else rounded(found.root)
    return {
        "outcome": found.side, "formula": formula, "threshold": found.root if formula is not None else None,
        "condition": found.condition,
    }  # fmt: skip


def _with_free_sizes(a: str, b: str, question: Question, form: NormalForm) -> Crossover:
    over = question.over
    domain = leave_brackets(form, over, question.domain)
    found = solve_at_least_zero(form, over, domain, question.symbols)
    answer = _read_closed_form(found)
    formula, condition = answer["formula"], answer["condition"]
    where = {
        "from": f"from {over} = {formula} on", "up to": f"up to {over} = {formula}", "always": f"at every {over}",
        "never": f"at no {over}",
    }[found.side]  # fmt: skip
    elsewhere = "always" if found.side == "up to" else "never"
    only = "" if condition is None else f" where {condition} > 0, and {elsewhere} where it is not"
    return Crossover(
        question=f"{a} >= {b} over {over}", value=None, domain=domain,
        sentence=f"{a} is at least {b} {where}{only}.", certificates=found.certificates, over=over, **answer,
    )  # fmt: skip


def compare(question: Question) -> NormalForm:
    """Return what has the sign of the difference of two quantities."""
    return read_sign_form(question.formulas[0] - question.formulas[1])


def _read_outcome(intervals: tuple[SignInterval, ...], range_: Range) -> tuple[Outcome, int | None]:
    last = intervals[-1]
    if all(each.sign is not None and each.sign >= 0 for each in intervals):
        return "always", range_.first
    if all(each.sign == -1 for each in intervals):
        return "never", None
    if last.sign is None:
        return "by residue", None
    if last.sign < 0:
        return "only", None
    first = last.first
    for each in reversed(intervals):
        if each.sign is None or each.sign < 0:
            break
        first = each.first
    return "from", first


def _closed_form(outcome: Outcome, value: int | None, threshold: sympy.Expr | None) -> sympy.Expr | None:
    if threshold is not None:
        return round_root(threshold, sympy.ceiling)
    return None if value is None else sympy.Integer(value)


def _say(
    a: str, b: str, over: str, outcome: Outcome, value: int | None, holds: tuple[Interval, ...], range_: Range
) -> str:
    subject = f"{a} is at least {b}"
    if outcome == "always":
        return f"{subject} at every {over} {range_}."
    if outcome == "never":
        return f"{subject} at no {over} {range_}."
    if outcome == "by residue":
        return f"{subject} in the end at some residue classes of {over} only."
    where = " and ".join(str(each) for each in holds[:4]) + (" and so on" if len(holds) > 4 else "")
    if outcome == "only":
        return f"{subject} only {where} of {over}, and at no larger one."
    before = f", and before that only {where.rpartition(' and ')[0]}" if len(holds) > 1 else ", and not before"
    return f"{subject} from {over} = {value} on{before}."
