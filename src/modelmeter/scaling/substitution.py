"""Numbers and formulas for sizes."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import sympy


@lru_cache(maxsize=4096)
def symbols_in(formula: sympy.Expr) -> frozenset[sympy.Symbol]:
    """Return the symbols of a formula; sympy walks through all of it every time."""
    return frozenset(formula.free_symbols)


@lru_cache(maxsize=4096)
def names_in(formula: sympy.Expr) -> frozenset[str]:
    """Return the names of the symbols of a formula."""
    return frozenset(str(symbol.name) for symbol in symbols_in(formula))


def put_sizes(formula: sympy.Expr, values: Mapping[str, sympy.Expr]) -> sympy.Expr:
    """Return a formula with values for the sizes of these names.

    Maxima are not compared again: that is what takes the time, for the candidates of a peak a minute.
    """
    replaced = {symbol: values[symbol.name] for symbol in symbols_in(formula) if symbol.name in values}
    return _put_once(formula, frozenset(replaced.items())) if replaced else formula


@lru_cache(maxsize=8192)
def _put_once(formula: sympy.Expr, replaced: frozenset[tuple[sympy.Symbol, sympy.Expr]]) -> sympy.Expr:
    """Return a formula with values for symbols; studies ask for the same again and again, for each card."""
    if not formula.has(sympy.Max, sympy.Min):
        result: sympy.Expr = formula.xreplace(dict(replaced))
        return result
    return _put(formula, dict(replaced), {})


def _put(
    formula: sympy.Expr, replaced: Mapping[sympy.Expr, sympy.Expr], known: dict[sympy.Expr, sympy.Expr]
) -> sympy.Expr:
    if formula in replaced:
        return replaced[formula]
    if not formula.args:
        return formula
    if formula not in known:
        arguments = [_put(argument, replaced, known) for argument in formula.args]
        if all(one is other for one, other in zip(arguments, formula.args, strict=True)):
            known[formula] = formula
        elif isinstance(formula, sympy.Max | sympy.Min):
            known[formula] = formula.func(*arguments, evaluate=False)
        else:
            known[formula] = formula.func(*arguments)
    return known[formula]
