"""Token counts against literal layouts, torch's convolutions and transformers; tile grids against transformers."""

from __future__ import annotations

from itertools import combinations
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional
from transformers.models.deepseek_ocr2.image_processing_pil_deepseek_ocr2 import get_optimal_tiled_canvas
from transformers.models.unlimited_ocr.processing_unlimited_ocr import UnlimitedOcrProcessor

from modelmeter.errors import WorkloadError
from modelmeter.functions import Size
from modelmeter.models.deepseek_ocr.vision_tokens import (
    MAX_PAGE_SIDE,
    MODES,
    choose_tile_grid,
    count_tiles,
    find_mode,
    global_view_tokens,
    grid_size,
    image_tokens,
    tile_tokens,
)
from modelmeter.symbols import symbol

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


def test_modes_are_the_published_ones() -> None:
    assert {name: (mode.base_size, mode.image_size, mode.is_tiled) for name, mode in MODES.items()} == {
        "tiny": (512, 512, False),
        "small": (640, 640, False),
        "base": (1024, 1024, False),
        "large": (1280, 1280, False),
        "gundam": (1024, 640, True),
        "gundam-m": (1280, 1024, True),
    }
    assert all(find_mode(name).name == name for name in MODES)


def test_an_unknown_mode_is_refused_with_the_known_ones() -> None:
    with pytest.raises(WorkloadError, match=r"tiny or small or base or large or gundam or gundam-m; found Gundam"):
        find_mode("Gundam")


def pages_between_grids(max_tiles: int) -> list[tuple[int, int]]:
    """Return small pages whose aspect ratio is exactly a grid's, or exactly halfway between two grids'."""
    counts = range(1, max_tiles + 1)
    grids = [(width, height) for width in counts for height in counts if 2 <= width * height <= max_tiles]
    halfway = [(a * d + b * c, 2 * b * d) for (a, b), (c, d) in combinations(grids, 2)]
    return sorted({*grids, *halfway})


@pytest.mark.parametrize("max_tiles", [2, 3, 6, 9])
@pytest.mark.parametrize("image_size", [640, 1024])
def test_transformers_chooses_the_same_grid(image_size: int, max_tiles: int) -> None:
    """The vendor's own algorithm, as transformers has it.

    ``unlimited_ocr`` has this very function too, but its module needs torchvision. Two differences between
    transformers and the vendor are outside of the function: transformers leaves a page whole up to the tile
    size, the vendor up to 640 pixels; and the vendor takes grids of equally many tiles in the order of a set,
    which decides nothing as long as a page has at least two tiles.
    """
    pages = [(width, height) for width in range(7, 4000, 211) for height in range(641, 4100, 223)]
    pages += [(a * scale, b * scale) for a, b in pages_between_grids(max_tiles) for scale in (29, 320, 640, 1009)]
    checked = 0
    for width, height in pages:
        if max(width, height) > 640:
            expected = get_optimal_tiled_canvas((height, width), (image_size, image_size), 2, max_tiles)
            assert choose_tile_grid(width, height, image_size, max_tiles=max_tiles) == expected, (width, height)
            checked += 1
    assert checked > 300


def test_of_two_equally_close_grids_the_larger_wins_where_the_page_fills_half_of_it() -> None:
    # Twice as wide as high: 2 x 1 and 4 x 2 fit alike. Half of 4 x 2 tiles is 4 x 640 x 640 = 1280 x 1280 pixels,
    # and 1810 x 905 = 1638050 is below 1638400, 1812 x 906 = 1641672 above.
    assert choose_tile_grid(1810, 905, max_tiles=9) == (2, 1)
    assert choose_tile_grid(1812, 906, max_tiles=9) == (4, 2)


def test_halfway_between_two_grids_the_float_decides() -> None:
    """5 : 6 is exactly halfway between 2 x 2 and 2 x 3, but nearer to 2 x 2 in double precision."""
    assert choose_tile_grid(2000, 2400) == (2, 2)


def test_the_default_page_has_the_default_grid() -> None:
    """An A4 page at 144 dots per inch, 1191 x 1684 pixels."""
    assert choose_tile_grid(1191, 1684) == (2, 3)


@pytest.mark.parametrize("image_size", [640, 1024])
def test_a_small_page_has_no_tiles(image_size: int) -> None:
    """The limit is 640 pixels whatever the tile size, as the vendor's."""
    assert choose_tile_grid(640, 640, image_size) == (1, 1)
    assert choose_tile_grid(3, 640, image_size) == (1, 1)
    assert choose_tile_grid(641, 640, image_size) != (1, 1)
    assert choose_tile_grid(640, 641, image_size) != (1, 1)


@given(st.integers(1, 5000), st.integers(641, 5000), st.integers(1, 9), st.data())
def test_a_grid_has_a_number_of_tiles_in_range(width: int, height: int, max_tiles: int, data: st.DataObject) -> None:
    min_tiles = data.draw(st.integers(1, max_tiles))
    across, down = choose_tile_grid(width, height, min_tiles=min_tiles, max_tiles=max_tiles)
    assert min_tiles <= across * down <= max_tiles


@pytest.mark.parametrize("value", [0, -1, True, 640.0, "640", None, MAX_PAGE_SIDE + 1, 10**400])
@pytest.mark.parametrize("name", ["page_width", "page_height", "image_size"])
def test_a_side_out_of_range_is_refused_by_name(name: str, value: Any) -> None:
    sides: dict[str, Any] = {"page_width": 1191, "page_height": 1684, "image_size": 640, name: value}
    with pytest.raises(WorkloadError, match=f"^{name}: "):
        choose_tile_grid(**sides)


@pytest.mark.parametrize(
    ("limits", "name"),
    [
        ({"max_tiles": 10}, "max_tiles"),
        ({"max_tiles": 0}, "max_tiles"),
        ({"max_tiles": 1}, "min_tiles"),
        ({"min_tiles": 7}, "min_tiles"),
        ({"min_tiles": 0}, "min_tiles"),
        ({"min_tiles": True}, "min_tiles"),
    ],
)
def test_tile_limits_out_of_order_are_refused(limits: dict[str, int], name: str) -> None:
    with pytest.raises(WorkloadError, match=f"^{name}: "):
        choose_tile_grid(1191, 1684, **limits)


def test_the_longest_page_is_accepted() -> None:
    assert choose_tile_grid(MAX_PAGE_SIDE, 1) == (6, 1)
    assert choose_tile_grid(1, MAX_PAGE_SIDE) == (1, 6)
