"""Elasticity: by how many per cent a cost grows where a size grows by one; exact, and where it crosses 1."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sympy
from attrs import frozen

from modelmeter.scaling import normal_form, univariate
from modelmeter.scaling.domain import Domain
from modelmeter.scaling.pieces import Pieces
from modelmeter.scaling.quantity import Operand, as_quantity
from modelmeter.scaling.question import Bounds, ask, read_fraction, term_of
from modelmeter.scaling.signs import find_signs
from modelmeter.scaling.statement import Interval, Statement
from modelmeter.scaling.terms import from_sympy
from modelmeter.support.errors import FormulaError


@frozen(kw_only=True)
class Elasticity(Statement):
    """``d ln f / d ln x = x f' / f`` as a rational function; ``value`` is what it tends to.

    Parameters
    ----------
    over
        The size x.
    at_least_one
        All intervals of integers where it is at least 1: there the cost grows at least as fast as the size.
    polynomial
        What the cost is on the domain.
    """

    over: str
    at_least_one: tuple[Interval, ...]
    polynomial: sympy.Expr

    def details(self) -> Mapping[str, Any]:
        """Return what this has beside the others, as JSON."""
        return {
            "over": self.over, "at_least_one": [[each.first, each.last] for each in self.at_least_one],
            "polynomial": str(self.polynomial),
        }  # fmt: skip


def elasticity(of: Operand, over: str, *, bounds: Bounds | None = None) -> Elasticity:
    """Return the elasticity of a cost over a size, from the size on from which the cost is one polynomial.

    A rounding jumps and has no derivative: where the cost rounds the size, there is no elasticity.

    Raises
    ------
    UnknownNameError
        If there is no such size.
    FormulaError
        If the cost is a quotient, rounds the size, is 0, or its pieces are not found.
    """
    quantity = as_quantity(of)
    question = ask((quantity,), over, bounds=bounds)
    form, below = read_fraction(question.formulas[0])
    if below != normal_form.constant(1):
        raise FormulaError("the elasticity of a quotient is the difference of those of its parts", place=quantity.name)
    whole = Pieces.make(term_of(form), over, question.range)
    last = whole.pieces[-1]
    if last.cell.modulus != question.range.multiple_of or not any(last.polynomials[0]):
        raise FormulaError(
            "a cost that rounds a size, or is 0, has no elasticity over it", place=over, found=quantity.name,
            remedy="ask for its steps",
        )  # fmt: skip
    domain = question.domain.restrict(over, minimum=last.cell.start, maximum=last.cell.end)
    pieces = Pieces.make(term_of(form), over, domain.ranges[over])
    return _make(
        quantity.name,
        over,
        univariate.in_size(last.polynomials[0], last.cell.points),
        domain,
        pieces,
        question.symbols[over],
    )


def _make(
    name: str, over: str, polynomial: univariate.Coefficients, domain: Domain, pieces: Pieces, symbol: sympy.Symbol
) -> Elasticity:
    cost = univariate.to_formula(polynomial, symbol)
    moving = univariate.multiply((0, 1), univariate.derivative(polynomial))
    formula = sympy.cancel(univariate.to_formula(moving, symbol) / cost)
    excess = normal_form.read(from_sympy(univariate.to_formula(univariate.subtract(moving, polynomial), symbol)))
    whole = normal_form.read(from_sympy(cost))
    signs = find_signs(term_of(normal_form.multiply(excess, whole)), over, domain.ranges[over])
    at_least_one = signs.where(0, 1)
    end = domain.ranges[over].last
    value = len(polynomial) - 1 if end is None else None
    where = " and ".join(str(each) for each in at_least_one[:3]) or "nowhere"
    return Elasticity(
        question=f"elasticity of {name} over {over}", formula=formula, value=value, domain=domain,
        sentence=f"{name} grows by {formula} per cent where {over} grows by one; by at least one {where}.",
        known=signs.known, certificates=(pieces, *signs.certificates), over=over, at_least_one=at_least_one,
        polynomial=cost,
    )  # fmt: skip
