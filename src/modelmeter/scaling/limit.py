"""What a quantity tends to as a size grows, and from which side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import sympy
from attrs import frozen

from modelmeter.scaling import normal_form, terms
from modelmeter.scaling.certificate import SignTable
from modelmeter.scaling.closed_form import LeadingTerm, read_leading, replay_leading
from modelmeter.scaling.normal_form import NormalForm
from modelmeter.scaling.order import find_tail
from modelmeter.scaling.pieces import Pieces
from modelmeter.scaling.quantity import Operand, as_quantity
from modelmeter.scaling.question import Bounds, Question, ask, read_fraction, term_of
from modelmeter.scaling.signs import Side, find_signs, read_signs
from modelmeter.scaling.statement import Statement, expect_answer, expect_formula, expect_range, expect_tail, symbols_of
from modelmeter.scaling.substitution import names_in
from modelmeter.scaling.terms import Number, Term, simplest
from modelmeter.support.errors import CertificateError, FormulaError


@frozen(kw_only=True)
class Limit(Statement):
    """What a quantity tends to as a size grows without end: ``value``, or None where it grows without end.

    Parameters
    ----------
    over
        The size.
    side
        Where the quantity is, on the whole domain: never above the limit, never below it, equal to it, or both.
    """

    over: str
    side: Side | None

    def _check_answer(self) -> None:
        """Check that the value is the quotient of the leading terms, and the side that of the signs."""
        if len(self.domain.ranges) > 1:
            one, other = replay_leading(self, self.over, 2)
            formula = _quotient_of(one, other, symbols_of(self.domain.ranges, self.formula))
            expect_answer(self, formula=formula, value=None, side=None)
            return
        tails = [each for each in self.certificates[:2] if isinstance(each, Pieces)]
        tables = [each for each in self.certificates[2:] if isinstance(each, SignTable)]
        if len(tails) != 2 or len(self.certificates) != 2 + len(tables) or len(tables) > 1:
            raise CertificateError("a statement has other certificates", place=self.question, expected="two tails")
        above, below = tails
        for tail in tails:
            expect_tail(self, tail.name, tail.range)
        value = _quotient_of_leading(above, below)
        for table in tables:
            expect_range(self, table.name, table.range)
            difference = _less_limit(normal_form.read(above.formula), normal_form.read(below.formula), value or 0)
            expect_formula(self, table, difference)
        side = None if value is None or not tables else read_signs(tables[0]).side()
        expect_answer(self, over=above.name, value=value, side=side, formula=_number(value))

    def details(self) -> Mapping[str, Any]:
        """Return what this has beside the others, as JSON."""
        return {"over": self.over, "side": self.side}


def limit(of: Operand, over: str, *, bounds: Bounds | None = None, free: Sequence[str] = ()) -> Limit:
    """Return what a quantity, often a quotient of two, tends to as a size grows without end.

    With more ``free`` sizes the answer is a formula of them, and nothing may round the size.

    Raises
    ------
    UnknownNameError
        If there is no such size.
    FormulaError
        If residue classes tend to different numbers, or the tail of the formula is not found.
    """
    quantity = as_quantity(of)
    question = ask((quantity,), over, bounds=bounds, free=free)
    above, below = read_fraction(question.formulas[0])
    if len(question.names) > 1:
        return _with_free_sizes(quantity.name, above, below, question)
    tails = [find_tail(term_of(form), over, question.range) for form in (above, below)]
    value = _quotient_of_leading(*tails)
    signs = None if value is None else find_signs(_less_limit(above, below, value), over, question.range)
    side = None if signs is None else signs.side()
    certificates = (*tails, *(() if signs is None or signs.table is None else (signs.table,)))
    formula = _number(value)
    words = {
        "below": "and is never more", "above": "and is never less", "equal": "which it always is",
        "both": "from both sides", None: "",
    }[side]  # fmt: skip
    tends = "grows without end" if value is None else f"tends to {formula}, {words}"
    is_constant = over not in names_in(question.formulas[0])
    says = f"does not depend on {over}: it is {formula}" if is_constant else f"{tends}, as {over} grows"
    return Limit(
        question=f"limit of {quantity.name} over {over}", formula=formula, value=value, domain=question.domain,
        sentence=f"{quantity.name} {says}.", certificates=certificates, over=over, side=side,
    )  # fmt: skip


def _with_free_sizes(name: str, above: NormalForm, below: NormalForm, question: Question) -> Limit:
    over = question.over
    one = read_leading(above, over, question.domain)
    other = read_leading(below, over, one.domain)  # beyond what brackets of both compare the size with
    formula = _quotient_of(one, other, question.symbols)
    tends = "grows without end" if formula == sympy.oo else f"tends to {formula}"
    return Limit(
        question=f"limit of {name} over {over}", formula=formula, value=None, domain=other.domain,
        sentence=f"{name} {tends}, as {over} grows.", certificates=(*one.certificates, *other.certificates), over=over,
        side=None,
    )  # fmt: skip


def _quotient_of(one: LeadingTerm, other: LeadingTerm, symbols: Mapping[str, sympy.Symbol]) -> sympy.Expr:
    """Return what a quotient tends to, as a formula of other sizes."""
    if one.degree != other.degree:
        return sympy.oo if one.degree > other.degree else sympy.Integer(0)
    return sympy.cancel(
        terms.to_sympy(term_of(one.coefficient), symbols) / terms.to_sympy(term_of(other.coefficient), symbols)
    )


def _number(value: Number | None) -> sympy.Expr:
    return sympy.oo if value is None else sympy.Rational(value.numerator, value.denominator)


def _quotient_of_leading(above: Pieces, below: Pieces) -> Number | None:
    """Return what a quotient tends to; None: it grows without end.

    Raises
    ------
    FormulaError
        If it tends to several numbers.
    """
    one, other = above.leading(), below.leading()
    if one is None or other is None or not other[1]:
        raise FormulaError("a formula tends to different numbers on residue classes", place=above.name)
    if one[0] > other[0]:
        return None
    return simplest(Fraction(one[1]) / other[1]) if one[0] == other[0] else 0


def _less_limit(above: NormalForm, below: NormalForm, value: Number) -> Term:
    """Return what has the sign of a quotient less a number; multiplied out, it would be long."""
    difference = normal_form.add(above, normal_form.scale(below, -value))
    return ("*", term_of(difference), term_of(below))
