"""Sizes as they are given and refused: what is exact, what is in the formula already, and in which order they go."""

from __future__ import annotations

from collections.abc import Container, Iterable
from numbers import Rational

import sympy

from modelmeter.support.errors import FormulaError


def sort_sizes(names: Iterable[str], architecture: Container[str]) -> list[str]:
    """Return sizes once each, as messages list them: those of a workload and its storage before the architecture's."""
    return sorted(dict.fromkeys(names), key=lambda name: name in architecture)


def is_exact(value: object) -> bool:
    """Tell whether a value is a number or a formula without floats; a text is neither, and is never read as one."""
    if isinstance(value, sympy.Expr):
        return not value.has(sympy.Float)
    return isinstance(value, Rational) and not isinstance(value, bool)


def settled_size(name: str) -> FormulaError:
    """Return the error for a size over which nothing can be asked."""
    return FormulaError(
        "the number of this size is in the formula already", place=name,
        remedy="peaks are made with the sizes of the architecture put in: ask over another size",
    )  # fmt: skip
