"""How a quantity grows: its leading term, from which size that is most of it, and what a quotient tends to."""

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
from modelmeter.scaling.signs import Signs, find_signs, read_signs
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

SHARE: Final = Fraction(9, 10)
"""What is most of a whole."""


@frozen(kw_only=True)
class Order(Statement):
    """The leading term of a quantity: ``coefficient * size ** degree``; ``value`` is the coefficient.

    Parameters
    ----------
    over
        The size.
    degree
        The power of the size.
    coefficient
        What stands before it; None where it is a formula of free sizes.
    share
        The part of the whole that was asked for; of no account where other sizes are free.
    from_size
        The first integer from which on the leading term is more than this share of the whole; None: never.
    """

    over: str
    degree: int
    coefficient: Number | None
    share: Fraction
    from_size: int | None

    def _check_answer(self) -> None:
        """Check that the leading term is that of the tail, and that it is so much of the whole from there on."""
        if len(self.domain.ranges) > 1:
            (found,) = replay_leading(self, self.over, 1)
            size = symbols_of([self.over], self.formula)[self.over]
            leading = terms.to_sympy(term_of(found.coefficient), symbols_of(self.domain.ranges, self.formula))
            expect_answer(
                self, degree=found.degree, formula=leading * size**found.degree, value=None, coefficient=None,
                from_size=None, share=SHARE,
            )  # fmt: skip
            return
        if len(self.certificates) not in (2, 3):
            raise CertificateError("a statement has other certificates", place=self.question, expected="2 or 3")
        tail, table = self.certificates[:2]
        if not isinstance(tail, Pieces) or not isinstance(table, SignTable) or tail.leading() is None:
            raise CertificateError("a statement has other certificates", place=self.question, expected="a tail")
        expect_tail(self, tail.name, tail.range)
        expect_range(self, table.name, table.range)
        degree, coefficient = tail.leading() or (0, 0)
        rest = _less_share(normal_form.read(tail.formula), tail.name, degree, coefficient, self.share)
        expect_formula(self, table, term_of(rest))
        expect_answer(
            self, over=tail.name, degree=degree, coefficient=coefficient, value=coefficient,
            from_size=_read_start(read_signs(table)),
            formula=_leading_formula(degree, coefficient, symbols_of([tail.name], self.formula)[tail.name]),
        )  # fmt: skip

        if self.is_constant:
            self._check_sameness(normal_form.read(tail.formula), self.certificates[2])

    def _check_sameness(self, form: NormalForm, table: Certificate) -> None:
        """Check that the quantity is its leading term at all sizes of the domain."""
        if not isinstance(table, SignTable) or self.degree or self.coefficient is None:
            raise CertificateError("a statement has other certificates", place=self.question, expected="a sign table")
        expect_range(self, table.name, table.range)
        expect_formula(self, table, term_of(_less_share(form, table.name, 0, self.coefficient, Fraction(1))))
        if any(each.sign != 0 for each in read_signs(table).intervals):
            raise CertificateError("the quantity is not the same everywhere", place=self.question)

    @property
    def is_constant(self) -> bool:
        """Whether the quantity is its leading term at all sizes, though the size is in its formula."""
        return len(self.certificates) == 3

    def details(self) -> Mapping[str, Any]:
        """Return what this has beside the others, as JSON."""
        return {
            "over": self.over, "degree": self.degree,
            "coefficient": None if self.coefficient is None else number_to_json(self.coefficient),
            "share": number_to_json(self.share), "from_size": self.from_size,
        }  # fmt: skip


def order(
    of: Operand, over: str, *, share: Fraction = SHARE, bounds: Bounds | None = None, free: Sequence[str] = ()
) -> Order:
    """Return the leading term of a quantity, and from which size it is more than a share of the whole.

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
    rest = _less_share(form, over, degree, coefficient, share)
    signs = find_signs(term_of(rest), over, question.range)
    from_size = _read_start(signs)
    formula = _leading_formula(degree, coefficient, question.symbols[over])
    # What has a bracket of the size in it may be the same on both sides.
    same = _find_sameness(form, over, degree, coefficient, question.range)
    return Order(
        question=f"order of {quantity.name} over {over}", formula=formula, value=coefficient,
        domain=signs.narrow(question.domain, over),
        sentence=hedge(
            f"{quantity.name} {_say(form, over, formula, share, from_size, is_same=bool(same))}.", signs.known
        ),
        known=signs.known,
        certificates=(tail, *signs.certificates, *same),
        over=over, degree=degree, coefficient=coefficient, share=share, from_size=from_size,
    )  # fmt: skip


def is_constant(form: NormalForm, over: str) -> bool:
    """Tell whether a formula in normal form does not depend on a size."""
    return all(over not in terms.names_of(each) for monomial in form for each, _ in monomial)


def _say(
    form: NormalForm, over: str, formula: sympy.Expr, share: Fraction, from_size: int | None, *, is_same: bool
) -> str:
    if is_same or is_constant(form, over):
        return f"does not depend on {over}: it is {formula}"
    most = f"{float(share):.0%}"
    where = f"never more than {most}" if from_size is None else f"more than {most} of it from {over} = {from_size} on"
    way = "grows as" if formula.free_symbols else "tends to"
    return f"{way} {formula}, which is {where}"


def _less_share(form: NormalForm, over: str, degree: int, coefficient: Number, share: Fraction) -> NormalForm:
    """Return what is more than 0 where the leading term is more than the share of a positive whole."""
    leading = normal_form.scale(normal_form.power(normal_form.generator(over), degree), coefficient)
    return normal_form.add(leading, normal_form.scale(form, -share))


def _find_sameness(
    form: NormalForm, over: str, degree: int, coefficient: Number, range_: Range
) -> tuple[SignTable, ...]:
    """Return the certificate that a formula with a size in it is the same at all sizes; nothing where it is not.

    What has a bracket of the size, as where a cast is none, may be the same on both sides of it.
    """
    if degree or is_constant(form, over):
        return ()
    signs = find_signs(term_of(_less_share(form, over, 0, coefficient, Fraction(1))), over, range_)
    return signs.certificates if all(each.sign == 0 for each in signs.intervals) else ()


def _read_start(signs: Signs) -> int | None:
    """Return from where on a sign is 1 without end."""
    last = signs.where(1)
    return last[-1].first if last and last[-1].last == signs.intervals[-1].last else None


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
        coefficient=None, share=SHARE, from_size=None,
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
