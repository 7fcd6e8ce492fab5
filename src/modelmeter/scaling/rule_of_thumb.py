"""How wrong a rule of thumb is: its error as a formula, and the largest error on a box."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction
from itertools import product
from typing import Any

import sympy
from attrs import field, frozen

from modelmeter.scaling import box, normal_form, terms
from modelmeter.scaling.box_sign import BoxSign
from modelmeter.scaling.certificate import Certificate, SignTable
from modelmeter.scaling.domain import Domain, number_to_json
from modelmeter.scaling.extremes import certify_bound, find_extremes, find_zero, rest_of_bound
from modelmeter.scaling.normal_form import NormalForm
from modelmeter.scaling.quantity import Operand, of_one_unit
from modelmeter.scaling.question import Bounds, Question, ask, read_fraction, term_of
from modelmeter.scaling.statement import (
    PROVED,
    Statement,
    expect_answer,
    expect_formula,
    expect_only,
    hedge,
    symbols_of,
)
from modelmeter.scaling.terms import Number, Term, simplest
from modelmeter.support.errors import CertificateError, FormulaError


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
    above, below
        The error as a quotient, each in normal form.
    """

    over: tuple[str, ...]
    lowest: Number | None
    highest: Number | None
    lowest_at: Mapping[str, int] | None
    highest_at: Mapping[str, int] | None
    above: Term = field(repr=False)
    below: Term = field(repr=False)

    def _check_answer(self) -> None:
        """Check that no error is beyond the bounds, and that they are attained, or tended to, where it is said."""
        above, below = (normal_form.read(each) for each in (self.above, self.below))
        bounds = ((-1, self.lowest, self.lowest_at), (1, self.highest, self.highest_at))
        ranges = self.domain.ranges
        expect_answer(self, over=tuple(ranges))
        if len(ranges) != 1:
            expected = [BoxSign(self.below, ranges, True)]
            for sign, bound, at in bounds:
                is_in = at is not None and _is_in(at, self.domain)
                if bound is None or at is None or not is_in:
                    raise CertificateError("an error has no bound in the domain", place=self.question, found=at)
                expected.append(BoxSign(rest_of_bound(above, below, bound, sign), ranges, False))
                if _quotient_at(above, below, at) != bound:
                    raise CertificateError("an error is not what it is said to be", place=self.question, found=bound)
            expect_answer(self, certificates=tuple(expected))
        else:
            self._check_line(above, below, bounds)
        if self.formula is None:
            raise CertificateError("an error has no formula", place=self.question)
        one, other = read_fraction(self.formula)
        crossed = normal_form.add(
            normal_form.multiply(one, below), normal_form.scale(normal_form.multiply(above, other), -1)
        )
        if crossed and self.formula != _divide(self.above, self.below, symbols_of(ranges, self.formula)):
            raise CertificateError("an error has another formula", place=self.question, found=self.formula)
        expect_answer(self, value=_largest_of(self.lowest, self.highest))

    def _check_line(self, above: NormalForm, below: NormalForm, bounds: Iterable[tuple[int, Any, Any]]) -> None:
        """Check the bounds over one size."""
        ((name, range_),) = self.domain.ranges.items()
        tables = expect_only(self, SignTable)
        extremes = dict(zip((-1, 1), find_extremes(above, below, name, range_), strict=True))
        for sign, bound, at in bounds:
            if (bound, at) != (extremes[sign].value, _place(name, extremes[sign].at)):
                raise CertificateError(
                    "an answer does not follow", place=self.question, expected=extremes[sign], found=(bound, at)
                )
            if bound is not None:
                table = tables.pop(0) if tables else None
                if table is None or (table.name, table.range) != (name, range_):
                    raise CertificateError("a statement has other certificates", place=self.question)
                expect_formula(self, table, rest_of_bound(above, below, bound, sign))
                if _place(name, find_zero(table)) != at:
                    raise CertificateError("an error is attained elsewhere", place=self.question, found=at)
        if tables:
            raise CertificateError("a statement has other certificates", place=self.question)

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
    value = _largest_of(lowest[0], highest[0])
    formula = _divide(term_of(above), term_of(below), question.symbols)
    sentence = hedge(_say(said.name, so.name, lowest, highest, formula, question.names), known)
    return RuleOfThumb(
        question=f"{said.name} for {so.name} over {', '.join(question.names)}", formula=formula, value=value,
        domain=question.domain, sentence=sentence, known=known,
        certificates=certificates, over=question.names, lowest=lowest[0], highest=highest[0], lowest_at=lowest[1],
        highest_at=highest[1], above=term_of(above), below=term_of(below),
    )  # fmt: skip


def _is_in(at: Mapping[str, int], domain: Domain) -> bool:
    is_inside = at.keys() == domain.ranges.keys() and all(at[name] in domain.ranges[name] for name in at)
    return is_inside and domain.allows(at)


def _divide(above: Term, below: Term, symbols: Mapping[str, sympy.Symbol]) -> sympy.Expr:
    return sympy.cancel(terms.to_sympy(above, symbols) / terms.to_sympy(below, symbols))


def _largest_of(lowest: Number | None, highest: Number | None) -> Number | None:
    """Return the supremum of the absolute error, where there is one."""
    if lowest is None or highest is None:
        return None
    return simplest(max(abs(Fraction(lowest)), abs(Fraction(highest))))


def _place(name: str, at: int | None) -> dict[str, int] | None:
    return None if at is None else {name: at}


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
    lowest, highest = ((each.value, _place(question.over, each.at)) for each in extremes)
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
        if question.domain.allows(corner):
            errors.append((_quotient_at(above, below, corner), corner))
    if not errors:
        raise FormulaError("no corner of the box is a point of the domain", place=str(question.domain))
    known, found = PROVED, []
    for sign in (-1, 1):
        value, point = max(errors, key=lambda each: each[0] * sign)  # used at once
        rest = rest_of_bound(above, below, value, sign)
        if box.proves(normal_form.read(rest), ranges, strict=False):
            certificates.append(BoxSign(rest, ranges, False))
        else:
            points: list[Mapping[str, int]] = [
                {name: int(each) for name, each in at.items()}
                for at in box.list_points(ranges, 2_000)
                if question.domain.allows(at)
            ]
            more = [(_quotient_at(above, below, at), at) for at in points] + errors
            value, point = max(more, key=lambda each: each[0] * sign)  # used at once
            known = f"checked on {len(more)} points of the box"
        found.append((value, point))
    return found[0], found[1], known, tuple(certificates)


def _quotient_at(above: NormalForm, below: NormalForm, point: Mapping[str, int]) -> Number:
    return simplest(Fraction(terms.evaluate(term_of(above), point)) / terms.evaluate(term_of(below), point))


def _say(rule: str, exact: str, lowest: _Bound, highest: _Bound, formula: sympy.Expr, names: Sequence[str]) -> str:
    if formula.is_Rational:
        error = _per_cent(Fraction(int(formula.p), int(formula.q)))
        return f"{rule} is wrong for {exact} by {error}, which does not depend on {' or '.join(names)}."

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
