"""The real number at which two costs are equal, in closed form, where it rounds to the integer that was found."""

from __future__ import annotations

from typing import Any

import sympy

from modelmeter.scaling import univariate
from modelmeter.scaling.cells import NotResolvedError, find_pieces
from modelmeter.scaling.domain import Range
from modelmeter.scaling.normal_form import NormalForm, to_normal_term

_NEAR = 64
"""So far beyond an integer the polynomial is read that the formula is there."""


def find_root(form: NormalForm, over: str, value: int | None, rounding: Any, range_: Range) -> sympy.Expr | None:
    """Return the root of a formula of degree 1 or 2 that rounds to an integer.

    Parameters
    ----------
    form
        The formula; where it has brackets and the like, it is taken as what it is at the integer and beyond.
    rounding
        ``sympy.ceiling`` or ``sympy.floor``.
    range_
        What the size may be.
    """
    if value is None:
        return None
    coefficients = read_coefficients(form, over)
    if coefficients is None:
        coefficients = _read_near(form, over, value, range_)
    roots = () if coefficients is None else univariate.list_roots(coefficients)
    return next((root for root in roots if rounding(root) == value), None)


def round_root(root: sympy.Expr, rounding: Any) -> sympy.Expr:
    """Return the rounded root, unevaluated; a whole one as it is."""
    return root if root.is_Integer else rounding(root, evaluate=False)


def read_coefficients(form: NormalForm, over: str) -> univariate.Coefficients | None:
    """Return a polynomial in one size, or None where the size is inside of a call."""
    found: dict[int, Any] = {}
    for monomial, coefficient in form.items():
        if not monomial:
            found[0] = coefficient
        elif len(monomial) == 1 and monomial[0][0] == over and monomial[0][1] > 0:
            found[monomial[0][1]] = coefficient
        else:
            return None
    return univariate.trim([found.get(place, 0) for place in range(max(found, default=-1) + 1)])


def _read_near(form: NormalForm, over: str, value: int, range_: Range) -> univariate.Coefficients | None:
    """Return the polynomial that a formula is from an integer on, where it is one on all integers there."""
    near = range_.intersect(minimum=value, maximum=value + _NEAR * range_.multiple_of)
    try:
        pieces = find_pieces([to_normal_term(form)], over, [near.cell])
    except NotResolvedError:
        return None
    for piece in pieces:
        is_all = piece.cell.modulus == range_.multiple_of and piece.cell.first != piece.cell.last
        if is_all and piece.cell.start <= value + range_.multiple_of:
            return univariate.in_size(piece.polynomials[0], piece.cell.points)
    return None
