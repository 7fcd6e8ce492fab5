"""How DeepSeek-OCR cuts a page, for whoever asks the registry. Nothing here needs sympy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from modelmeter.model.page_views import PageViews
from modelmeter.models.deepseek_ocr.image_preprocessing import (
    MIN_TILES,
    MODES,
    PREPROCESSINGS,
    find_preprocessing,
    find_tile_grid,
    find_untiled_side,
    make_grid_chooser,
)

_TILES: Final = ("num_width_tiles", "num_height_tiles")


def _cut(page_width: int, page_height: int, sizes: Mapping[str, int], preprocessing: str | None) -> dict[str, int]:
    grid = find_tile_grid(page_width, page_height, sizes["image_size"], preprocessing)
    return dict(zip(_TILES, grid, strict=True))


def _keep_whole(sizes: Mapping[str, int], preprocessing: str | None) -> dict[str, int]:
    side = find_untiled_side(sizes["base_size"], sizes["image_size"], preprocessing)
    return {"base_size": side, **dict.fromkeys(_TILES, 1)}


def _make_cut(sizes: Mapping[str, int], preprocessing: str) -> Callable[[int, int], tuple[int, int]]:
    max_tiles = find_preprocessing(preprocessing).max_tiles
    return make_grid_chooser(sizes["image_size"], MIN_TILES, max_tiles)


PAGE_VIEWS: Final = PageViews(
    defaults={"base_size": MODES["gundam"].base_size, "image_size": MODES["gundam"].image_size},
    tiles=_TILES,
    preprocessings=tuple(PREPROCESSINGS),
    cut=_cut,
    keep_whole=_keep_whole,
    make_cut=_make_cut,
    script=Path(__file__).with_suffix(".js"),
)
