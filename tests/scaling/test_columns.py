"""Formulas read on many cells together: what is known there is what each cell read alone, and point by point, says."""

from __future__ import annotations

import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st
from questions import QUESTIONS, N, costs

from modelmeter.dimensions.evaluate import evaluate
from modelmeter.dimensions.functions import RoutedReads, ceil_div
from modelmeter.scaling import Quantity, univariate
from modelmeter.scaling.cell import Cell
from modelmeter.scaling.cells import read_together
from modelmeter.scaling.columns import find_sign
from modelmeter.scaling.program import compile_terms
from modelmeter.scaling.terms import from_sympy

SEEN = 12
"""So many points of a cell are compared."""

cells = st.builds(
    lambda modulus, residue, first, more: Cell(modulus, residue, first, None if more is None else first + more),
    st.integers(1, 30), st.integers(0, 29), st.integers(1, 9), st.one_of(st.none(), st.integers(0, 9)),
)  # fmt: skip


@settings(max_examples=QUESTIONS, deadline=None)
@given(costs, st.lists(cells, min_size=1, max_size=6))
def test_what_is_read_together_has_the_values_of_the_formula(cost: Quantity, listed: list[Cell]) -> None:
    found = read_together(compile_terms([from_sympy(cost.formula)]), "n", listed)
    for cell, polynomials in zip(listed, found, strict=True):
        if polynomials is None:
            assert cell.first != cell.last, "a single point is never open"
            continue
        last = cell.first + SEEN if cell.last is None else min(cell.first + SEEN, cell.last)
        for place in range(cell.first, last + 1):
            assert univariate.value_at(polynomials[0], place) == evaluate(cost.formula, {"n": cell.point(place)})


@settings(max_examples=QUESTIONS, deadline=None)
@given(
    st.lists(st.integers(-40, 40), max_size=4),
    st.integers(-9, 9),
    st.one_of(st.none(), st.integers(0, 60)),
)
def test_a_sign_is_that_of_every_point(coefficients: list[int], first: int, more: int | None) -> None:
    last = None if more is None else first + more
    sign = find_sign(coefficients, first, last)
    points = range(first, (first + 200 if last is None else last) + 1)
    signs = {univariate.sign_of(sum(c * point**power for power, c in enumerate(coefficients))) for point in points}
    assert signs == {sign} if sign is not None else len(signs) > 1


@pytest.mark.parametrize(
    ("formula", "cell"),
    [
        (ceil_div(N, 4), Cell(6, 1, 0, None)),  # 6 q + 1 goes through classes of 4
        (RoutedReads(8, 2, N, 5), Cell(1, 0, 1, None)),  # few tokens do not read all experts
        (sympy.Max(N, 9), Cell(1, 0, 1, 20)),
        (1 / N, Cell(1, 0, 1, 5)),
    ],
    ids=str,
)
def test_a_cell_that_must_be_split_stays_open(formula: sympy.Expr, cell: Cell) -> None:
    other = Cell(12, 5, 40, None)
    found = read_together(compile_terms([from_sympy(sympy.sympify(formula))]), "n", [cell, other])
    assert found[0] is None
    assert (found[1] is None) == (formula == 1 / N)
