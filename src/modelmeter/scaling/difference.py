"""The difference of two workloads, modes, architectures or models, term by term, with its sign."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sympy
from attrs import frozen

from modelmeter.scaling import normal_form, terms
from modelmeter.scaling.domain import number_to_json
from modelmeter.scaling.identity import Identity
from modelmeter.scaling.monotony import find_box_signs, replay_signs
from modelmeter.scaling.normal_form import NormalForm
from modelmeter.scaling.quantity import Operand, as_quantity
from modelmeter.scaling.question import Bounds, ask, read_fraction, term_of
from modelmeter.scaling.statement import Statement, expect_answer, hedge, symbols_of
from modelmeter.scaling.terms import Number
from modelmeter.support.errors import CertificateError, FormulaError


@frozen(kw_only=True)
class DifferenceTerm:
    """One product of sizes in two costs, or one part by its name.

    Parameters
    ----------
    name
        The product as a text, or the name of the part.
    first, second
        What it is in each cost: a coefficient of the product, or the formula of the part.
    difference
        The first less the second.
    """

    name: str
    first: sympy.Expr
    second: sympy.Expr
    difference: sympy.Expr

    def to_json(self) -> dict[str, str]:
        """Return the term as JSON."""
        return {
            "name": self.name, "first": str(self.first), "second": str(self.second), "difference": str(self.difference),
        }  # fmt: skip


@frozen(kw_only=True)
class Difference(Statement):
    """One cost less another; ``value`` is the number, where no size is free.

    Parameters
    ----------
    over
        The free sizes.
    terms
        All products of sizes, or all parts.
    signs
        Those of -1, 0, 1 that the difference may have.
    """

    over: tuple[str, ...]
    terms: tuple[DifferenceTerm, ...]
    signs: frozenset[int]

    def _check_answer(self) -> None:
        """Check that the terms are those of the two sums, and that the signs are proved."""
        identity = self.certificates[0]
        if not isinstance(identity, Identity):
            raise CertificateError("a statement has other certificates", place=self.question, expected="an identity")
        ours, theirs = _read_sides(identity)
        total = normal_form.read(identity.formula)
        names = terms.names_of(identity.formula) | terms.names_of(identity.other)
        symbols = symbols_of(names, self.formula, *(each.difference for each in self.terms))
        rows = [_list_products(ours[0], theirs[0])] if len(ours) == 1 else []
        if len(self.terms) == len(ours):
            parts = [each.name for each in self.terms]
            if _are_named(parts, self.question):
                rows.append(_list_parts(parts, ours, theirs, symbols))
        if list(self.terms) not in rows:
            raise CertificateError("an answer does not follow", place=f"terms of {self.question}", found=self.terms)
        signs = frozenset({_sign_of(total)})
        rest = self.remake(certificates=self.certificates[1:])
        if self.over:
            signs = replay_signs(rest, total, self.domain)
        elif rest.certificates:
            raise CertificateError("a statement has other certificates", place=self.question)
        expect_answer(
            self, over=tuple(self.domain.ranges), signs=signs, formula=_formula(total, symbols),
            value=_number_of(total),
        )  # fmt: skip

    def details(self) -> Mapping[str, Any]:
        """Return what this has beside the others, as JSON."""
        return {"over": list(self.over), "terms": [each.to_json() for each in self.terms], "signs": sorted(self.signs)}


def difference(
    first: Operand | Mapping[str, Operand], second: Operand | Mapping[str, Operand], over: str | Sequence[str] = (), *,
    bounds: Bounds | None = None,
) -> Difference:  # fmt: skip
    """Return one cost less another, term by term; the two may be of different models or sizes.

    Parameters
    ----------
    first, second
        Two costs: their terms are the products of free sizes. Or two mappings from names of parts, such as stages,
        to costs: their terms are the parts, and one that the other lacks is 0 there.
    over
        The sizes that stay free.
    bounds
        Of these.

    Raises
    ------
    UnknownNameError
        If there is no such size.
    FormulaError
        If units differ, or a cost is a quotient.
    """
    parts = [dict(each) if isinstance(each, Mapping) else {"": each} for each in (first, second)]
    names = list(dict.fromkeys(name for part in parts for name in part))
    listed = [[as_quantity(part.get(name, 0)) for name in names] for part in parts]
    units = {each.unit for row in listed for each in row if each.formula != 0}
    if len(units) > 1:
        raise FormulaError("quantities of different units have no difference", found=", ".join(sorted(units)))
    question = ask([*listed[0], *listed[1]], over, bounds=bounds)
    forms = [_read(formula) for formula in question.formulas]
    ours, theirs = forms[: len(names)], forms[len(names) :]
    total = normal_form.add(*ours, *(normal_form.scale(form, -1) for form in theirs))
    is_product = names == [""]
    rows = _list_products(ours[0], theirs[0]) if is_product else _list_parts(names, ours, theirs, question.symbols)
    identity = Identity(term_of(total), ("+", *map(term_of, ours), *(("*", -1, term_of(form)) for form in theirs)))
    signs, known, certificates, domain = (
        find_box_signs(total, question.names, question.domain)
        if question.names
        else (frozenset({_sign_of(total)}), "proved", (), question.domain)
    )
    number = _number_of(total)
    titles = [_title(each) for each in (first, second)]
    return Difference(
        question=f"{titles[0]} less {titles[1]}", formula=_formula(total, question.symbols), value=number,
        domain=domain, sentence=hedge(_say(titles, signs, number), known), known=known,
        certificates=(identity, *certificates), over=question.names, terms=tuple(rows), signs=signs,
    )  # fmt: skip


def _read(formula: sympy.Expr) -> NormalForm:
    above, below = read_fraction(formula)
    if below != normal_form.constant(1):
        raise FormulaError(
            "a difference of quotients has no terms", found=formula, remedy="ask for that of their parts"
        )
    return above


def _read_sides(identity: Identity) -> tuple[list[NormalForm], list[NormalForm]]:
    """Return the costs that an identity adds, and those that it takes off.

    Raises
    ------
    CertificateError
        If it is none of a difference.
    """
    other = identity.other
    parts = list(other[1:]) if isinstance(other, tuple) and other[0] == "+" else []
    count = len(parts) // 2
    taken = [each[2] for each in parts[count:] if isinstance(each, tuple) and each[:2] == ("*", -1) and len(each) == 3]
    if not parts or len(taken) != count or len(parts) != 2 * count:
        raise CertificateError("an identity is not of a difference", found=terms.to_text(other))
    return [normal_form.read(each) for each in parts[:count]], [normal_form.read(each) for each in taken]


def _are_named(parts: Sequence[str], question: str) -> bool:
    """Tell whether a question is about parts of these names: those of the first cost, and then the others."""
    firsts = [" + ".join(parts[:count]) for count in range(len(parts) + 1)]
    return any(question.startswith(f"{first} less ") for first in firsts) and all(name in question for name in parts)


def _list_parts(
    names: Sequence[str], ours: Sequence[NormalForm], theirs: Sequence[NormalForm], symbols: Mapping[str, sympy.Symbol]
) -> list[DifferenceTerm]:
    """Return a term for each part, by its name."""
    return [
        DifferenceTerm(
            name=name, first=_formula(one, symbols), second=_formula(other, symbols),
            difference=_formula(normal_form.add(one, normal_form.scale(other, -1)), symbols),
        )
        for name, one, other in zip(names, ours, theirs, strict=True)
    ]  # fmt: skip


def _list_products(one: NormalForm, other: NormalForm) -> list[DifferenceTerm]:
    """Return a term for each product of sizes."""
    rows = []
    for monomial in sorted({*one, *other}, key=lambda each: (-sum(times for _, times in each), str(each))):
        first, second = one.get(monomial, 0), other.get(monomial, 0)
        name = terms.to_text(normal_form.to_normal_term({monomial: 1}))
        rows.append(
            DifferenceTerm(name=name, first=_number(first), second=_number(second), difference=_number(first - second))
        )
    return rows


def _number(value: Number) -> sympy.Expr:
    return sympy.Rational(value.numerator, value.denominator)


def _formula(form: NormalForm, symbols: Mapping[str, sympy.Symbol]) -> sympy.Expr:
    return terms.to_sympy(term_of(form), symbols)


def _number_of(total: NormalForm) -> Number | None:
    return total.get(normal_form.ONE, 0) if normal_form.is_constant(total) else None


def _sign_of(total: NormalForm) -> int:
    value = total.get(normal_form.ONE, 0)
    return (value > 0) - (value < 0)


def _title(cost: Operand | Mapping[str, Operand]) -> str:
    if isinstance(cost, Mapping):
        return " + ".join(cost)
    return as_quantity(cost).name


def _say(titles: list[str], signs: frozenset[int], number: Number | None) -> str:
    if number is not None:
        return f"{titles[0]} less {titles[1]} is {number_to_json(number)}."
    words = {
        frozenset({1}): "always more than", frozenset({0, 1}): "never less than", frozenset({-1}): "always less than",
        frozenset({-1, 0}): "never more than", frozenset({0}): "the same as",
    }.get(signs, "sometimes more and sometimes less than")  # fmt: skip
    return f"{titles[0]} is {words} {titles[1]}."
