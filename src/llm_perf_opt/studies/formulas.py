"""Formulas of statements as LaTeX, and what their letters mean."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import sympy

from modelmeter.backends.latex.printer import print_latex
from modelmeter.backends.presentation.reader import FormulaReader
from modelmeter.dimensions.functions import BRACKETS, CeilDiv, FloorDiv, RoutedReads
from modelmeter.dimensions.symbols import Dimensions

LONGEST: Final = 600
"""Characters of a formula that a page prints; a longer one is in the JSON only."""

_MOST_PARTS: Final = 400


def to_latex(formula: sympy.Expr | None, dimensions: Dimensions) -> str | None:
    """Return a formula as LaTeX; None where there is none, or it is longer than a page has room for."""
    if formula is None or sum(1 for _ in sympy.preorder_traversal(formula)) > _MOST_PARTS:
        return None
    text = print_latex(FormulaReader(names=dimensions.latex, has_letters=True).read(formula))
    return text if len(text) <= LONGEST else None


def explain_brackets(formulas: Iterable[sympy.Expr]) -> list[str]:
    """Return what the brackets in formulas mean, of those that there are."""
    listed = list(formulas)
    return [text for kinds, text in _BRACKET_WORDS if any(formula.has(*kinds) for formula in listed)]


_BRACKET_WORDS: Final = (
    ((RoutedReads,), r"$`\left\lfloor x \right\rceil`$ is x rounded to the nearest whole number."),
    ((FloorDiv, sympy.floor), r"$`\left\lfloor x \right\rfloor`$ is x rounded down."),
    ((CeilDiv, sympy.ceiling), r"$`\left\lceil x \right\rceil`$ is x rounded up."),
    (BRACKETS, r"$`\left[a > b\right]`$ is 1 where what is inside holds, else 0."),
)


def list_letters(formulas: Iterable[sympy.Expr], dimensions: Dimensions) -> list[tuple[str, str, str]]:
    """Return the sizes in formulas: their letter, their name, and what they mean with the unit; in order of names."""
    names = sorted({str(symbol.name) for formula in formulas for symbol in formula.free_symbols})
    found: list[tuple[str, str, str]] = []
    for name in names:
        if name in dimensions.ranks:
            dimension = dimensions.describe(name)
            found.append((dimensions.latex[name], name, f"{dimension.meaning} ({dimension.unit})"))
    return found
