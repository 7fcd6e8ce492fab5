"""Modes and tile grids: those of transformers; and where the vendor's two programs differ, each as it is."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers.models.deepseek_ocr2.image_processing_pil_deepseek_ocr2 import get_optimal_tiled_canvas

from modelmeter.models.deepseek_ocr.image_preprocessing import (
    MAX_PAGE_SIDE,
    MODES,
    PREPROCESSINGS,
    choose_tile_grid,
    find_mode,
    find_preprocessing,
    find_tile_grid,
    find_untiled_side,
)
from modelmeter.models.deepseek_ocr.vision_tokens import global_view_tokens, image_tokens
from modelmeter.support.errors import WorkloadError


@pytest.mark.parametrize(
    ("preprocessing", "grid", "tokens"),
    [
        # 273 of the global view; three rows of tiles of 10 rows each, each row three tiles of 10 and a newline.
        ("transformers", (3, 3), 273 + 30 * (30 + 1)),
        ("serving", (2, 2), 273 + 20 * (20 + 1)),
    ],
)
def test_a_square_page_has_the_tiles_that_the_program_allows(
    preprocessing: str, grid: tuple[int, int], tokens: int
) -> None:
    assert choose_tile_grid(1920, 1920, preprocessing=preprocessing) == grid
    assert find_tile_grid(1920, 1920, 640, preprocessing) == grid
    assert image_tokens(1024, 640, *grid) == tokens == {"transformers": 1203, "serving": 693}[preprocessing]


@pytest.mark.parametrize(
    ("preprocessing", "tokens"),
    [
        ("transformers", 111),  # one view of image_size, 640 pixels: 10 x 11 + 1
        ("serving", 273),  # one view of base_size, 1024 pixels: 16 x 17 + 1
    ],
)
def test_a_page_that_is_not_to_be_cut_is_one_view_of_the_programs_choice(preprocessing: str, tokens: int) -> None:
    assert global_view_tokens(find_untiled_side(1024, 640, preprocessing)) == tokens


def test_where_the_programs_differ_one_has_to_be_named() -> None:
    with pytest.raises(WorkloadError, match=r"^preprocessing: .* in the tile grid; .*\(3, 3\), serving: \(2, 2\)"):
        find_tile_grid(1920, 1920, 640)
    with pytest.raises(WorkloadError, match=r"^preprocessing: .*transformers: 640, serving: 1024; say which"):
        find_untiled_side(1024, 640)


def test_where_they_agree_none_has_to_be() -> None:
    assert find_untiled_side(1280, 1280) == 1280
    assert find_tile_grid(1191, 1684, 640) == (2, 3)  # A4 at 144 dots per inch
    assert find_tile_grid(600, 500, 640) == (1, 1)


def test_an_unknown_program_is_refused_with_the_known_ones() -> None:
    for ask in (
        lambda: find_preprocessing("vllm"),
        lambda: find_tile_grid(600, 500, 640, "vllm"),
        lambda: find_untiled_side(512, 512, "vllm"),
        lambda: choose_tile_grid(600, 500, preprocessing="vllm"),
    ):
        with pytest.raises(WorkloadError, match="transformers or serving; found vllm"):
            ask()
    assert [find_preprocessing(name).max_tiles for name in PREPROCESSINGS] == [9, 6]


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
