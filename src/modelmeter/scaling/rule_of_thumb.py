"""How wrong a rule of thumb is: its error as a formula, and the largest error on a box."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from itertools import product
from typing import Any

import sympy
from attrs import frozen

from modelmeter.scaling import box, normal_form, terms
from modelmeter.scaling.box_sign import BoxSign
from modelmeter.scaling.certificate import Certificate, SignTable
from modelmeter.scaling.domain import number_to_json
from modelmeter.scaling.extremes import certify_bound, find_extremes
from modelmeter.scaling.normal_form import NormalForm
from modelmeter.scaling.quantity import Operand, of_one_unit
from modelmeter.scaling.question import Bounds, Question, ask, read_fraction, term_of
from modelmeter.scaling.statement import PROVED, Statement, expect_answer, hedge
from modelmeter.scaling.terms import Number, simplest
from modelmeter.support.errors import FormulaError


@frozen(kw_only=True)
class RuleOfThumb(Statement):
    """The error of a rule, ``rule / exact - 1``, as a formula; ``value`` is the supremum of its absolute value.

    Parameters
    ----------
    over
        The free sizes.
    lowest, highest
        The infimum and the supremum of the error on the domain; None: it has none.
    lowest_at, highest_at
        Where they are attained, by size; None: nowhere, they are only tended to.
    """

    over: tuple[str, ...]
    lowest: Number | None
    highest: Number | None
    lowest_at: Mapping[str, int] | None
    highest_at: Mapping[str, int] | None

    def _check_answer(self) -> None:
        """Check that no sign is negative in the certificates of bounds."""
        for table in self.certificates:
            if isinstance(table, SignTable):
                expect_answer(self, min(each.sign for each in table.cells) >= 0, True)

    def details(self) -> Mapping[str, Any]:
        """Return what this has beside the others, as JSON."""
        return {
            "over": list(self.over),
            "lowest": None if self.lowest is None else number_to_json(self.lowest),
            "highest": None if self.highest is None else number_to_json(self.highest),
            "lowest_at": None if self.lowest_at is None else dict(self.lowest_at),
            "highest_at": None if self.highest_at is None else dict(self.highest_at),
        }


def rule_of_thumb(
    rule: Operand, exact: Operand, over: str | Sequence[str], *, bounds: Bounds | None = None
) -> RuleOfThumb:
    """Return by what part of the exact cost a rule of thumb is wrong.

    Parameters
    ----------
    rule, exact
        What is said and what is so, of one unit; the exact cost must be more than 0.
    over
        The free sizes; over several, each needs an end.
    bounds
        Of these.

    Raises
    ------
    UnknownNameError
        If there is no such size.
    FormulaError
        If units differ, pieces are not found, or the exact cost is not more than 0.
    """
    said, so = of_one_unit(rule, exact)
    question = ask((said, so), over, bounds=bounds)
    one, other = (read_fraction(formula) for formula in question.formulas)
    # r/s / (a/b) - 1 = (r b - a s) / (a s)
    below = normal_form.multiply(other[0], one[1])
    above = normal_form.add(normal_form.multiply(one[0], other[1]), normal_form.scale(below, -1))
    make: _Search = _over_one if len(question.names) == 1 else _over_box
    lowest, highest, known, certificates = make(above, below, question)
    value: Number | None = None
    if lowest[0] is not None and highest[0] is not None:
        value = simplest(max(abs(Fraction(lowest[0])), abs(Fraction(highest[0]))))
    formula = sympy.cancel(
        terms.to_sympy(term_of(above), question.symbols) / terms.to_sympy(term_of(below), question.symbols)
    )
    return RuleOfThumb(
        question=f"{said.name} for {so.name} over {', '.join(question.names)}", formula=formula, value=value,
        domain=question.domain, sentence=hedge(_say(said.name, so.name, lowest, highest), known), known=known,
        certificates=certificates, over=question.names, lowest=lowest[0], highest=highest[0], lowest_at=lowest[1],
        highest_at=highest[1],
    )  # fmt: skip


_Bound = tuple[Number | None, Mapping[str, int] | None]
_Search = Callable[[NormalForm, NormalForm, Question], tuple[_Bound, _Bound, str, tuple[Certificate, ...]]]


def _over_one(
    above: NormalForm, below: NormalForm, question: Question
) -> tuple[_Bound, _Bound, str, tuple[Certificate, ...]]:
    extremes = find_extremes(above, below, question.over, question.range)
    certificates = tuple(
        certify_bound(above, below, each.value, sign, question.over, question.range)
        for each, sign in zip(extremes, (-1, 1), strict=True)
        if each.value is not None
    )
    lowest, highest = ((each.value, None if each.at is None else {question.over: each.at}) for each in extremes)
    return lowest, highest, PROVED, certificates


def _over_box(
    above: NormalForm, below: NormalForm, question: Question
) -> tuple[_Bound, _Bound, str, tuple[Certificate, ...]]:
    """Take the largest and the smallest error at the corners, and prove that there is none beyond."""
    ranges = question.domain.ranges
    if any(each.last is None for each in ranges.values()):
        raise FormulaError(
            "the supremum over several sizes needs an end of each", place=", ".join(ranges),
            remedy="give bounds",
        )  # fmt: skip
    if not box.proves(below, ranges, strict=True):
        raise FormulaError("the exact cost is not proved to be more than 0", place=question.quantities[1].name)
    certificates: list[Certificate] = [BoxSign(term_of(below), ranges, True)]
    errors: list[tuple[Number, Mapping[str, int]]] = []
    for values in product(*((each.first, each.last or 0) for each in ranges.values())):
        corner = dict(zip(ranges, values, strict=True))
        errors.append((_quotient_at(above, below, corner), corner))
    known, found = PROVED, []
    for sign in (-1, 1):
        value, point = max(errors, key=lambda each: each[0] * sign)  # used at once
        rest = normal_form.add(normal_form.scale(below, value * sign), normal_form.scale(above, -sign))
        if box.proves(rest, ranges, strict=False):
            certificates.append(BoxSign(term_of(rest), ranges, False))
        else:
            points: list[Mapping[str, int]] = [
                {name: int(each) for name, each in at.items()} for at in box.list_points(ranges, 2_000)
            ]
            more = [(_quotient_at(above, below, at), at) for at in points] + errors
            value, point = max(more, key=lambda each: each[0] * sign)  # used at once
            known = f"checked on {len(more)} points of the box"
        found.append((value, point))
    return found[0], found[1], known, tuple(certificates)


def _quotient_at(above: NormalForm, below: NormalForm, point: Mapping[str, int]) -> Number:
    return simplest(Fraction(terms.evaluate(term_of(above), point)) / terms.evaluate(term_of(below), point))


def _say(rule: str, exact: str, lowest: _Bound, highest: _Bound) -> str:
    def describe(bound: _Bound) -> str:
        value, at = bound
        if value is None:
            return "without bound"
        where = (
            "which it tends to" if at is None else "at " + ", ".join(f"{name} = {each}" for name, each in at.items())
        )
        return f"{_per_cent(value)} ({where})"

    return f"{rule} is wrong for {exact} by {describe(lowest)} to {describe(highest)}."


def _per_cent(value: Number) -> str:
    """Return a part as per cent with two decimals, rounded to the nearest, without floating point."""
    hundredths = round(Fraction(value) * 10_000)
    whole, rest = divmod(abs(hundredths), 100)
    return f"{'-' if hundredths < 0 else '+'}{whole}.{rest:02d} %"
