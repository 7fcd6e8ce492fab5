"""Permanent ids of formulas: ``deepseek-ocr/prefill/io_bytes@99d253b4``.

An id is the model, the stage or layer, the metric, and the beginning of a digest. The digest is of the formula as a
polynomial in one canonical form, so it is the same however the formula is written: multiplied out, factored, nested, in
any order. A formula with another coefficient, exponent or size has another digest, and so another id.

The canonical form is a value of JSON, the ``polynomial`` of an entry of ``formulas.json``; :data:`RULES` say how it is
made. The digest is the SHA-256 of its text without spaces, in ASCII; anyone who has ``formulas.json`` recomputes it::

    text = json.dumps(entry["polynomial"], separators=(",", ":"))
    hashlib.sha256(text.encode("ascii")).hexdigest()
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable
from operator import itemgetter
from typing import Any, Final, TypeAlias

import sympy
from attrs import field, frozen, validators

from modelmeter.algebra.draft import Call, Draft, Polynomial, draft_polynomials
from modelmeter.algebra.polynomials import read_polynomials
from modelmeter.algebra.simplify import flatten_brackets
from modelmeter.dimensions.functions import Size, Triangular
from modelmeter.support.errors import FormulaError

SHOWN_DIGITS: Final = 8
"""How many hexadecimal digits of a digest stand in an id."""

CanonicalForm: TypeAlias = list[Any]
"""A value of JSON: factors and quotients."""

RULES: Final = (
    "The form is ``[factors, quotients]``. The formula is the largest of its quotients, rounded up; most have one.",
    "A quotient is ``[terms, denominator]``, in lowest terms. Terms are added: each is ``[coefficient, powers]``, and "
    "its powers ``[place, exponent]`` say which factors it has, by their place among the factors, and how often.",
    "A factor is the name of a size, or a call ``[function, terms, ...]`` of an integer function, with the terms of "
    "each of its arguments, which have places of earlier factors only.",
    "Coefficients and denominators are integers, written as text; places and exponents are numbers, and exponents at "
    "least 1. A term that is 0, and a factor that no term has, is not there.",
    "Outside of calls ``Triangular(n)`` is ``n (n + 1) / 2``, multiplied out. A power of a bracket, which is 0 or 1, "
    "is the bracket.",
    "Factors are sorted by how deep calls are nested in them, then by their text with names for places; powers by "
    "place; terms by their powers; quotients by their text, and equal ones are one.",
)
"""How the canonical form is made, with code in double backquotes."""

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
    polynomial
        Its canonical form, which the digest is of.
    is_stage
        Whether it is of a stage, of a request or of a training step; else it is of a layer.
    """

    id: FormulaId
    formula: sympy.Expr
    polynomial: CanonicalForm
    is_stage: bool


def publish(model: str, subject: str, metric: str, formula: Size, *, is_stage: bool) -> PublishedFormula:
    """Return a formula with its id.

    Raises
    ------
    FormulaError
        If the formula has no canonical form.
    """
    polynomial = make_canonical(formula)
    found = FormulaId(model=model, subject=subject, metric=metric, digest=compute_digest(polynomial))
    return PublishedFormula(id=found, formula=sympy.sympify(formula), polynomial=polynomial, is_stage=is_stage)


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
    candidates = [_expand_loops(candidate) for candidate in list_candidates(sympy.sympify(formula))]
    names = [str(number) for number in range(len(candidates))]
    draft = flatten_brackets(draft_polynomials(names, read_polynomials(candidates)))
    forms = _Forms(draft)
    quotients = [[forms.terms(numerator), str(denominator)] for numerator, denominator in draft.outputs.values()]
    by_text = {_write(quotient): quotient for quotient in quotients}
    return [forms.factors(), [by_text[text] for text in sorted(by_text)]]


def list_candidates(formula: sympy.Expr) -> list[sympy.Expr]:
    """Return what a formula is the largest of."""
    if not isinstance(formula, sympy.Max):
        return [formula]
    return [candidate for argument in formula.args for candidate in list_candidates(argument)]


def _expand_loops(formula: sympy.Expr) -> sympy.Expr:
    """Return a formula with ``Triangular`` as the polynomial that it is; it stays in a call, which takes no halves."""
    if isinstance(formula, Triangular):
        (last,) = formula.args
        return last * (last + 1) / 2
    if not (formula.is_Add or formula.is_Mul or formula.is_Pow):
        return formula
    arguments = tuple(map(_expand_loops, formula.args))
    # Most formulas have none, and sympy sorts the terms of a sum anew.
    expanded: sympy.Expr = formula if arguments == formula.args else formula.func(*arguments)
    return expanded


def _write(form: Any) -> str:
    """Return the text of a value of JSON, without spaces."""
    return json.dumps(form, separators=(",", ":"))


class _Forms:
    """From the polynomials of a draft to canonical forms."""

    def __init__(self, draft: Draft) -> None:
        self._unknowns = draft.unknowns
        self._texts: dict[int, tuple[int, str]] = {}
        found = sorted(self._list_used(numerator for numerator, _ in draft.outputs.values()), key=self._rank)
        self._places = {number: place for place, number in enumerate(found)}

    def factors(self) -> list[Any]:
        """Return the factors in their order."""
        return [self._write_factor(self._unknowns[number], self.terms) for number in self._places]

    def terms(self, polynomial: Polynomial) -> list[Any]:
        """Return the terms of a polynomial in their order."""
        return _list_terms(polynomial, self._places.__getitem__, lambda place: place)

    def _list_used(self, polynomials: Iterable[Polynomial]) -> set[int]:
        """Return the unknowns in polynomials, and those in the arguments of these."""
        used: set[int] = set()
        pending = list(polynomials)
        while pending:
            new = {number for monomial in pending.pop() for number in monomial} - used
            used |= new
            pending.extend(
                argument
                for number in new
                if isinstance(call := self._unknowns[number], Call)
                for argument in call.arguments
            )
        return used

    def _rank(self, number: int) -> tuple[int, str]:
        """Return how deep calls are nested in an unknown, and its text with all names written out."""
        if number not in self._texts:
            unknown, depth = self._unknowns[number], 0
            if isinstance(unknown, Call):
                depth = 1 + max((self._rank(inner)[0] for inner in self._list_used(unknown.arguments)), default=0)
            self._texts[number] = depth, _write(self._write_factor(unknown, self._write_out))
        return self._texts[number]

    def _write_out(self, polynomial: Polynomial) -> list[Any]:
        """Return the terms of a polynomial with the texts of factors for their places."""
        return _list_terms(polynomial, self._rank, itemgetter(1))

    @staticmethod
    def _write_factor(unknown: str | Call | Polynomial, write: Callable[[Polynomial], list[Any]]) -> Any:
        if isinstance(unknown, str):
            return unknown
        if isinstance(unknown, Call):
            return [unknown.function, *map(write, unknown.arguments)]
        raise FormulaError("a sum has a name in what is to be a canonical form", found=unknown)


def _list_terms(polynomial: Polynomial, rank: Callable[[int], Any], show: Callable[[Any], Any]) -> list[Any]:
    """Return the terms of a polynomial in their order, its factors in that of their ranks, of which each is shown."""
    terms = []
    for monomial, coefficient in polynomial.items():
        powers = Counter(map(rank, monomial))
        terms.append([str(coefficient), [[show(each), powers[each]] for each in sorted(powers)]])
    return sorted(terms, key=itemgetter(1))
