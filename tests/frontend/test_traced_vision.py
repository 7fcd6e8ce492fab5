"""A model that sees: its formulas against those written by hand, and the interpolation behind them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import sympy

from modelmeter.dimensions.functions import Differs, Equals
from modelmeter.frontend.cards.grids import GRID_HEIGHT, GRID_WIDTH, NUM_IMAGES, count_in_window, for_images
from modelmeter.frontend.cards.shipped import CARDS
from modelmeter.frontend.interpolation import Interpolation
from modelmeter.model.registry import forget_model
from modelmeter.support.errors import CountError


def in_window(cells: int) -> int:
    """The sum of the squares of the lengths of windows of four."""
    return 16 * (cells // 4) + (cells % 4) ** 2


@pytest.fixture(scope="module")
def qwen() -> Iterator[Any]:
    pytest.importorskip("transformers")
    from modelmeter.frontend.compile import compile_config

    yield compile_config("qwen2.5-vl-3b", points=0).compiled
    forget_model("qwen2-5-vl-3b")


def test_the_squares_of_windows_are_those_of_their_cells() -> None:
    for cells in range(1, 65):
        assert count_in_window(GRID_HEIGHT).xreplace({GRID_HEIGHT: sympy.Integer(cells)}) == in_window(cells)


def test_the_tower_is_what_was_written_by_hand(qwen: Any) -> None:
    batch, images, h, w = (qwen.symbol(name) for name in ("batch_size", "num_images", "grid_height", "grid_width"))
    n = batch * images
    windows = count_in_window(GRID_HEIGHT) * count_in_window(GRID_WIDTH)
    expected = 20480 * n * (16 * h**2 * w**2 + 250252 * h * w + 112 * windows)
    assert sympy.expand(qwen.formula("vision", "tensor_core_flops") - expected) == 0


def test_prefill_and_decode_are_what_was_written_by_hand(qwen: Any) -> None:
    batch, prompt = qwen.symbol("batch_size"), qwen.symbol("seq_len")
    prefill = 32768 * batch * (9 * prompt**2 + 169344 * prompt + 18992)
    assert sympy.expand(qwen.formula("prefill", "tensor_core_flops") - prefill) == 0
    # One step after L positions; steps 1 to 3 after a prompt of 11 begin with 11, 12 and 13.
    expected = sum(32768 * 5 * (9 * cached + 188345) for cached in (11, 12, 13))
    found = qwen.evaluate("decode", batch_size=5, seq_len=11, decode_steps=3)
    assert found.tensor_core_flops == expected
    # 36 layers, 2 heads of 128 channels, keys and values.
    assert found.kv_cache_bytes == 5 * 14 * 36 * 2 * 2 * 128 * 2


def test_the_prompt_has_a_token_for_each_cell_of_its_images(qwen: Any) -> None:
    sizes = {"num_images": 2, "grid_height": 9, "grid_width": 7, "prompt_tokens": 3, "max_new_tokens": 2}
    assert qwen.evaluate("request", **sizes) == qwen.evaluate("request", **sizes, seq_len=2 * 63 + 3)


def test_interpolation_finds_the_formula_and_refuses_what_is_none() -> None:
    terms = (sympy.S.One, GRID_HEIGHT, GRID_HEIGHT**2)
    points = [{"grid_height": side} for side in (1, 2, 3, 5, 7)]
    interpolation = Interpolation(terms, points)
    assert interpolation.fit([3 * side**2 - side + 2 for side in (1, 2, 3, 5, 7)], "x") == 3 * GRID_HEIGHT**2 - (
        GRID_HEIGHT - 2
    )
    with pytest.raises(CountError, match="no sum of the terms of its card"):
        interpolation.fit([side**3 for side in (1, 2, 3, 5, 7)], "x")
    with pytest.raises(CountError, match="do not tell the terms of a card apart"):
        Interpolation(terms, points[:2])


def test_cards_have_names_of_their_own() -> None:
    assert all(card.name == name for name, card in CARDS.items())
    assert "qwen2.5-vl-3b" in CARDS


def test_what_is_alive_beside_a_second_image_is_no_line_through_one_and_two() -> None:
    several = for_images(sympy.S.One)
    points = [{"num_images": images} for images in (1, 2, 3, 5, 8)]
    # Counted of an operator in the loop over images of 4 x 11 cells: 399 more for each image, but 56 less of one.
    fitted = Interpolation(several, points).fit([591, 1046, 1445, 2243, 3440], "x")
    assert (
        sympy.expand(fitted - (248 + 399 * NUM_IMAGES - 56 * Equals(NUM_IMAGES, 1)))
        .xreplace({Equals(NUM_IMAGES, 1): 1 - Differs(NUM_IMAGES, 1)})
        .expand()
        == 0
    )
    with pytest.raises(CountError, match="no sum of the terms of its card"):
        Interpolation((sympy.S.One, NUM_IMAGES), points).fit([591, 1046, 1445, 2243, 3440], "x")
