"""The sign of a quantity on a box, and which way it goes over a size."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import sympy
from attrs import evolve, frozen

from modelmeter.scaling import box, growth, normal_form, terms
from modelmeter.scaling.box_sign import BoxSign, Growth
from modelmeter.scaling.certificate import Certificate, SignTable
from modelmeter.scaling.domain import Domain, Range
from modelmeter.scaling.normal_form import NormalForm
from modelmeter.scaling.quantity import Operand, as_quantity
from modelmeter.scaling.question import Bounds, ask, read_fraction, read_sign_form, term_of
from modelmeter.scaling.shift import shift
from modelmeter.scaling.signs import CHECKED_POINTS, Signs, find_signs, read_signs
from modelmeter.scaling.statement import PROVED, Statement, expect_answer, expect_formula, expect_only, hedge
from modelmeter.scaling.terms import Term
from modelmeter.scaling.univariate import sign_of
from modelmeter.support.errors import CertificateError, FormulaError


@frozen(kw_only=True)
class Sign(Statement):
    """The signs that a quantity has on a box.

    Parameters
    ----------
    over
        The free sizes.
    signs
        Those of -1, 0 and 1 that it may have: one, or two that include 0, are a bound. All three: it changes.
    """

    over: tuple[str, ...]
    signs: frozenset[int]

    def _check_answer(self) -> None:
        """Check that the signs are those of the certificates."""
        form = read_sign_form(self.formula if self.formula is not None else sympy.Integer(0))
        signs = replay_signs(self, form, self.domain)
        expect_answer(self, signs=signs, value=_only(signs), over=tuple(self.domain.ranges))

    def details(self) -> Mapping[str, Any]:
        """Return what this has beside the others, as JSON."""
        return {"over": list(self.over), "signs": sorted(self.signs)}


@frozen(kw_only=True)
class Monotone(Statement):
    """Which way a quantity goes over a size; ``direction`` is 1 where it never falls, -1 where it never rises.

    Parameters
    ----------
    over
        The size.
    direction
        1, -1, 0 where it stays the same, None where it goes both ways.
    turns
        Where it goes both ways, the first integers at which it goes another way than before.
    """

    over: str
    direction: int | None
    turns: tuple[int, ...] = ()

    def _check_answer(self) -> None:
        """Check that the direction is that of the certificates, and the turns those of the signs."""
        above, below = read_fraction(self.formula if self.formula is not None else sympy.Integer(0))
        first = self.certificates[0]
        if isinstance(first, Growth):
            expect_only(self, Growth, 1)
            expect_formula(self, first, term_of(above))
            expect_answer(
                self, over=first.name, direction=first.direction, value=first.direction, turns=(),
                domain=evolve(self.domain, ranges=first.ranges),
            )  # fmt: skip
            if below != normal_form.constant(1):
                raise CertificateError("a quotient may go another way than its numerator", place=self.question)
            return
        expect_answer(self, over=next(iter(self.domain.ranges), None))
        steps = _list_steps(self.domain, self.over)
        difference = _step_of(above, below, self.over, self.domain.ranges[self.over])
        direction = _direction_of(replay_signs(self, difference, steps))
        turns = _list_turns(read_signs(first)) if direction is None and isinstance(first, SignTable) else ()
        expect_answer(self, direction=direction, value=direction, turns=turns)

    def details(self) -> Mapping[str, Any]:
        """Return what this has beside the others, as JSON."""
        return {"over": self.over, "direction": self.direction, "turns": list(self.turns)}


_SIGN_WORDS = {
    frozenset({1}): "more than 0", frozenset({0}): "0", frozenset({-1}): "less than 0",
    frozenset({0, 1}): "at least 0", frozenset({-1, 0}): "at most 0",
}  # fmt: skip


def sign(of: Operand, over: str | Sequence[str], *, bounds: Bounds | None = None) -> Sign:
    """Return the sign of a quantity on all integers of a box.

    Parameters
    ----------
    of
        Often a difference.
    over
        The free sizes of the box.
    bounds
        Of these.

    Raises
    ------
    UnknownNameError
        If there is no such size.
    FormulaError
        If a symbol has no value.
    """
    quantity = as_quantity(of)
    question = ask((quantity,), over, bounds=bounds)
    form = read_sign_form(question.formulas[0])
    found, known, certificates, domain = find_box_signs(form, question.names, question.domain)
    words = _SIGN_WORDS.get(found, "of both signs")
    return Sign(
        question=f"sign of {quantity.name} over {', '.join(question.names)}",
        formula=question.formulas[0], value=_only(found), domain=domain,
        sentence=hedge(f"{quantity.name} is {words} on the whole domain.", known), known=known,
        certificates=certificates, over=question.names, signs=found,
    )  # fmt: skip


def _only(signs: frozenset[int]) -> int | None:
    return next(iter(signs)) if len(signs) == 1 else None


def find_box_signs(
    form: NormalForm | Term, names: tuple[str, ...], domain: Domain
) -> tuple[frozenset[int], str, tuple[Certificate, ...], Domain]:
    """Return the signs that a formula may have on a box, how that is known, why, and where."""
    if len(names) == 1 or not isinstance(form, dict):
        term = term_of(form) if isinstance(form, dict) else form
        signs = find_signs(term, names[0], domain.ranges[names[0]])
        return read_sign_set(signs), signs.known, signs.certificates, signs.narrow(domain, names[0])
    for factor in (1, -1):
        turned = normal_form.scale(form, factor)
        for strict in (True, False):
            if box.proves(turned, domain.ranges, strict=strict):
                certificate = BoxSign(term_of(turned), domain.ranges, strict)
                return frozenset({factor} if strict else {0, factor}), PROVED, (certificate,), domain
    points = [each for each in box.list_points(domain.ranges, CHECKED_POINTS) if domain.allows(each)]
    found = frozenset(sign_of(terms.evaluate(term_of(form), point)) for point in points)
    if found >= {-1, 1}:
        # Two points of different signs are proof enough that there are both; it may be 0 anywhere.
        return frozenset({-1, 0, 1}), PROVED, _witnesses(form, points), domain
    checked = {
        name: Range(each.first, max(int(point[name]) for point in points)) for name, each in domain.ranges.items()
    }
    return found, _checked_text(checked), (), evolve(domain, ranges=checked)


def replay_signs(statement: Statement, form: NormalForm | Term, domain: Domain) -> frozenset[int]:
    """Return the signs that the certificates of a statement say a formula has on a domain.

    Raises
    ------
    CertificateError
        If they are of another formula, or of another domain.
    """
    first = statement.certificates[0] if statement.certificates else None
    term = term_of(form) if isinstance(form, dict) else form
    if isinstance(first, SignTable):
        expect_only(statement, SignTable, 1)
        expect_formula(statement, first, term)
        if dict(domain.ranges) != {first.name: first.range}:
            raise CertificateError("a certificate is of another domain", place=statement.question, found=first.range)
        return frozenset(each.sign for each in first.cells)
    read = form if isinstance(form, dict) else normal_form.read(form)
    turned = {term_of(normal_form.scale(read, factor)): factor for factor in (-1, 1)}
    boxes = expect_only(statement, BoxSign)
    for each in boxes:
        if each.formula not in turned:
            expect_formula(statement, each, term)
    if len(boxes) == 1:
        (whole,) = boxes
        if dict(whole.ranges) != dict(domain.ranges):
            raise CertificateError("a certificate is of another domain", place=statement.question)
        factor = turned[whole.formula]
        return frozenset({factor} if whole.is_strict else {0, factor})
    if any(each.ranges.keys() != domain.ranges.keys() for each in boxes):
        raise CertificateError("a certificate is of another domain", place=statement.question)
    for each in boxes:  # points of the domain, one for each sign
        is_point = all(at.first == at.last and at.first in domain.ranges[name] for name, at in each.ranges.items())
        is_allowed = domain.allows({name: at.first for name, at in each.ranges.items()})
        if not (is_point and is_allowed and each.is_strict):
            raise CertificateError("a certificate is not of a point of the domain", place=statement.question)
    if sorted(turned[each.formula] for each in boxes) != [-1, 1]:
        raise CertificateError("a statement has not a certificate for each sign", place=statement.question)
    return frozenset({-1, 0, 1})


def _witnesses(form: NormalForm, points: Iterable[Mapping[str, terms.Number]]) -> tuple[Certificate, ...]:
    """Return certificates of a point where a formula is more than 0, and of one where it is less."""
    found: dict[int, Certificate] = {}
    for point in points:
        at = sign_of(terms.evaluate(term_of(form), point))
        if at and at not in found:
            ranges = {name: Range(int(value), int(value)) for name, value in point.items()}
            found[at] = BoxSign(term_of(normal_form.scale(form, at)), ranges, True)
        if len(found) == 2:
            break
    return tuple(found.values())


def _checked_text(ranges: Mapping[str, Range]) -> str:
    return "checked on " + ", ".join(f"{name} = {each.first}..{each.last}" for name, each in ranges.items())


def read_sign_set(signs: Signs) -> frozenset[int]:
    """Return which signs there are."""
    if signs.table is not None:
        return frozenset(each.sign for each in signs.table.cells)
    return frozenset(each.sign for each in signs.intervals if each.sign is not None)


def monotone(of: Operand, over: str, *, bounds: Bounds | None = None, free: Sequence[str] = ()) -> Monotone:
    """Return which way a quantity goes over a size, at all values of other sizes that are left free.

    Raises
    ------
    UnknownNameError
        If there is no such size.
    FormulaError
        If a symbol has no value, or the quantity is a quotient of several free sizes.
    """
    quantity = as_quantity(of)
    question = ask((quantity,), over, bounds=bounds, free=free)
    above, below = read_fraction(question.formulas[0])
    is_quotient = below != normal_form.constant(1)
    if len(question.names) > 1 and is_quotient:
        raise FormulaError("of a quotient the way is known over one free size only", place=quantity.name)
    direction = None if is_quotient else growth.find_direction(above, over, question.domain.ranges)
    if direction is not None:
        certificate = Growth(term_of(above), over, question.domain.ranges, direction)
        return _make(quantity.name, question.formulas[0], over, direction, (), question.domain, PROVED, (certificate,))
    difference = _step_of(above, below, over, question.domain.ranges[over])
    steps = _list_steps(question.domain, over)
    found, known, certificates, checked = find_box_signs(difference, question.names, steps)
    direction = _direction_of(found)
    table = next((each for each in certificates if isinstance(each, SignTable)), None)
    turns = () if direction is not None or table is None else _list_turns(read_signs(table))
    domain = question.domain if known == PROVED else checked
    return _make(quantity.name, question.formulas[0], over, direction, turns, domain, known, certificates)


def _direction_of(signs: frozenset[int]) -> int | None:
    return None if signs >= {-1, 1} else next((each for each in signs if each), 0)


def _list_steps(domain: Domain, over: str) -> Domain:
    """Return the domain of what a cost grows by to the next size: without the last size."""
    range_ = domain.ranges[over]
    if range_.last is None:
        return domain
    return domain.restrict(over, maximum=max(range_.last - range_.multiple_of, range_.first))


def _step_of(above: NormalForm, below: NormalForm, over: str, range_: Range) -> NormalForm | Term:
    """Return what has the sign of a cost at the next size less that at a size."""
    if range_.last == range_.first:
        return normal_form.constant(0)
    later = shift(above, over, range_.multiple_of)
    if below == normal_form.constant(1):
        return normal_form.add(later, normal_form.scale(above, -1))
    # f(n + 1) - f(n) has the sign of the numerators crossed, times both denominators
    following = shift(below, over, range_.multiple_of)
    parts = [term_of(each) for each in (later, below, above, following)]
    return ("*", ("+", ("*", *parts[:2]), ("*", -1, *parts[2:])), parts[1], parts[3])


def _list_turns(signs: Signs, most: int = 8) -> tuple[int, ...]:
    moving = [each for each in signs.intervals if each.sign != 0]
    return tuple(other.first for one, other in pairwise(moving) if one.sign != other.sign)[:most]


def _make(
    name: str, formula: sympy.Expr | None, over: str, direction: int | None, turns: tuple[int, ...], domain: Domain,
    known: str, certificates: tuple[Certificate, ...],
) -> Monotone:  # fmt: skip
    words = {1: "never falls", -1: "never rises", 0: "stays the same", None: "rises and falls"}[direction]
    where = f" First it turns at {over} = {turns[0]}." if turns else ""
    return Monotone(
        question=f"way of {name} over {over}", formula=formula, value=direction, domain=domain,
        sentence=hedge(f"{name} {words} as {over} grows.{where}", known), known=known, certificates=certificates,
        over=over, direction=direction, turns=turns,
    )  # fmt: skip
