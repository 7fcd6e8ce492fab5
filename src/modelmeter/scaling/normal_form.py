"""Formulas multiplied out: sums of products of sizes and calls, in exact arithmetic of our own.

A normal form maps each product of powers to its coefficient. Two formulas are equal wherever their normal forms are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from functools import lru_cache
from typing import TypeAlias

from modelmeter.scaling.terms import BRACKETS, CHOICES, Number, Term, apply, simplest, to_term
from modelmeter.support.errors import FormulaError

Monomial: TypeAlias = tuple[tuple[Term, int], ...]
"""Sizes and calls, each with its power, in order."""

NormalForm: TypeAlias = dict[Monomial, Number]

ONE: Monomial = ()


@lru_cache(maxsize=65536)
def order_of(generator: Term) -> tuple[bool, str]:
    """Sort sizes by name, then calls by text."""
    return (not isinstance(generator, str), str(generator))


def constant(value: Number) -> NormalForm:
    """Return the normal form of a number."""
    return {ONE: value} if value else {}


def generator(term: Term) -> NormalForm:
    """Return the normal form of a size or a call."""
    return {((term, 1),): 1}


def add(*forms: Mapping[Monomial, Number]) -> NormalForm:
    """Return the sum."""
    total: NormalForm = {}
    for form in forms:
        for monomial, coefficient in form.items():
            total[monomial] = total.get(monomial, 0) + coefficient
    return {monomial: simplest(coefficient) for monomial, coefficient in total.items() if coefficient}


def scale(form: Mapping[Monomial, Number], factor: Number) -> NormalForm:
    """Return the form times a number."""
    return {monomial: simplest(coefficient * factor) for monomial, coefficient in form.items()} if factor else {}


def multiply(one: Mapping[Monomial, Number], other: Mapping[Monomial, Number]) -> NormalForm:
    """Return the product."""
    total: NormalForm = {}
    for left, a in one.items():
        for right, b in other.items():
            monomial = _join(left, right)
            total[monomial] = total.get(monomial, 0) + a * b
    return {monomial: simplest(coefficient) for monomial, coefficient in total.items() if coefficient}


def power(base: NormalForm, exponent: int) -> NormalForm:
    """Return a power; a negative one only of a single product.

    Raises
    ------
    FormulaError
        If a formula divides by a sum or by zero.
    """
    if exponent < 0:
        if len(base) != 1:
            raise FormulaError("a formula divides by a sum or by zero", found=f"{len(base)} terms")
        ((monomial, coefficient),) = base.items()
        inverse = tuple((each, -times) for each, times in monomial)
        return power({inverse: simplest(Fraction(1) / coefficient)}, -exponent)
    product = constant(1)
    for _ in range(exponent):
        product = multiply(product, base)
    return product


def _join(left: Monomial, right: Monomial) -> Monomial:
    if not left or not right:
        return left or right
    powers = dict(left)
    for each, times in right:
        powers[each] = powers.get(each, 0) + times
    kept = [(each, min(times, 1) if _is_bracket(each) else times) for each, times in powers.items() if times]
    return tuple(sorted(kept, key=lambda pair: order_of(pair[0])))


def _is_bracket(term: Term) -> bool:
    """Tell whether a term is 0 or 1: all its powers are the same then."""
    return isinstance(term, tuple) and term[0] in BRACKETS


def read(term: Term) -> NormalForm:
    """Return the normal form of a term; the arguments of its calls are brought into normal form, too.

    ``[a = b]`` becomes ``1 - [a != b]``, so that what stands beside both is seen.
    """
    return _Reader().read(term)


class _Reader:
    def __init__(self) -> None:
        self._known: dict[Term, NormalForm] = {}

    def read(self, term: Term) -> NormalForm:
        if term not in self._known:
            self._known[term] = self._compute(term)
        return self._known[term]

    def _compute(self, term: Term) -> NormalForm:
        if isinstance(term, int):
            return constant(term)
        if isinstance(term, str):
            return generator(term)
        head, *rest = term
        if head == "/":
            return constant(simplest(Fraction(*rest)))
        if head == "^":
            return power(self.read(rest[0]), rest[1])
        forms = [self.read(argument) for argument in rest]
        if head == "+":
            return add(*forms)
        if head == "*":
            product = constant(1)
            for form in sorted(forms, key=len):
                product = multiply(product, form)
            return product
        return read_call(head, forms)


def read_call(head: str, forms: list[NormalForm]) -> NormalForm:
    """Return the normal form of a call of arguments in normal form: its value, where they are numbers."""
    if all(is_constant(form) for form in forms):
        return constant(apply(head, [form.get(ONE, 0) for form in forms]))
    if head == "triangular":  # a polynomial
        (count,) = forms
        return scale(add(multiply(count, count), count), Fraction(1, 2))
    if head in ("ceil_div", "floor_div") and forms[1] == constant(1):
        return forms[0]
    if head in BRACKETS and forms[0] == forms[1]:
        return constant(1 if head == "equals" else 0)
    arguments = [to_normal_term(form) for form in forms]
    if head in ("differs", "equals"):
        differs = generator(("differs", *sorted(arguments, key=order_of)))
        return differs if head == "differs" else add(constant(1), scale(differs, -1))
    if head in CHOICES:
        arguments = sorted(set(arguments), key=order_of)
        if len(arguments) == 1:
            return forms[0]
    return generator((head, *arguments))


def is_constant(form: Mapping[Monomial, Number]) -> bool:
    """Tell whether a form is a number."""
    return not form or (len(form) == 1 and ONE in form)


def to_normal_term(form: Mapping[Monomial, Number]) -> Term:
    """Return the one term of a normal form: equal formulas become equal terms."""
    if is_constant(form):
        return to_term(form.get(ONE, 0))
    products = [_product(monomial, form[monomial]) for monomial in sorted(form, key=_order_of_monomial)]
    return products[0] if len(products) == 1 else ("+", *products)


def _order_of_monomial(monomial: Monomial) -> tuple[int, list[tuple[tuple[bool, str], int]]]:
    """Sort products of many factors first, as people write polynomials."""
    return (-sum(times for _, times in monomial), [(order_of(each), -times) for each, times in monomial])


def _product(monomial: Monomial, coefficient: Number) -> Term:
    factors = [each if times == 1 else ("^", each, times) for each, times in monomial]
    if coefficient != 1 or not factors:
        factors.insert(0, to_term(coefficient))
    return factors[0] if len(factors) == 1 else ("*", *factors)


def generators_of(forms: Iterable[Mapping[Monomial, Number]]) -> list[Term]:
    """Return the sizes and calls of forms, in order."""
    return sorted({each for form in forms for monomial in form for each, _ in monomial}, key=order_of)


def normalise(term: Term) -> Term:
    """Return the term of the normal form."""
    return to_normal_term(read(term))
