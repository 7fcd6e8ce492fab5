"""Images that are grids of cells, of any height and width: a cell becomes a token."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import product
from typing import Any

import sympy
from attrs import evolve

from modelmeter.dimensions.functions import CeilDiv, Differs, FloorDiv
from modelmeter.frontend.cards.card import BATCH_SIZE, ImageSize

IMAGES = ImageSize(
    name="num_images", unit="images", words="images of each prompt", latex="n", least=1, most=3, default=1,
    per=(BATCH_SIZE,),
)  # fmt: skip
HEIGHT = ImageSize(
    name="grid_height", unit="cells", words="rows of cells of each image; a cell is a token", latex="h", least=1,
    most=13, default=59,
)  # fmt: skip
WIDTH = ImageSize(
    name="grid_width", unit="cells", words="cells of each row", latex="w", least=1, most=13, default=42
)  # fmt: skip

NUM_IMAGES, GRID_HEIGHT, GRID_WIDTH = IMAGES.symbol, HEIGHT.symbol, WIDTH.symbol

CELLS = GRID_HEIGHT * GRID_WIDTH


def make_grid_sizes(least: int = 1) -> tuple[ImageSize, ...]:
    """Return the sizes of images of a grid whose sides have at least as many cells."""
    return IMAGES, evolve(HEIGHT, least=least), evolve(WIDTH, least=least)


def for_images(*terms: sympy.Expr) -> tuple[sympy.Expr, ...]:
    """Return terms of one image as those of any number of them.

    Counts are sums over images, and of what is done once. What is alive in a loop over images depends on whether there
    was one before.
    """
    several = Differs(NUM_IMAGES, sympy.S.One)
    return tuple(factor * term for factor, term in product((sympy.S.One, NUM_IMAGES, several), terms))


GRID_TERMS = for_images(sympy.S.One, GRID_HEIGHT, GRID_WIDTH, CELLS, CELLS**2)
"""Of packed images, each of which attends to itself."""


def count_in_window(cells: sympy.Expr) -> sympy.Expr:
    """Return the sum of the squares of the lengths that windows of four cut ``cells`` into."""
    whole = FloorDiv(cells, 4)
    return sympy.expand(16 * whole + (cells - 4 * whole) ** 2)


def make_window_terms() -> tuple[sympy.Expr, ...]:
    """Return the terms of packed images with windows of four cells each way."""
    sides = GRID_HEIGHT, GRID_WIDTH
    windows = sympy.prod(CeilDiv(side, 4) for side in sides)
    padded = sympy.expand(sympy.prod(FloorDiv(side, 4) + 1 for side in sides))  # the code always adds a window
    attended = sympy.prod(count_in_window(side) for side in sides)
    return for_images(sympy.S.One, *sides, CELLS, CELLS**2, windows, padded, attended)


def pack_patches(
    *shape: int, merge: int, pixels: str = "pixel_values", grid: str = "image_grid_thw"
) -> Callable[[Mapping[str, int]], dict[str, Any]]:
    """Return how the patches of images are packed: of a ``shape`` each, ``merge`` x ``merge`` of them to a cell."""

    def make(sizes: Mapping[str, int]) -> dict[str, Any]:
        import torch  # only where a stage runs

        images, height, width = (sizes[size.name] for size in (IMAGES, HEIGHT, WIDTH))
        patches = torch.empty(
            images * merge * height * merge * width, *shape, device="meta", dtype=torch.get_default_dtype()
        )
        return {pixels: patches, grid: torch.tensor([[1, merge * height, merge * width]] * images)}

    return make
