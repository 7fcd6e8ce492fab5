"""The sign of a quantity on a box, and which way it goes over a size."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import sympy
from attrs import frozen

from modelmeter.scaling import box, growth, normal_form, terms
from modelmeter.scaling.box_sign import BoxSign, Growth
from modelmeter.scaling.certificate import Certificate, SignTable
from modelmeter.scaling.domain import Domain, Range
from modelmeter.scaling.normal_form import NormalForm
from modelmeter.scaling.quantity import Operand, as_quantity
from modelmeter.scaling.question import Bounds, ask, read_fraction, read_sign_form, term_of
from modelmeter.scaling.shift import shift
from modelmeter.scaling.signs import CHECKED_POINTS, Signs, find_signs
from modelmeter.scaling.statement import PROVED, Statement, expect_answer, hedge
from modelmeter.scaling.terms import Term
from modelmeter.scaling.univariate import sign_of
from modelmeter.support.errors import FormulaError


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
        """Check that the signs are those of the certificate."""
        for certificate in self.certificates:
            if isinstance(certificate, SignTable):
                expect_answer(self, frozenset(each.sign for each in certificate.cells), self.signs)

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
        """Check that the direction is that of the certificate."""
        for certificate in self.certificates:
            if isinstance(certificate, Growth):
                expect_answer(self, certificate.direction, self.direction)
            if isinstance(certificate, SignTable):
                found = {each.sign for each in certificate.cells}
                expect_answer(self, None if found >= {-1, 1} else sum(found), self.direction)

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
        formula=question.formulas[0], value=next(iter(found)) if len(found) == 1 else None, domain=domain,
        sentence=hedge(f"{quantity.name} is {words} on the whole domain.", known), known=known,
        certificates=certificates, over=question.names, signs=found,
    )  # fmt: skip


def find_box_signs(
    form: NormalForm, names: tuple[str, ...], domain: Domain
) -> tuple[frozenset[int], str, tuple[Certificate, ...], Domain]:
    """Return the signs that a formula may have on a box, how that is known, why, and where."""
    if len(names) == 1:
        signs = find_signs(term_of(form), names[0], domain.ranges[names[0]])
        return read_sign_set(signs), signs.known, signs.certificates, signs.narrow(domain, names[0])
    for factor in (1, -1):
        turned = normal_form.scale(form, factor)
        for strict in (True, False):
            if box.proves(turned, domain.ranges, strict=strict):
                certificate = BoxSign(term_of(turned), domain.ranges, strict)
                return frozenset({factor} if strict else {0, factor}), PROVED, (certificate,), domain
    points = list(box.list_points(domain.ranges, CHECKED_POINTS))
    found = frozenset(sign_of(terms.evaluate(term_of(form), point)) for point in points)
    if found >= {-1, 1}:
        # Two points of different signs are proof enough that there are both.
        return found, PROVED, _witnesses(form, points), domain
    checked = {
        name: Range(each.first, max(int(point[name]) for point in points)) for name, each in domain.ranges.items()
    }
    return found, _checked_text(checked), (), Domain(checked, domain.fixed)


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
    if len(question.names) > 1:
        return _monotone_on_box(quantity.name, above, over, question.domain)
    step = question.range.multiple_of
    later = shift(above, over, step)
    if is_quotient:  # f(n + 1) - f(n) has the sign of the numerators crossed, times both denominators
        following = shift(below, over, step)
        parts = [term_of(each) for each in (later, below, above, following)]
        difference: Term = ("*", ("+", ("*", *parts[:2]), ("*", -1, *parts[2:])), parts[1], parts[3])
    else:
        difference = term_of(normal_form.add(later, normal_form.scale(above, -1)))
    last = question.range.last
    if last == question.range.first:
        difference = 0
    steps = question.range if last is None else question.range.intersect(maximum=max(last - step, question.range.first))
    signs = find_signs(difference, over, steps)
    found = read_sign_set(signs)
    direction = None if found >= {-1, 1} else next((each for each in found if each), 0)
    turns = () if direction is not None else _list_turns(signs)
    domain = signs.narrow(question.domain, over)
    return _make(quantity.name, question.formulas[0], over, direction, turns, domain, signs.known, signs.certificates)


def _monotone_on_box(name: str, form: NormalForm, over: str, domain: Domain) -> Monotone:
    step = domain.ranges[over].multiple_of
    difference = normal_form.add(shift(form, over, step), normal_form.scale(form, -1))
    last = domain.ranges[over].last
    steps = domain if last is None else domain.restrict(over, maximum=max(last - step, domain.ranges[over].first))
    found, known, certificates, checked = find_box_signs(difference, tuple(domain.ranges), steps)
    direction = None if found >= {-1, 1} else next((each for each in found if each), 0)
    return _make(name, None, over, direction, (), checked, known, certificates)


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
