"""What is proved of the order of two formulas, and that nothing else is."""

from __future__ import annotations

import pytest
import sympy
from hypothesis import given

from modelmeter.evaluate import evaluate
from modelmeter.functions import Size, ceil_div, differs, equals, exceeds, floor_div
from modelmeter.ordering import Ordering
from modelmeter.polynomials import read_polynomials
from modelmeter.symbols import symbol
from random_formulas import formulas, sizes

B, S, W, H = map(symbol, ("batch_size", "seq_len", "num_width_tiles", "num_height_tiles"))
SIDE, EXPERTS = symbol("base_size"), symbol("n_routed_experts")
GRID = floor_div(SIDE, 16)
TILES = exceeds(W * H, 1)


def is_at_least(larger: Size, smaller: Size) -> bool:
    read = read_polynomials((larger, smaller))
    return Ordering(read).is_at_least(*read.outputs)


@pytest.mark.parametrize(
    ("larger", "smaller"),
    [
        (3 * B * S, 2 * B * S),
        (B * S, S),  # a batch has at least one page
        (3 * B**2, B + 1),
        (B * S + 7 * W, B * S),
        # A quotient that is rounded up, times its divisor, and one that is rounded down.
        (14 * ceil_div(GRID, 14), GRID),
        (S + 63, 64 * ceil_div(S, 64)),
        (S, 64 * floor_div(S, 64)),
        (S, EXPERTS * floor_div(S, EXPERTS)),
        # ceil(6 n / 64) <= (6 n + 63) / 64, and n is at least 1.
        (18 * B * S, 16 * B * S + ceil_div(6 * B * S, 64)),
        # At least 1 and at least g / 14, so its square is at least a mean of 1, g / 14 and its square.
        (4 * 196 * ceil_div(GRID, 14) ** 2, GRID**2 + 14 * GRID + 392),
        # The pixels of a side: 16 g + 15 at most, for g patches, at least one.
        (31 * GRID, SIDE),
        (961 * GRID**2, SIDE**2),
        (ceil_div(GRID, 4), sympy.Integer(1)),
        # Brackets are 0 or 1.
        (B, differs(S, 7)),
        (S * B, S * B * equals(S, 7)),
        # A grid that has tiles has at least one in each direction.
        (TILES * B * W * H, TILES * B),
        (TILES * B * S * W, TILES * S),
    ],
    ids=str,
)
def test_an_order_is_proved(larger: Size, smaller: Size) -> None:
    assert is_at_least(larger, smaller)
    assert not is_at_least(smaller, larger)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (B, S),
        (B * S, B + S),  # 1 < 2, but 9 > 6
        (W * B, B),  # there may be no tiles
        (GRID**3, 100 * GRID**2),
        (196 * ceil_div(GRID, 14) ** 2, 2 * GRID**2),
        (floor_div(B, EXPERTS), TILES),  # there may be fewer pages than experts
    ],
    ids=str,
)
def test_no_order_is_proved_where_there_is_none(one: Size, other: Size) -> None:
    assert not is_at_least(one, other)
    assert not is_at_least(other, one)


@given(one=formulas, other=formulas, values=sizes)
def test_what_is_proved_holds(one: Size, other: Size, values: dict[str, int]) -> None:
    for larger, smaller in ((one, other), (one + other, other), (one * other, other)):
        if is_at_least(larger, smaller):
            assert evaluate(larger, values) >= evaluate(smaller, values)
