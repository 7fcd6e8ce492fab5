"""Permanent ids of formulas: ``deepseek-ocr/prefill/io_bytes@99d253b4``.

An id is the model, the stage or layer, the metric, and the beginning of a digest. The digest is of the formula as a
polynomial in one canonical form, so it is the same however the formula is written: multiplied out, factored, nested, in
any order. A formula with another coefficient, exponent or size has another digest, and so another id.

The canonical form is a value of JSON, the ``polynomial`` of an entry of ``formulas.json``:

* A formula is the largest of one or more quotients, rounded up. A quotient is ``[terms, denominator]``.
* Terms are a list of ``[coefficient, factors]``, and factors a list of ``[factor, power]``. A factor is the name of a
  size, or a call ``[function, terms, ...]`` of an integer function, with its arguments as terms.
* Coefficients and denominators are integers, written as strings; powers are integers of at least 1. Each quotient is in
  lowest terms; outside of a call ``Triangular(n)`` is ``n (n + 1) / 2``, multiplied out; a power of a bracket
  is the bracket.
* Quotients, terms and factors are sorted by their own text in JSON without spaces, terms by that of their factors.

The digest is the SHA-256 of that text in ASCII, so anyone who has ``formulas.json`` recomputes it::

    text = json.dumps(entry["polynomial"], separators=(",", ":"))
    hashlib.sha256(text.encode("ascii")).hexdigest()
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable
from typing import Any, Final, TypeAlias

import sympy
from attrs import field, frozen, validators

from modelmeter.algebra.draft import Draft, Polynomial, draft_polynomials
from modelmeter.algebra.polynomials import read_polynomials
from modelmeter.algebra.simplify import flatten_brackets
from modelmeter.core.functions import Size, Triangular
from modelmeter.support.errors import FormulaError

SHOWN_DIGITS: Final = 8
"""How many hexadecimal digits of a digest stand in an id."""

CanonicalForm: TypeAlias = list[Any]
"""A value of JSON: a list of quotients."""

_NAME = validators.matches_re(r"[a-z][a-z0-9_-]*")


@frozen(kw_only=True, order=True)
class FormulaId:
    """What a formula is cited by.

    Parameters
    ----------
    model
        The name of the registered model.
    subject, metric
        A stage or a layer, and what it costs.
    digest
        The SHA-256 of the canonical form, in hexadecimal digits.
    """

    model: str = field(validator=_NAME)
    subject: str = field(validator=_NAME)
    metric: str = field(validator=_NAME)
    digest: str = field(validator=validators.matches_re(r"[0-9a-f]{64}"))

    @property
    def address(self) -> str:
        """The id without the digest: where the newest formula of this metric is."""
        return f"{self.model}/{self.subject}/{self.metric}"

    @property
    def short_digest(self) -> str:
        """The digits of the digest that stand in the id."""
        return self.digest[:SHOWN_DIGITS]

    def __str__(self) -> str:
        return f"{self.address}@{self.short_digest}"


@frozen(kw_only=True)
class PublishedFormula:
    """A formula with its id.

    Parameters
    ----------
    formula
        A sympy expression, the sizes of the architecture as symbols; of a peak, which is made for one architecture,
        as numbers.
    is_stage
        Whether it is of a stage, of a request or of a training step; else it is of a layer.
    """

    id: FormulaId
    formula: sympy.Expr
    is_stage: bool


def identify(model: str, subject: str, metric: str, formula: Size) -> FormulaId:
    """Return the id of a formula.

    Raises
    ------
    FormulaError
        If the formula has no canonical form.
    """
    return FormulaId(model=model, subject=subject, metric=metric, digest=compute_digest(make_canonical(formula)))


def compute_digest(form: CanonicalForm) -> str:
    """Return the SHA-256 of a canonical form, in hexadecimal digits."""
    return hashlib.sha256(_write(form).encode("ascii")).hexdigest()


def make_canonical(formula: Size) -> CanonicalForm:
    """Return a formula in the one form that its digest is of.

    Parameters
    ----------
    formula
        Sums, products, powers and integer functions of sizes, or the largest of several such formulas.

    Raises
    ------
    FormulaError
        If the formula is made of anything else, or divides by a size.
    """
    candidates = [_expand_loops(candidate) for candidate in _list_candidates(sympy.sympify(formula))]
    names = [str(number) for number in range(len(candidates))]
    draft = flatten_brackets(draft_polynomials(names, read_polynomials(candidates)))
    forms = _Forms(draft)
    quotients = [[forms.terms(numerator), str(denominator)] for numerator, denominator in draft.outputs.values()]
    return _sort_once(quotients)


def _list_candidates(formula: sympy.Expr) -> list[sympy.Expr]:
    """Return what a formula is the largest of."""
    if not isinstance(formula, sympy.Max):
        return [formula]
    return [candidate for argument in formula.args for candidate in _list_candidates(argument)]


def _expand_loops(formula: sympy.Expr) -> sympy.Expr:
    """Return a formula with ``Triangular`` as the polynomial that it is; it stays in a call, which takes no halves."""
    if isinstance(formula, Triangular):
        (last,) = formula.args
        return last * (last + 1) / 2
    if not (formula.is_Add or formula.is_Mul or formula.is_Pow):
        return formula
    expanded: sympy.Expr = formula.func(*map(_expand_loops, formula.args))
    return expanded


def _sort_once(items: Iterable[Any]) -> list[Any]:
    """Return values of JSON sorted by their texts, equal ones once."""
    by_text = {_write(item): item for item in items}
    return [by_text[text] for text in sorted(by_text)]


def _write(form: Any) -> str:
    """Return the text of a value of JSON, without spaces."""
    return json.dumps(form, separators=(",", ":"))


class _Forms:
    """From the polynomials of a draft to canonical forms."""

    def __init__(self, draft: Draft) -> None:
        self._unknowns = draft.unknowns
        self._factors: dict[int, Any] = {}

    def terms(self, polynomial: Polynomial) -> list[Any]:
        """Return the terms of a polynomial, sorted."""
        terms = []
        for monomial, coefficient in polynomial.items():
            factors = [[self._factor(number), power] for number, power in Counter(monomial).items()]
            terms.append([str(coefficient), sorted(factors, key=_write)])
        return sorted(terms, key=lambda term: _write(term[1]))

    def _factor(self, number: int) -> Any:
        """Return what an unknown stands for."""
        if number not in self._factors:
            unknown = self._unknowns[number]
            if isinstance(unknown, dict):
                raise FormulaError("a sum has a name in what is to be a canonical form", found=unknown)
            self._factors[number] = (
                unknown if isinstance(unknown, str) else [unknown.function, *map(self.terms, unknown.arguments)]
            )
        return self._factors[number]
