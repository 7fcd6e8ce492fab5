"""Signs on boxes: what is proved holds at every point, and what is easy is proved."""

from __future__ import annotations

from itertools import product

import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

from modelmeter.dimensions.evaluate import evaluate
from modelmeter.dimensions.functions import RoutedReads, ceil_div, differs, exceeds, floor_div
from modelmeter.scaling import box, growth, normal_form
from modelmeter.scaling.domain import Range
from modelmeter.scaling.terms import from_sympy

N, M = (sympy.Symbol(name, integer=True, positive=True) for name in "nm")
BOX = {"n": Range(1, 9), "m": Range(2, 7)}
OPEN = {"n": Range(1), "m": Range(2)}

_leaves = st.sampled_from([N, M, N * M, sympy.Integer(1), sympy.Integer(3), N**2])
_calls = st.one_of(
    st.builds(lambda a, b: sympy.sympify(ceil_div(a, b)), st.sampled_from([N, M, N + M, N * M]), st.integers(2, 5)),
    st.builds(lambda a, b: sympy.sympify(floor_div(a, b)), st.sampled_from([N, M, N + M]), st.integers(2, 5)),
    st.builds(
        lambda a, b: sympy.sympify(exceeds(a, sympy.Integer(b))), st.sampled_from([N, M, N * M]), st.integers(0, 6)
    ),
    st.builds(lambda a, b: sympy.sympify(differs(a, sympy.Integer(b))), st.sampled_from([N, M]), st.integers(1, 6)),
    st.builds(lambda k, w: RoutedReads(4, k, N, w), st.integers(1, 4), st.integers(1, 5)),
    st.builds(lambda a, b: sympy.Max(a, b, evaluate=False), st.sampled_from([N, M]), st.sampled_from([N * M, 3 + M])),
)
_products = st.builds(lambda c, a, b: c * a * b, st.integers(-4, 6), _leaves, _leaves | _calls)
formulas = st.lists(_products, min_size=1, max_size=4).map(lambda parts: sympy.Add(*parts))


def values_on(formula: sympy.Expr, ranges: dict[str, Range]) -> dict[tuple[int, int], int]:
    points = product(*(list(each.sample(9)) for each in ranges.values()))
    return {(n, m): evaluate(formula, {"n": n, "m": m}) for n, m in points}  # type: ignore[misc]


@settings(max_examples=400, deadline=None)
@given(formulas, st.sampled_from([BOX, OPEN]), st.booleans())
def test_what_is_proved_holds(formula: sympy.Expr, ranges: dict[str, Range], strict: bool) -> None:
    if box.proves(normal_form.read(from_sympy(formula)), ranges, strict=strict):
        assert all(value > 0 if strict else value >= 0 for value in values_on(formula, ranges).values())


@settings(max_examples=400, deadline=None)
@given(formulas, st.sampled_from([BOX, OPEN]))
def test_a_way_that_is_proved_is_gone(formula: sympy.Expr, ranges: dict[str, Range]) -> None:
    direction = growth.find_direction(normal_form.read(from_sympy(formula)), "n", ranges)
    values = values_on(formula, ranges)
    for n, m in values:
        if direction is not None and (n + 1, m) in values:
            assert (values[n + 1, m] - values[n, m]) * (direction or 1) >= 0
            assert direction or values[n + 1, m] == values[n, m]


@pytest.mark.parametrize(
    ("formula", "ranges"),
    [
        (N * M - N - M + 2, OPEN),
        (M - 1, OPEN),
        (10 - N, BOX),
        (10 * M - N * M, BOX),
        (100 - N * M - 36 + 0 * N, BOX),
        (4 * ceil_div(N, 4) - N + 1, OPEN),
        (N + 4 - 4 * ceil_div(N, 4), OPEN),
        (N + 1 - 4 * floor_div(N, 4), OPEN),
        (4 * 5 + 1 - RoutedReads(4, 2, N, 5), OPEN),
        (RoutedReads(4, 2, N, 5) - 9, OPEN),
        (M - differs(N, 3), OPEN),
        (1 + sympy.Max(N, M, evaluate=False) - N, OPEN),
        (N**2 - 6 * N + 10, OPEN),  # (n - 3)^2 + 1: only on parts of the box
    ],
    ids=str,
)
def test_what_is_easy_is_proved(formula: sympy.Expr, ranges: dict[str, Range]) -> None:
    form = normal_form.read(from_sympy(sympy.sympify(formula)))
    assert box.proves(form, ranges, strict=True)
    assert not box.proves(normal_form.scale(form, -1), ranges, strict=False)


def test_the_ends_of_a_box_count() -> None:
    """``9 - n`` is 0 at the end of the box, so it is at least 0 and not more."""
    form = normal_form.read(from_sympy(9 - N))
    assert box.proves(form, BOX, strict=False)
    assert not box.proves(form, BOX, strict=True)


def test_a_size_without_a_range_proves_nothing() -> None:
    assert not box.has_one_sign(normal_form.read("n"), {}, strict=False)
