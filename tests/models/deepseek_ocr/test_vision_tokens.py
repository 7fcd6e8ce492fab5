"""Token counts against literal layouts, torch's convolutions and transformers."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional
from transformers.models.unlimited_ocr.processing_unlimited_ocr import UnlimitedOcrProcessor

from modelmeter.dimensions.evaluate import evaluate
from modelmeter.dimensions.functions import Size
from modelmeter.models.deepseek_ocr.dimensions import symbol
from modelmeter.models.deepseek_ocr.vision_tokens import (
    count_tiles,
    global_view_tokens,
    grid_size,
    image_tokens,
    prompt_image_tokens,
    tile_tokens,
)

SIDES = st.integers(16, 3000)
COUNTS = st.integers(0, 7)


def lay_out(grid: int, across: int, down: int) -> list[str]:
    """Return the tokens of ``across`` x ``down`` square grids laid side by side: every row, then its newline."""
    tokens = []
    for _ in range(down):
        for _ in range(grid):
            for _ in range(across):
                tokens += ["image"] * grid
            tokens.append("newline")
    return tokens


def lay_out_page(base_size: int, image_size: int, across: int, down: int) -> list[str]:
    """Return the tokens of a page, counting whole patches and halving the grid twice, each time rounding up."""

    def grid(side: int) -> int:
        patches = len(range(0, side - 15, 16))
        half = (patches + 1) // 2
        return (half + 1) // 2

    tiles = lay_out(grid(image_size), across, down) if across * down > 1 else []
    return [*tiles, *lay_out(grid(base_size), 1, 1), "separator"]


@settings(max_examples=60, deadline=None)
@given(SIDES, st.integers(16, 1100), COUNTS, COUNTS)
def test_a_page_has_the_tokens_of_its_layout(base_size: int, image_size: int, across: int, down: int) -> None:
    expected = len(lay_out_page(base_size, image_size, across, down))
    assert image_tokens(base_size, image_size, across, down) == expected


@given(SIDES, st.integers(16, 1100), COUNTS, COUNTS, st.integers(1, 5))
def test_a_prompt_has_the_tokens_of_all_its_pages(
    base_size: int, image_size: int, across: int, down: int, images: int
) -> None:
    page = {
        "base_size": base_size, "image_size": image_size, "num_width_tiles": across, "num_height_tiles": down
    }  # fmt: skip
    sizes = {**page, "images_per_prompt": images, "sam_patch_size": 16}
    assert prompt_image_tokens(sizes) == images * len(lay_out_page(base_size, image_size, across, down))
    # In symbols, and with numbers for them afterwards.
    formula = prompt_image_tokens({name: symbol(name) for name in sizes})
    assert evaluate(formula, sizes) == prompt_image_tokens(sizes)


@given(SIDES, st.integers(1, 40))
def test_a_grid_is_the_patches_halved_twice(side: int, patch_size: int) -> None:
    half = (side // patch_size + 1) // 2
    assert grid_size(side, patch_size) == (half + 1) // 2


@pytest.mark.parametrize("side", [16, 47, 63, 64, 65, 79, 80, 223, 512, 640, 641, 1001, 1024, 1280])
def test_a_grid_is_what_the_strided_convolutions_leave(side: int) -> None:
    pixels = torch.empty(1, 1, side, side, device="meta")
    features = functional.conv2d(pixels, torch.empty(1, 1, 16, 16, device="meta"), stride=16)
    for _ in range(2):
        features = functional.conv2d(features, torch.empty(1, 1, 3, 3, device="meta"), stride=2, padding=1)
    assert grid_size(side) == features.shape[-1]


@given(SIDES, SIDES, COUNTS, COUNTS)
def test_nothing_shrinks_when_a_size_grows(base_size: int, image_size: int, across: int, down: int) -> None:
    sizes = (base_size, image_size, across, down)
    tokens = image_tokens(*sizes)
    for index, size in enumerate(sizes):
        assert image_tokens(*sizes[:index], size + 1, *sizes[index + 1 :]) >= tokens


@settings(max_examples=40, deadline=None)
@given(SIDES, SIDES, COUNTS, COUNTS, st.integers(1, 33))
def test_the_formula_has_the_values_of_the_numbers(
    base_size: int, image_size: int, across: int, down: int, patch_size: int
) -> None:
    values = {
        "base_size": base_size,
        "image_size": image_size,
        "num_width_tiles": across,
        "num_height_tiles": down,
        "sam_patch_size": patch_size,
    }
    formula: Any = image_tokens(*(symbol(name) for name in values))
    tiles: Any = count_tiles(symbol("num_width_tiles"), symbol("num_height_tiles"))
    replacements = {symbol(name): value for name, value in values.items()}
    assert formula.subs(replacements) == image_tokens(base_size, image_size, across, down, patch_size)
    assert tiles.subs(replacements) == count_tiles(across, down)


@pytest.mark.parametrize(
    ("across", "down", "tiles"), [(0, 0, 0), (0, 5, 0), (1, 1, 0), (1, 2, 2), (3, 1, 3), (2, 3, 6)]
)
def test_one_tile_is_none(across: int, down: int, tiles: int) -> None:
    assert count_tiles(across, down) == tiles
    assert (tile_tokens(640, across, down) > 0) is (tiles > 0)


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        (global_view_tokens(1024), 273),  # 16 x 17 + 1
        (global_view_tokens(640), 111),  # 10 x 11 + 1
        (tile_tokens(640, 2, 3), 630),  # 30 rows of 20 + 1
        (tile_tokens(640, 3, 2), 620),  # 20 rows of 30 + 1
        (image_tokens(1024, 640, 2, 3), 903),  # 273 + 630
        (global_view_tokens(16), 3),  # one token, its newline, the separator
    ],
)
def test_published_token_counts(tokens: Size, expected: int) -> None:
    assert tokens == expected


@settings(max_examples=60, deadline=None)
@given(SIDES, SIDES, st.integers(1, 7), st.integers(1, 7))
def test_transformers_counts_the_same_tokens(base_size: int, image_size: int, across: int, down: int) -> None:
    processor = SimpleNamespace(patch_size=16, downsample_ratio=4, image_token="x")
    tiles = across * down if across * down > 1 else 0
    text = UnlimitedOcrProcessor.replace_image_token(
        processor,
        {"patches_grid": [[across, down]], "num_local_patches": [tiles]},
        0,
        size={"height": base_size, "width": base_size},
        tile_size=image_size,
    )
    assert image_tokens(base_size, image_size, across, down) == len(text)
