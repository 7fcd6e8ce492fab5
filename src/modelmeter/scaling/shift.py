"""A formula at a later size: with ``size + step`` for a size, in its calls, too."""

from __future__ import annotations

from collections.abc import Mapping

from modelmeter.scaling import normal_form
from modelmeter.scaling.normal_form import NormalForm
from modelmeter.scaling.terms import Term


def shift(form: NormalForm, name: str, step: int) -> NormalForm:
    """Return a formula with ``name + step`` for a size."""
    return substitute(form, {name: ("+", name, step)})


def substitute(form: NormalForm, values: Mapping[str, Term]) -> NormalForm:
    """Return a formula with terms for sizes."""
    return normal_form.read(replace(normal_form.to_normal_term(form), values))


def replace(term: Term, values: Mapping[str, Term]) -> Term:
    """Return a term with others for sizes."""
    if isinstance(term, str):
        return values.get(term, term)
    if isinstance(term, int) or term[0] == "/":
        return term
    if term[0] == "^":
        return ("^", replace(term[1], values), term[2])
    return (term[0], *(replace(part, values) for part in term[1:]))
