"""Elasticity: by how many per cent a cost grows where a size grows by one; exact, and where it crosses 1."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sympy
from attrs import frozen

from modelmeter.scaling import normal_form, univariate
from modelmeter.scaling.certificate import SignTable
from modelmeter.scaling.domain import Domain, Range
from modelmeter.scaling.pieces import Pieces
from modelmeter.scaling.quantity import Operand, as_quantity
from modelmeter.scaling.question import Bounds, ask, read_fraction, term_of
from modelmeter.scaling.signs import find_signs, read_signs
from modelmeter.scaling.statement import Interval, Statement, expect_answer, expect_formula, expect_range, symbols_of
from modelmeter.scaling.terms import Term
from modelmeter.support.errors import CertificateError, FormulaError


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

    def _check_answer(self) -> None:
        """Check that it is of the polynomial that the cost is, and crosses 1 where the signs say."""
        if len(self.certificates) != 2:
            raise CertificateError("a statement has other certificates", place=self.question, expected=2)
        pieces, table = self.certificates
        if not isinstance(pieces, Pieces) or not isinstance(table, SignTable) or len(pieces.pieces) != 1:
            raise CertificateError("a statement has other certificates", place=self.question, expected="one polynomial")
        for each in (pieces, table):
            expect_range(self, each.name, each.range)
        (piece,) = pieces.pieces
        polynomial = univariate.in_size(piece.polynomials[0], piece.cell.points)
        expect_formula(self, table, _excess(polynomial, pieces.name))
        symbol = symbols_of([pieces.name], self.polynomial)[pieces.name]
        answer = _read(polynomial, symbol, pieces.range)
        expect_answer(self, over=pieces.name, at_least_one=read_signs(table).where(0, 1), **answer)

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
    range_ = domain.ranges[over]
    signs = find_signs(_excess(polynomial, over), over, range_)
    at_least_one = signs.where(0, 1)
    answer = _read(polynomial, symbol, range_)
    formula = answer["formula"]
    where = " and ".join(str(each) for each in at_least_one[:3]) or "nowhere"
    return Elasticity(
        question=f"elasticity of {name} over {over}", domain=domain,
        sentence=f"{name} grows by {formula} per cent where {over} grows by one; by at least one {where}.",
        known=signs.known, certificates=(pieces, *signs.certificates), over=over, at_least_one=at_least_one,
        **answer,
    )  # fmt: skip


def _read(polynomial: univariate.Coefficients, symbol: sympy.Symbol, range_: Range) -> dict[str, Any]:
    """Return all that a polynomial says, by field."""
    cost = univariate.to_formula(polynomial, symbol)
    moving = univariate.multiply((0, 1), univariate.derivative(polynomial))
    return {
        "polynomial": cost, "formula": sympy.cancel(univariate.to_formula(moving, symbol) / cost),
        "value": len(polynomial) - 1 if range_.last is None else None,
    }  # fmt: skip


def _excess(polynomial: univariate.Coefficients, over: str) -> Term:
    """Return what is at least 0 where the elasticity is at least 1: ``(x f' - f) f``."""
    moving = univariate.multiply((0, 1), univariate.derivative(polynomial))
    excess = univariate.multiply(univariate.subtract(moving, polynomial), polynomial)
    monomials = {((over, power),) if power else normal_form.ONE: each for power, each in enumerate(excess) if each}
    return term_of(monomials)
