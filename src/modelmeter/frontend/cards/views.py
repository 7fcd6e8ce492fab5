"""Images that are views of fixed pixels: one of a whole page, and maybe tiles of it."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from typing import Any

import sympy
from attrs import evolve

from modelmeter.dimensions.functions import Differs, Exceeds
from modelmeter.frontend.cards.card import BATCH_SIZE, ImageSize
from modelmeter.frontend.cards.grids import IMAGES, NUM_IMAGES, for_images

VIEWS = evolve(IMAGES, most=9)
"""Images of fixed pixels, of which many are counted at little cost."""

TILES = ImageSize(
    name="num_tiles", unit="tiles", words="tiles of each image", latex=r"n_{\mathrm{tiles}}", least=0, most=7,
    default=6, per=(BATCH_SIZE, IMAGES.name),
)  # fmt: skip
TILE_COLUMNS = ImageSize(
    name="num_width_tiles", unit="tiles", words="columns of tiles of each image; one tile alone is none", latex="c",
    least=1, most=4, default=2,
)  # fmt: skip
TILE_ROWS = ImageSize(
    name="num_height_tiles", unit="tiles", words="rows of tiles of each image", latex="r", least=1, most=4, default=3
)  # fmt: skip

NUM_TILES, NUM_WIDTH_TILES, NUM_HEIGHT_TILES = TILES.symbol, TILE_COLUMNS.symbol, TILE_ROWS.symbol

VIEW_TERMS = for_images(sympy.S.One)
"""Of images of fixed pixels."""


def make_tile_terms() -> tuple[sympy.Expr, ...]:
    """Return the terms of images of fixed pixels, and of tiles of which some may have none.

    One image alone, or one tile alone, is not copied where several are.
    """
    whole = (sympy.S.One, NUM_IMAGES, Differs(NUM_IMAGES, sympy.S.One))
    tiled = (sympy.S.One, *(Exceeds(NUM_TILES, sympy.Integer(count)) for count in (0, 1)))
    return (*(first * second for first, second in product(tiled, whole)), NUM_TILES)


HAS_TILE_GRID = Exceeds(NUM_WIDTH_TILES * NUM_HEIGHT_TILES, sympy.S.One)
"""Whether images have tiles: one tile alone is none."""


def make_tile_grid_terms() -> tuple[sympy.Expr, ...]:
    """Return the terms of images of fixed pixels that all have the same grid of tiles, whose rows end in a token."""
    whole = (sympy.S.One, NUM_IMAGES, Differs(NUM_IMAGES, sympy.S.One))
    columns = Exceeds(NUM_WIDTH_TILES, sympy.S.One)  # tiles of one column are not copied
    column = [HAS_TILE_GRID * factor for factor in (sympy.S.One, NUM_HEIGHT_TILES)]
    several = [columns * factor for factor in (sympy.S.One, NUM_HEIGHT_TILES, NUM_WIDTH_TILES * NUM_HEIGHT_TILES)]
    return (*whole, *(first * second for first, second in product(whole, (*column, *several))))


def make_pixels(side: int) -> Callable[[Mapping[str, int]], dict[str, Any]]:
    """Return how images of ``side`` x ``side`` pixels are given."""

    def make(sizes: Mapping[str, int]) -> dict[str, Any]:
        return {"pixel_values": _make_views(sizes[IMAGES.name], side)}

    return make


def make_tiled_pixels(side: int, tile_side: int) -> Callable[[Mapping[str, int]], dict[str, Any]]:
    """Return how images are given with tiles of ``tile_side``, which chance spreads over them."""

    def make(sizes: Mapping[str, int]) -> dict[str, Any]:
        images, tiles = sizes[IMAGES.name], sizes[TILES.name]
        inputs = {"pixel_values": _make_views(images, side)}
        if not tiles:
            return inputs
        return {
            **inputs, "pixel_values_local": _make_views(tiles, tile_side), "num_local_patches": _share(tiles, images)
        }  # fmt: skip

    return make


def make_tile_grids(side: int, tile_side: int) -> Callable[[Mapping[str, int]], dict[str, Any]]:
    """Return how images are given with the same grid of tiles of ``tile_side`` each."""

    def make(sizes: Mapping[str, int]) -> dict[str, Any]:
        images, columns, rows = (sizes[size.name] for size in (IMAGES, TILE_COLUMNS, TILE_ROWS))
        inputs = {"pixel_values": _make_views(images, side)}
        if columns * rows == 1:
            return inputs
        return {
            **inputs, "pixel_values_local": _make_views(images * columns * rows, tile_side),
            "num_local_patches": [columns * rows] * images, "patches_grid": [[columns, rows]] * images,
        }  # fmt: skip

    return make


def _share(tiles: int, images: int) -> Sequence[int]:
    chance = random.Random(f"{tiles} {images}")
    chosen = [chance.randrange(images) for _ in range(tiles)]
    return [chosen.count(image) for image in range(images)]


def _make_views(count: int, side: int) -> Any:
    import torch  # only where a stage runs

    return torch.empty(count, 3, side, side, device="meta", dtype=torch.get_default_dtype())
