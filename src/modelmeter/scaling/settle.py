"""Brackets, maxima and minima of which it is proved what they are on a box: a formula without them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from modelmeter.scaling import box, normal_form, terms
from modelmeter.scaling.box_sign import BoxSign
from modelmeter.scaling.certificate import Certificate
from modelmeter.scaling.domain import Domain
from modelmeter.scaling.normal_form import NormalForm
from modelmeter.scaling.terms import BRACKETS, CHOICES, Term


def leave_brackets(form: NormalForm, over: str, domain: Domain) -> Domain:
    """Return the part of a domain beyond the numbers that brackets compare a size with."""
    for call in normal_form.generators_of([form]):
        inner = [call, *(_list_calls(call))]
        for each in inner:
            if isinstance(each, tuple) and each[0] in BRACKETS and each[1] == over and isinstance(each[2], int):
                domain = domain.restrict(over, minimum=each[2] + 1)
    return domain


def _list_calls(term: Term) -> Iterator[Term]:
    if isinstance(term, tuple):
        for part in term[1:]:
            if isinstance(part, tuple):
                yield part
                yield from _list_calls(part)


def settle_brackets(form: NormalForm, domain: Domain) -> tuple[NormalForm, tuple[Certificate, ...]]:
    """Return a formula without the brackets of which it is proved that they are 0, or 1; also inside of others."""
    certificates: list[Certificate] = []
    values: dict[Term, Term] = {}
    term = normal_form.to_normal_term(form)
    for call in dict.fromkeys(_list_calls(("+", term))):
        if not (isinstance(call, tuple) and call[0] in BRACKETS):
            continue
        one, other = (normal_form.read(argument) for argument in call[1:])
        difference = normal_form.add(one, normal_form.scale(other, -1))
        for sign, is_strict in ((1, True), (-1, True), (-1, False)):
            turned = normal_form.scale(difference, sign)
            if not is_strict and call[0] != "exceeds":
                continue
            if box.proves(turned, domain.ranges, strict=is_strict):
                values[call] = terms.to_term(terms.apply(call[0], [sign if is_strict else 0, 0]))
                certificates.append(BoxSign(normal_form.to_normal_term(turned), domain.ranges, is_strict))
                break
    return normal_form.read(replace_terms(term, values)), tuple(certificates)


def replace_terms(term: Term, values: Mapping[Term, Term]) -> Term:
    """Return a term with others for terms in it."""
    if term in values:
        return values[term]
    if not isinstance(term, tuple) or term[0] == "/":
        return term
    if term[0] == "^":
        return ("^", replace_terms(term[1], values), term[2])
    return (term[0], *(replace_terms(part, values) for part in term[1:]))


def settle_choices(form: NormalForm, domain: Domain) -> tuple[NormalForm, tuple[Certificate, ...]]:
    """Return a formula without the maxima and minima of which one candidate is proved to be the one."""
    certificates: list[Certificate] = []
    for call in normal_form.generators_of([form]):
        if not (isinstance(call, tuple) and call[0] in CHOICES):
            continue
        candidates = [normal_form.read(each) for each in call[1:]]
        for chosen in candidates:
            differences = [
                normal_form.add(chosen, normal_form.scale(each, -1)) for each in candidates if each is not chosen
            ]
            if call[0] == "min":
                differences = [normal_form.scale(each, -1) for each in differences]
            if all(box.proves(each, domain.ranges, strict=False) for each in differences):
                form = box.put(form, call, chosen)
                certificates += [
                    BoxSign(normal_form.to_normal_term(each), domain.ranges, False) for each in differences
                ]
                break
    return form, tuple(certificates)
