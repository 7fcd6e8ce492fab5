"""The integer at which a cost is smallest, or a benefit largest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import sympy
from attrs import field, frozen

from modelmeter.scaling import normal_form
from modelmeter.scaling.certificate import Certificate, SignTable
from modelmeter.scaling.domain import number_to_json
from modelmeter.scaling.extremes import certify_bound, find_extremes, find_zero, rest_of_bound
from modelmeter.scaling.order import find_tail
from modelmeter.scaling.pieces import Pieces
from modelmeter.scaling.quantity import Operand, as_quantity
from modelmeter.scaling.question import Bounds, ask, read_fraction, term_of
from modelmeter.scaling.regimes import Goal
from modelmeter.scaling.statement import (
    Statement,
    expect_answer,
    expect_formula,
    expect_only,
    expect_range,
    expect_tail,
)
from modelmeter.scaling.terms import Number, Term
from modelmeter.support.errors import CertificateError

_SIGNS: Final = {"smallest": -1, "largest": 1}


@frozen(kw_only=True)
class Optimum(Statement):
    """The first integer at which a quantity is smallest, or largest: ``value``; None where it is nowhere.

    Parameters
    ----------
    over
        The size.
    goal
        ``smallest`` or ``largest``.
    bound
        The smallest or largest value: attained at ``value``, or only tended to where that is None; None where the
        quantity has no bound.
    above, below
        The quantity as a quotient, each in normal form.
    """

    over: str
    goal: Goal
    bound: Number | None
    above: Term = field(repr=False)
    below: Term = field(repr=False)

    def _check_answer(self) -> None:
        """Check that no value is better, that this one is attained where it is said, and else tended to."""
        above, below = (normal_form.read(each) for each in (self.above, self.below))
        if self.goal not in _SIGNS or len(self.domain.ranges) != 1:
            raise CertificateError("a statement is of another goal or size", place=self.question, found=self.goal)
        formula = None if self.value is None else sympy.Integer(self.value.numerator)
        if self.bound is None:
            for tail, form in zip(expect_only(self, Pieces, 2), (above, below), strict=True):
                expect_formula(self, tail, term_of(form))
                expect_tail(self, tail.name, tail.range)
            expect_answer(self, value=None)
        else:
            (table,) = expect_only(self, SignTable, 1)
            expect_range(self, table.name, table.range)
            expect_formula(self, table, rest_of_bound(above, below, self.bound, _SIGNS[self.goal]))
            expect_answer(self, formula=formula, value=find_zero(table))
        name = next(iter(self.domain.ranges))
        if self.value is None:  # that a bound is tended to, or that there is none, is read from the pieces
            lowest, highest = find_extremes(above, below, name, self.domain.ranges[name])
            expect_answer(self, bound=(lowest if self.goal == "smallest" else highest).value, formula=None)
        expect_answer(self, over=name)

    def details(self) -> Mapping[str, Any]:
        """Return what this has beside the others, as JSON."""
        bound = None if self.bound is None else number_to_json(self.bound)
        return {"over": self.over, "goal": self.goal, "bound": bound}


def optimum(of: Operand, over: str, *, bounds: Bounds | None = None, goal: Goal = "smallest") -> Optimum:
    """Return the first integer at which a quantity, often a quotient, is smallest or largest.

    Of several alternatives, such as modes, ask :func:`regimes` with the goal ``smallest``.

    Raises
    ------
    UnknownNameError
        If there is no such size.
    FormulaError
        If pieces are not found, or the quantity divides by what is not more than 0.
    """
    quantity = as_quantity(of)
    question = ask((quantity,), over, bounds=bounds)
    above, below = read_fraction(question.formulas[0])
    sign = _SIGNS[goal]
    extremes = find_extremes(above, below, over, question.range)
    best = extremes[0 if goal == "smallest" else 1]
    certificates: tuple[Certificate, ...]
    if best.value is None:  # the leading terms say that there is no bound
        certificates = tuple(find_tail(term_of(form), over, question.range) for form in (above, below))
    else:
        certificates = (certify_bound(above, below, best.value, sign, over, question.range),)
    if best.value is None:
        says = f"has no {goal} value: it {'falls' if sign < 0 else 'grows'} without end"
    elif best.at is None:
        says = f"has no {goal} value: it tends to {best.value}"
    else:
        says = f"is {goal} at {over} = {best.at}, where it is {best.value}"
    return Optimum(
        question=f"{goal} {quantity.name} over {over}", value=best.at, domain=question.domain,
        formula=None if best.at is None else sympy.Integer(best.at), sentence=f"{quantity.name} {says}.",
        certificates=certificates, over=over, goal=goal, bound=best.value, above=term_of(above), below=term_of(below),
    )  # fmt: skip
