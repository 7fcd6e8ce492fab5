"""Whether the parts of formulas add up: all multiplied out, their difference is 0."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import sympy

from modelmeter.algebra.polynomials import read_polynomials
from modelmeter.dimensions.symbols import Dimensions
from modelmeter.support.errors import FormulaError


def prove_sums(sums: Mapping[str, tuple[sympy.Expr, Sequence[sympy.Expr]]], dimensions: Dimensions) -> None:
    """Prove of each of several formulas that it is the sum of its parts, wherever all are defined.

    They are read together: most of what is in one is in another.

    Parameters
    ----------
    sums
        By what is said of one that is not: a formula, and its parts.

    Raises
    ------
    FormulaError
        If a difference, multiplied out, is not 0.
    """
    read = read_polynomials([each for whole, parts in sums.values() for each in (whole, *parts)], dimensions=dimensions)
    outputs = iter(read.outputs)
    for place, (_, parts) in sums.items():
        difference = next(outputs)
        for _ in parts:
            difference -= next(outputs)
        if difference:
            raise FormulaError(
                "the steps of a derivation do not add up to the formula", place=place,
                expected="no difference", found=difference.as_expr(),
                remedy="correct the part that is missing or too much: a layer, its calls, or how they are added up",
            )  # fmt: skip
