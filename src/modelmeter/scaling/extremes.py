"""The largest and the smallest value of a quotient of two formulas of one size, attained or tended to."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from attrs import frozen

from modelmeter.scaling import normal_form, univariate
from modelmeter.scaling.cells import Piece, find_pieces
from modelmeter.scaling.certificate import SignTable
from modelmeter.scaling.domain import Range
from modelmeter.scaling.normal_form import NormalForm
from modelmeter.scaling.question import term_of
from modelmeter.scaling.terms import Number, Term, simplest
from modelmeter.scaling.univariate import Coefficients
from modelmeter.support.errors import CertificateError, FormulaError


@frozen
class Extreme:
    """A bound of a quotient that no smaller one is.

    Parameters
    ----------
    value
        The bound; None where there is none.
    at
        The first integer at which the quotient is the bound; None where it only tends to it.
    """

    value: Number | None
    at: int | None


def find_extremes(above: NormalForm, below: NormalForm, over: str, range_: Range) -> tuple[Extreme, Extreme]:
    """Return the infimum and the supremum of ``above / below`` on the integers of a range.

    Raises
    ------
    NotResolvedError
        If the pieces of a formula are not found.
    FormulaError
        If the denominator is not more than 0 everywhere.
    """
    pieces = find_pieces([term_of(above), term_of(below)], over, [range_.cell])
    candidates: list[tuple[Number, int | None]] = []
    has_no_end = {-1: False, 1: False}
    for piece in pieces:
        candidates += [(value, piece.cell.point(place)) for value, place in _list_values(piece)]
        if piece.cell.last is None:
            limit, direction = _limit(*piece.polynomials)
            if limit is None:
                has_no_end[direction] = True
            else:
                candidates.append((limit, None))
    found = []
    for sign in (-1, 1):
        if has_no_end[sign]:
            found.append(Extreme(None, None))
            continue
        best = max(value * sign for value, _ in candidates)
        places = [at for value, at in candidates if value * sign == best and at is not None]
        found.append(Extreme(simplest(best * sign), min(places, default=None)))
    return found[0], found[1]


def certify_bound(
    above: NormalForm, below: NormalForm, bound: Number, sign: int, over: str, range_: Range
) -> SignTable:
    """Return the certificate that ``above / below`` is at most a bound (``sign`` 1), or at least (-1)."""
    return SignTable.make(rest_of_bound(above, below, bound, sign), over, range_)


def rest_of_bound(above: NormalForm, below: NormalForm, bound: Number, sign: int) -> Term:
    """Return what is at least 0 where ``above / below`` is at most a bound (``sign`` 1), or at least (-1)."""
    return term_of(normal_form.add(normal_form.scale(below, bound * sign), normal_form.scale(above, -sign)))


def find_zero(table: SignTable) -> int | None:
    """Return the first integer at which a formula is 0, of one that is negative nowhere; None: nowhere.

    Raises
    ------
    CertificateError
        If it is negative somewhere.
    """
    if any(each.sign < 0 for each in table.cells):
        raise CertificateError("a bound does not hold", place=table.name, expected="no negative sign")
    return min((each.cell.start for each in table.cells if each.sign == 0), default=None)


def _list_values(piece: Piece) -> Iterator[tuple[Number, int]]:
    """Yield the values of a quotient where it turns on a cell, and at the cell's ends, each with its place q."""
    above, below = piece.polynomials
    cell = piece.cell
    signs = univariate.find_signs(below, cell.first, cell.last)
    if [run.sign for run in signs] != [1]:
        raise FormulaError("a denominator is not more than 0 everywhere", place=str(cell.point(signs[0].first)))
    places = {cell.first}
    if cell.last is None or cell.last > cell.first:
        crossed = univariate.subtract(
            univariate.multiply(_next(above), below), univariate.multiply(above, _next(below))
        )
        last = None if cell.last is None else cell.last - 1
        places.update(run.first for run in univariate.find_signs(crossed, cell.first, last))
        places.update(() if cell.last is None else (cell.last,))
    for place in sorted(places):
        value = Fraction(univariate.value_at(above, place)) / univariate.value_at(below, place)
        yield simplest(value), place


def _next(polynomial: Coefficients) -> Coefficients:
    return univariate.substitute(polynomial, (1, 1))


def _limit(above: Coefficients, below: Coefficients) -> tuple[Number | None, int]:
    """Return what a quotient tends to; None: it has no bound on the side of the sign."""
    if len(above) > len(below):
        return None, univariate.sign_of(above[-1])
    if len(above) < len(below):
        return 0, 0
    return simplest(Fraction(above[-1]) / below[-1]), 0
