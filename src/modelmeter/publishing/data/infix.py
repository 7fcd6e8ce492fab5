"""Formulas as infix text: what ``str`` of sympy prints, in a third of the time."""

from __future__ import annotations

from typing import Any

import sympy
from sympy.core.exprtools import decompose_power
from sympy.printing.precedence import precedence
from sympy.printing.str import StrPrinter

from modelmeter.model.definition import Model
from modelmeter.publishing.formula import Shown, arrange, is_bytes
from modelmeter.publishing.identity import PublishedFormula, list_candidates


class InfixPrinter(StrPrinter):  # type: ignore[misc]  # sympy has no types
    """Prints many formulas of real sizes; what several of them hold is printed once.

    Terms are in sympy's order: by the exponents of the factors, then by the coefficient. sympy itself looks for complex
    numbers in each factor, again for every sum.
    """

    def __init__(self) -> None:
        super().__init__()
        self._texts: dict[sympy.Basic, str] = {}
        self._parts: dict[sympy.Expr, tuple[float, dict[sympy.Expr, int]]] = {}
        self._keys: dict[sympy.Expr, Any] = {}

    def _print(self, expr: Any, **options: Any) -> str:
        if options or not isinstance(expr, sympy.Basic):
            return str(super()._print(expr, **options))
        if expr not in self._texts:
            self._texts[expr] = str(super()._print(expr))
        return self._texts[expr]

    def _print_Mul(self, expr: sympy.Mul) -> str:  # noqa: N802  # as sympy calls it
        number, rest = expr.as_coeff_Mul()
        factors = sympy.Mul.make_args(rest)
        if not number.is_Integer or any(factor.is_Pow or factor.is_Mul or factor.is_Number for factor in factors):
            return str(super()._print_Mul(expr))
        level = precedence(expr)
        texts = [self.parenthesize(factor, level, strict=False) for factor in sorted(factors, key=self._sort_key)]
        sign, size = "-" if number < 0 else "", abs(int(number))
        return sign + "*".join(texts if size == 1 else [str(size), *texts])

    def _as_ordered_terms(self, expr: sympy.Expr, order: str | None = None) -> list[sympy.Expr]:
        terms = sympy.Add.make_args(expr)
        if len(terms) == 2 and _is_less(*(pair := sorted(terms, key=lambda term: not term.is_Number))):
            return pair
        parts = [(term, *self._split(term)) for term in terms]
        bases = sorted({base for _, _, powers in parts for base in powers}, key=self._sort_key)
        return [
            term
            for term, coefficient, powers in sorted(
                parts, key=lambda part: (tuple(-part[2].get(base, 0) for base in bases), part[1])
            )
        ]

    def _split(self, term: sympy.Expr) -> tuple[float, dict[sympy.Expr, int]]:
        """Return the coefficient of a term, and the exponents of its other factors."""
        if term not in self._parts:
            number, rest = term.as_coeff_Mul()
            factors = () if rest is sympy.S.One else sympy.Mul.make_args(rest)
            self._parts[term] = float(number), dict(map(decompose_power, factors))
        return self._parts[term]

    def _sort_key(self, expression: sympy.Expr) -> Any:
        if expression not in self._keys:
            self._keys[expression] = self._make_sort_key(expression)
        return self._keys[expression]

    def _make_sort_key(self, expression: sympy.Expr) -> Any:
        """Return sympy's own key, made of those of parts that are known."""
        number, rest = expression.as_coeff_Mul()
        base, exponent = rest.as_base_exp() if rest.is_Pow else (rest, sympy.S.One)
        if base.is_Atom:
            return expression.sort_key()
        if base.is_Add:
            parts = self._as_ordered_terms(base)
        else:
            parts = sorted(base.args, key=self._sort_key) if base.is_Mul else base.args
        return base.class_key(), (len(parts), tuple(map(self._sort_key, parts))), exponent.sort_key(), number


def _is_less(number: sympy.Expr, product: sympy.Expr) -> bool:
    """Tell whether a sum is a number less a multiple of one factor, which is not written the other way round."""
    factors = sympy.Mul.make_args(product)
    return bool(number.is_Number and number.is_positive and len(factors) == 2 and factors[0].is_negative)


def write_infix(entry: PublishedFormula, definition: Model, printer: InfixPrinter) -> str:
    """Return the formula as text with ``+ - * / **`` and calls of functions, factored for people."""
    metric: Shown = entry.id.metric  # type: ignore[assignment]  # of a peak, too, the unit is what matters
    arranged = [arrange(metric, candidate, definition) for candidate in list_candidates(entry.formula)]
    # Of bytes the bits are arranged.
    printed = [(each, printer.doprint(each)) for each in map(sympy.sympify, arranged)]
    texts = [f"({text})/8" if is_bytes(metric) and each != 0 else text for each, text in printed]
    return texts[0] if len(texts) == 1 else f"max({', '.join(texts)})"
