"""What is proved of the order of two formulas, and that nothing else is."""

from __future__ import annotations

from typing import get_args

import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

from modelmeter.algebra.ordering import Ordering
from modelmeter.algebra.polynomials import read_polynomials
from modelmeter.dimensions.evaluate import evaluate
from modelmeter.dimensions.functions import Size, ceil_div, differs, equals, exceeds, floor_div
from modelmeter.dimensions.size_rules import Relation, Rule
from modelmeter.models.deepseek_ocr.dimensions import symbol
from random_formulas import formulas, sizes

B, S, W, H = map(symbol, ("batch_size", "seq_len", "num_width_tiles", "num_height_tiles"))
SIDE, EXPERTS = symbol("base_size"), symbol("n_routed_experts")
GRID = floor_div(SIDE, 16)
TILES = exceeds(W * H, 1)


HAS_A_PATCH = Rule(16, "at_most", "base_size")


def is_at_least(larger: Size, smaller: Size, *rules: Rule) -> bool:
    read = read_polynomials((larger, smaller))
    return Ordering(read, rules=rules).is_at_least(*read.outputs)


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
    assert is_at_least(larger, smaller, HAS_A_PATCH)
    assert not is_at_least(smaller, larger, HAS_A_PATCH)


HEIGHT, STRIDE, PATCH = map(symbol, ("height", "stride", "sam_patch_size"))
ONE = sympy.Integer(1)


@pytest.mark.parametrize(
    ("larger", "smaller", "rules", "sizes"),
    [
        # No rule says that a side holds a step or a patch: floor(1 / 2) and floor(15 / 16) are 0, whatever the unit.
        (floor_div(HEIGHT, STRIDE), ONE, (), {"height": 1, "stride": 2}),
        (GRID, ONE, (), {"base_size": 15}),
        (31 * GRID, SIDE, (), {"base_size": 15}),
        (ceil_div(GRID, 4), ONE, (), {"base_size": 15}),
        # Rules that say something else: of a smaller patch, of another side, of another patch, or the other way round.
        (GRID, ONE, (Rule(15, "at_most", "base_size"),), {"base_size": 15}),
        (GRID, ONE, (Rule(16, "at_most", "image_size"),), {"base_size": 15, "image_size": 16}),
        (floor_div(SIDE, PATCH), ONE, (HAS_A_PATCH,), {"base_size": 16, "sam_patch_size": 17}),
        (floor_div(SIDE, PATCH), ONE, (Rule("base_size", "at_most", "sam_patch_size"),),
         {"base_size": 2, "sam_patch_size": 3}),
        # No tiles are a multiple of any number of pages.
        (floor_div(W, B), ONE, (Rule("batch_size", "divides", "num_width_tiles"),),
         {"num_width_tiles": 0, "batch_size": 3}),
        (W, ONE, (), {"num_width_tiles": 0}),
        (TILES * W * H, TILES * 2 * W, (), {"num_width_tiles": 2, "num_height_tiles": 1}),
    ],
    ids=str,
)  # fmt: skip
def test_nothing_false_is_proved(larger: Size, smaller: Size, rules: tuple[Rule, ...], sizes: dict[str, int]) -> None:
    """At these sizes, which keep the rules, the first is less than the second."""
    assert evaluate(larger, sizes) < evaluate(smaller, sizes)
    assert not is_at_least(larger, smaller, *rules)


@pytest.mark.parametrize(
    ("larger", "rule"),
    [
        (floor_div(HEIGHT, STRIDE), Rule("stride", "at_most", "height")),
        (floor_div(HEIGHT, STRIDE), Rule("stride", "divides", "height")),
        (floor_div(HEIGHT, STRIDE), Rule("stride", "divides_evenly", "height")),
        (floor_div(SIDE, 14), HAS_A_PATCH),  # what holds a patch of 16 holds one of 14
        (ceil_div(floor_div(SIDE, PATCH), 4), Rule("sam_patch_size", "at_most", "base_size")),
        (floor_div(W, B), Rule("batch_size", "at_most", "num_width_tiles")),
    ],
    ids=str,
)
def test_what_a_rule_declares_is_used(larger: Size, rule: Rule) -> None:
    assert is_at_least(larger, ONE, rule)
    assert not is_at_least(larger, ONE)


SMALL = st.integers(1, 9)


@given(
    dividend=SMALL, divisor=SMALL, limit=SMALL, relation=st.sampled_from(get_args(Relation)), known=st.booleans(),
    times=SMALL,
)  # fmt: skip
def test_what_is_proved_of_a_quotient_holds_where_the_rules_do(
    dividend: int, divisor: int, limit: int, relation: Relation, known: bool, times: int
) -> None:
    rule = Rule(limit if known else "stride", relation, "height")
    step, least = (sympy.Integer(divisor), limit) if known else (STRIDE, divisor)
    keeps = {
        "at_most": least <= dividend,
        "divides": dividend % least == 0,
        "divides_evenly": dividend % (2 * least) == 0,
        "zero_together": True,  # neither is
    }[relation]
    larger, smaller = times * floor_div(HEIGHT, step), ONE
    if keeps and is_at_least(larger, smaller, rule):
        values = {"height": dividend, "stride": divisor}
        assert evaluate(larger, values) >= evaluate(smaller, values)


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
    assert not is_at_least(one, other, HAS_A_PATCH)
    assert not is_at_least(other, one, HAS_A_PATCH)


@given(one=formulas, other=formulas, values=sizes)
def test_what_is_proved_holds(one: Size, other: Size, values: dict[str, int]) -> None:
    for larger, smaller in ((one, other), (one + other, other), (one * other, other)):
        if is_at_least(larger, smaller):
            assert evaluate(larger, values) >= evaluate(smaller, values)
