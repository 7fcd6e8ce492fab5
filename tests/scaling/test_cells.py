"""Formulas in pieces: on each cell the polynomial has the values of the formula."""

from __future__ import annotations

from fractions import Fraction
from math import floor

import pytest
import sympy
from hypothesis import given, settings
from questions import QUESTIONS, N, costs, values

from modelmeter.dimensions.functions import RoutedReads, ceil_div
from modelmeter.scaling import Quantity, univariate
from modelmeter.scaling.cell import Cell
from modelmeter.scaling.cells import NotResolvedError, find_pieces
from modelmeter.scaling.cover import check_cover
from modelmeter.scaling.domain import Range
from modelmeter.scaling.terms import from_sympy
from modelmeter.support.errors import CertificateError

LAST = 60


@settings(max_examples=QUESTIONS, deadline=None)
@given(costs)
def test_pieces_have_the_values_of_the_formula(cost: Quantity) -> None:
    pieces = find_pieces([from_sympy(cost.formula)], "n", [Range(1).cell])
    check_cover([piece.cell for piece in pieces], Range(1))
    expected = dict(enumerate(values(cost, LAST), start=1))
    seen = {}
    for piece in pieces:
        place = piece.cell.first
        while piece.cell.point(place) <= LAST and (piece.cell.last is None or place <= piece.cell.last):
            seen[piece.cell.point(place)] = univariate.value_at(piece.polynomials[0], place)
            place += 1
    assert seen == expected


@pytest.mark.parametrize(
    ("experts", "per_token", "tokens", "weights"),
    [(7, 3, N, 3 * N), (5, 2, 3 * N, 6 * N + 5), (11, 11, N, N), (13, 1, 2 * N + 1, 2 * N + 8), (7, 3, N, 2244)],
)
def test_reads_of_experts_that_grow_with_the_tokens(
    experts: int, per_token: int, tokens: sympy.Expr, weights: sympy.Expr
) -> None:
    """Against E (1 - (1 - k/E)^N) W in exact fractions, rounded to the nearest integer, halves up, point by point."""
    formula = RoutedReads(experts, per_token, tokens, weights)
    pieces = find_pieces([from_sympy(formula)], "n", [Range(1).cell])
    check_cover([piece.cell for piece in pieces], Range(1))
    *_, last = sorted(piece.cell.first for piece in pieces)
    assert last < 200
    for piece in pieces:
        for place in range(
            piece.cell.first, 1 + (piece.cell.first + 40 if piece.cell.last is None else piece.cell.last)
        ):
            point = piece.cell.point(place)
            missed = Fraction(experts - per_token, experts) ** int(tokens.subs(N, point))
            read = experts * (1 - missed) * int(sympy.sympify(weights).subs(N, point))
            assert univariate.value_at(piece.polynomials[0], place) == floor(read + Fraction(1, 2)), point


def test_a_class_is_refined_into_its_parts() -> None:
    cell = Cell(3, 2, 4, 11)  # 14, 17, ..., 35
    parts = list(cell.refine(5))
    points = sorted(part.point(q) for part in parts for q in range(part.first, (part.last or 0) + 1))
    assert points == list(range(14, 36, 3))
    assert {part.modulus for part in parts} == {15}


@pytest.mark.parametrize(
    ("formula", "problem"),
    [
        (ceil_div(N**2, N + 1), "divides one size by another"),
        (1 / (N + 1), "divides by a size"),
        (RoutedReads(N + 3, 2, 7, 5), "depend on the size"),
        (RoutedReads(7, 2, N, N**2), "depend on the size"),
        (RoutedReads(7, 2, 3 * N, 3 * N - 1), "depend on the size"),
        (ceil_div(N, 10**9 + 7), "residue classes"),
        (RoutedReads(10**6, 1, N, 5), "too many pieces"),
    ],
    ids=str,
)
def test_what_has_no_pieces_is_said_so(formula: sympy.Expr, problem: str) -> None:
    with pytest.raises(NotResolvedError, match=problem):
        find_pieces([from_sympy(sympy.sympify(formula))], "n", [Range(1).cell])


@pytest.mark.parametrize(
    ("cells", "range_"),
    [
        ([Cell(1, 0, 1, 4), Cell(1, 0, 6, None)], Range(1)),  # 5 is missing
        ([Cell(1, 0, 1, 5), Cell(1, 0, 5, None)], Range(1)),  # 5 is there twice
        ([Cell(2, 0, 1, None)], Range(1)),  # odd ones are missing
        ([Cell(2, 0, 1, None), Cell(2, 1, 0, None), Cell(4, 1, 0, None)], Range(1)),
        ([Cell(1, 0, 0, None)], Range(1)),  # 0 is outside
        ([Cell(1, 0, 1, None)], Range(1, 9)),
        ([Cell(1, 0, 1, 8)], Range(1, 9)),
        ([Cell(1, 0, 3, 2)], Range(3)),
        ([Cell(1, 0, 3, None)], Range(3, None, 3)),
        ([], Range(1)),
    ],
    ids=str,
)
def test_cells_that_do_not_cover_a_range_are_refused(cells: list[Cell], range_: Range) -> None:
    with pytest.raises(CertificateError):
        check_cover(cells, range_)


def test_cells_of_several_moduli_cover_a_range() -> None:
    check_cover([Cell(1, 0, 1, 4), Cell(2, 0, 3, None), Cell(4, 1, 1, None), Cell(4, 3, 1, None)], Range(1))
    check_cover([Cell(3, 0, 1, 3)], Range(2, 11, 3))
