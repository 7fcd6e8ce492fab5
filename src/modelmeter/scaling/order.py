"""How a quantity grows: its leading term, from which size on it is close to that, and on which side of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any, Final

import sympy
from attrs import frozen

from modelmeter.scaling import normal_form, terms
from modelmeter.scaling.certificate import Certificate, SignTable
from modelmeter.scaling.closed_form import read_leading, replay_leading
from modelmeter.scaling.domain import Range, number_to_json
from modelmeter.scaling.normal_form import NormalForm
from modelmeter.scaling.pieces import Pieces
from modelmeter.scaling.quantity import Operand, as_quantity
from modelmeter.scaling.question import Bounds, Question, ask, read_fraction, term_of
from modelmeter.scaling.signs import Side, Signs, find_signs, read_signs
from modelmeter.scaling.statement import (
    Statement,
    expect_answer,
    expect_formula,
    expect_range,
    expect_tail,
    hedge,
    symbols_of,
)
from modelmeter.scaling.terms import Number, Term
from modelmeter.support.errors import CertificateError, FormulaError

WITHIN: Final = Fraction(1, 10)
"""How far from its leading term a quantity may be, as a part of that."""


@frozen(kw_only=True)
class Order(Statement):
    """The leading term of a quantity: ``coefficient * size ** degree``; ``value`` is the coefficient.

    Parameters
    ----------
    over
        The size.
    degree
        The power of the size; 0 where the quantity tends to a number.
    coefficient
        What stands before it; None where it is a formula of free sizes.
    within
        The part of the leading term that was asked for; of no account where other sizes are free.
    from_size
        The first integer from which on the quantity differs from its leading term by at most this part of it;
        None: never.
    side
        Where the quantity is from there on: never above its leading term, never below it, equal to it, or both; None
        where other sizes are free, or it is not proved.
    """

    over: str
    degree: int
    coefficient: Number | None
    within: Fraction
    from_size: int | None
    side: Side | None

    def _check_answer(self) -> None:
        """Check that the leading term is that of the tail, and that the quantity is so close to it from there on."""
        if len(self.domain.ranges) > 1:
            (found,) = replay_leading(self, self.over, 1)
            size = symbols_of([self.over], self.formula)[self.over]
            leading = terms.to_sympy(term_of(found.coefficient), symbols_of(self.domain.ranges, self.formula))
            expect_answer(
                self, degree=found.degree, formula=leading * size**found.degree, value=None, coefficient=None,
                from_size=None, within=WITHIN, side=None,
            )  # fmt: skip
            return
        if len(self.certificates) != 4:
            raise CertificateError("a statement has other certificates", place=self.question, expected="4")
        tail, *tables = self.certificates
        if not isinstance(tail, Pieces) or tail.leading() is None:
            raise CertificateError("a statement has other certificates", place=self.question, expected="a tail")
        expect_tail(self, tail.name, tail.range)
        degree, coefficient = tail.leading() or (0, 0)
        asked = _list_differences(normal_form.read(tail.formula), tail.name, degree, coefficient, self.within)
        signs = [self._read_table(*each, tail.name) for each in zip(tables, asked, strict=True)]
        expect_answer(
            self, over=tail.name, degree=degree, coefficient=coefficient, value=coefficient,
            formula=_leading_formula(degree, coefficient, symbols_of([tail.name], self.formula)[tail.name]),
            **_read_closeness(signs, self.domain.ranges[tail.name]),
        )  # fmt: skip

    def _read_table(self, table: Certificate, asked: Term, over: str) -> Signs:
        if not isinstance(table, SignTable):
            raise CertificateError("a statement has other certificates", place=self.question, expected="a sign table")
        expect_range(self, over, table.range)
        expect_range(self, table.name, table.range)
        expect_formula(self, table, asked)
        return read_signs(table)

    @property
    def is_constant(self) -> bool:
        """Whether the quantity is the same at all sizes, though the size may be in its formula."""
        return not self.degree and self.is_exact

    @property
    def is_exact(self) -> bool:
        """Whether the quantity is its leading term at all sizes of the domain."""
        return self.side == "equal" and self.from_size == self.domain.ranges[self.over].first

    def details(self) -> Mapping[str, Any]:
        """Return what this has beside the others, as JSON."""
        return {
            "over": self.over, "degree": self.degree,
            "coefficient": None if self.coefficient is None else number_to_json(self.coefficient),
            "within": number_to_json(self.within), "from_size": self.from_size, "side": self.side,
        }  # fmt: skip


def order(
    of: Operand, over: str, *, within: Fraction = WITHIN, bounds: Bounds | None = None, free: Sequence[str] = ()
) -> Order:
    """Return the leading term of a quantity, from which size on the quantity is within a part of it, and its side.

    A rounding counts with what it tends to: the leading term of ``ceil(n / 64)`` is ``n / 64``. With more ``free``
    sizes the coefficient is a formula of them, ``value`` and ``from_size`` are None, and nothing may round the size.

    Raises
    ------
    UnknownNameError
        If there is no such size.
    FormulaError
        If the quantity has no leading term: its pieces are not found, it has an end, or residues grow differently.
    """
    quantity = as_quantity(of)
    question = ask((quantity,), over, bounds=bounds, free=free)
    form, below = read_fraction(question.formulas[0])
    if below != normal_form.constant(1):
        raise FormulaError("a quotient has no leading term", place=quantity.name, remedy="ask for its limit")
    if len(question.names) > 1:
        return _with_free_sizes(quantity.name, form, question)
    tail = find_tail(term_of(form), over, question.range)
    leading_term = tail.leading()
    if leading_term is None:
        raise FormulaError("residue classes grow differently", place=quantity.name, remedy="ask for its steps")
    degree, coefficient = leading_term
    asked = _list_differences(form, over, degree, coefficient, within)
    signs = [find_signs(each, over, question.range) for each in asked]
    worst = next((each for each in signs if each.table is None), signs[0])
    found = Order(
        question=f"order of {quantity.name} over {over}",
        formula=_leading_formula(degree, coefficient, question.symbols[over]), value=coefficient,
        domain=worst.narrow(question.domain, over), sentence="", known=worst.known,
        certificates=(tail, *(certificate for each in signs for certificate in each.certificates)),
        over=over, degree=degree, coefficient=coefficient, within=within, **_read_closeness(signs, question.range),
    )  # fmt: skip
    return found.remake(sentence=hedge(f"{quantity.name} {_say(found)}.", worst.known))


def is_constant(form: NormalForm, over: str) -> bool:
    """Tell whether a formula in normal form does not depend on a size."""
    return all(over not in terms.names_of(each) for monomial in form for each, _ in monomial)


def _say(found: Order) -> str:
    if found.is_constant:
        return f"does not depend on {found.over}: it is {found.formula}"
    if found.is_exact:
        return f"is {found.formula}"
    if found.side == "equal":
        return f"is {found.formula} from {found.over} = {found.from_size} on"
    way = f"grows as {found.formula}" if found.degree else f"tends to {found.formula}"
    return f"{way}{say_closeness(found, f'{found.over} = {found.from_size}')}"


def say_closeness(found: Order, size: str) -> str:
    """Return from where on a quantity is close to its leading term, and on which side of it, as the end of a sentence.

    Parameters
    ----------
    size
        What ``from_size`` is, as the sentence writes sizes.
    """
    part = f"{float(100 * found.within):g}%"
    if found.from_size is None:
        return f", but never stays within {part} of that"
    if not found.degree:
        side = {"above": " from above", "below": " from below", "both": " from both sides"}.get(found.side or "", "")
        return f"{side}, and is within {part} of that from {size} on"
    most = {"above": f"at most {part} above that", "below": f"at most {part} below that"}
    return f", and is {most.get(found.side or '', f'within {part} of that')} from {size} on"


def _list_differences(
    form: NormalForm, over: str, degree: int, coefficient: Number, within: Fraction
) -> tuple[Term, Term, Term]:
    """Return a quantity less the least, less the most and less all of what it is near, which its leading term is.

    Where the leading term is negative, with the other sign: the first is negative, or the second positive, where the
    quantity is further from it than a part of it.
    """
    leading = normal_form.scale(normal_form.power(normal_form.generator(over), degree), coefficient)
    sign = -1 if coefficient < 0 else 1
    least, most = (
        normal_form.scale(normal_form.add(form, normal_form.scale(leading, -times)), sign)
        for times in (1 - within, 1 + within)
    )
    rest = normal_form.add(form, normal_form.scale(leading, -1))
    return term_of(least), term_of(most), term_of(rest)


def _read_closeness(signs: Sequence[Signs], range_: Range) -> dict[str, Any]:
    """Return from where on a quantity is near its leading term, and its side, by the signs of its differences."""
    starts = (signs[0].end_of(-1, range_), signs[1].end_of(1, range_))
    known = [each for each in starts if each is not None]
    if len(known) < len(starts):
        return {"from_size": None, "side": None}
    return {"from_size": max(known), "side": signs[2].side(max(known))}


def _leading_formula(degree: int, coefficient: Number, size: sympy.Symbol) -> sympy.Expr:
    return sympy.Rational(coefficient.numerator, coefficient.denominator) * size**degree


def _with_free_sizes(name: str, form: NormalForm, question: Question) -> Order:
    over = question.over
    found = read_leading(form, over, question.domain)
    coefficient = terms.to_sympy(term_of(found.coefficient), question.symbols)
    formula = coefficient * question.symbols[over] ** found.degree
    way = f"does not depend on {over}: it is" if is_constant(form, over) else "grows as" if found.degree else "tends to"
    return Order(
        question=f"order of {name} over {over}", formula=formula, value=None, domain=found.domain,
        sentence=f"{name} {way} {formula}.", certificates=found.certificates, over=over, degree=found.degree,
        coefficient=None, within=WITHIN, from_size=None, side=None,
    )  # fmt: skip


def find_tail(formula: Term, over: str, range_: Range) -> Pieces:
    """Return the pieces of a formula of one size from some size on, where each goes on without end.

    Raises
    ------
    FormulaError
        If the size has an end, or they are not found.
    """
    if range_.maximum is not None:
        raise FormulaError("a size has an end, and nothing is known of what is beyond", place=over, found=range_)
    return Pieces.make_tail(formula, over, range_)
