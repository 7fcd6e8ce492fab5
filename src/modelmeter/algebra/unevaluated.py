"""Sums and products as they are written: sympy neither collects their terms nor multiplies a number into a sum."""

from __future__ import annotations

from collections.abc import Sequence

import sympy

from modelmeter.dimensions.functions import Size


def split_product(expression: sympy.Expr) -> tuple[sympy.Rational, list[sympy.Expr]]:
    """Return the number and the other factors of a product, nested products flattened."""
    number, factors = sympy.Integer(1), []
    pending = [expression]
    while pending:
        factor = pending.pop(0)
        if factor.is_Mul:
            pending = [*factor.args, *pending]
        elif factor.is_Rational:
            number = number * factor
        else:
            factors.append(factor)
    return number, factors


def multiply(factors: Sequence[Size]) -> sympy.Expr:
    """Return a product as it is, without multiplying a number into a bracket."""
    number, rest = split_product(sympy.Mul(*map(sympy.sympify, factors), evaluate=False))
    if number == 0 or not rest:
        return number
    kept = rest if number == 1 else [number, *rest]
    return kept[0] if len(kept) == 1 else sympy.Mul(*kept, evaluate=False)


def add(terms: Sequence[Size]) -> sympy.Expr:
    """Return a sum as it is, without collecting terms; zeros are left out."""
    kept = [sympy.sympify(term) for term in terms if term != 0]
    if len(kept) < 2:
        return kept[0] if kept else sympy.Integer(0)
    return sympy.Add(*kept, evaluate=False)
