"""The integer at which a cost is smallest, or a benefit largest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sympy
from attrs import frozen

from modelmeter.scaling.certificate import Certificate, SignTable
from modelmeter.scaling.domain import number_to_json
from modelmeter.scaling.extremes import certify_bound, find_extremes
from modelmeter.scaling.order import find_tail
from modelmeter.scaling.quantity import Operand, as_quantity
from modelmeter.scaling.question import Bounds, ask, read_fraction, term_of
from modelmeter.scaling.regimes import Goal
from modelmeter.scaling.statement import Statement, expect_answer
from modelmeter.scaling.terms import Number


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
    """

    over: str
    goal: Goal
    bound: Number | None

    def _check_answer(self) -> None:
        """Check that no value is better."""
        for table in self.certificates:
            if isinstance(table, SignTable):
                expect_answer(self, min(each.sign for each in table.cells) >= 0, True)
                if self.value is not None:
                    expect_answer(self, table.sign_at(int(self.value)), 0)

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
    sign = -1 if goal == "smallest" else 1
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
        certificates=certificates, over=over, goal=goal, bound=best.value,
    )  # fmt: skip
