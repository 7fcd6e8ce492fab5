"""Images that are an overview of a page and slices of it: grids of cells of two sizes, of which one comes first."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import product
from typing import Any

import sympy
from attrs import evolve

from modelmeter.dimensions.functions import Differs, Exceeds
from modelmeter.frontend.cards.card import ImageSize
from modelmeter.frontend.cards.grids import CELLS, GRID_HEIGHT, GRID_WIDTH, HEIGHT, IMAGES, NUM_IMAGES, WIDTH

SLICES = ImageSize(
    name="num_slices", unit="slices", words="slices of each image beside its overview; one that is not cut has none",
    latex=r"n_{\mathrm{slices}}", least=0, most=4, default=9,
)  # fmt: skip
SLICE_HEIGHT = ImageSize(
    name="slice_grid_height", unit="cells", words="rows of cells of each slice; a cell is a token",
    latex=r"h_{\mathrm{slice}}", least=1, most=9, default=17,
)  # fmt: skip
SLICE_WIDTH = ImageSize(
    name="slice_grid_width", unit="cells", words="cells of each row of a slice", latex=r"w_{\mathrm{slice}}", least=1,
    most=9, default=12,
)  # fmt: skip

NUM_SLICES, SLICE_GRID_HEIGHT, SLICE_GRID_WIDTH = SLICES.symbol, SLICE_HEIGHT.symbol, SLICE_WIDTH.symbol

SLICE_CELLS = SLICE_GRID_HEIGHT * SLICE_GRID_WIDTH

VIEWS_OF_IMAGE = 1 + NUM_SLICES
"""An overview, and slices behind it."""


def make_slice_sizes(least: int = 1) -> tuple[ImageSize, ...]:
    """Return the sizes of images whose overviews and slices are grids with sides of at least as many cells."""
    overview = (
        evolve(HEIGHT, words="rows of cells of the overview of each image; a cell is a token", most=9, default=17),
        evolve(WIDTH, words="cells of each row of the overview", most=9, default=12),
    )
    return IMAGES, *(evolve(side, least=least) for side in overview), SLICES, *(
        evolve(side, least=least) for side in (SLICE_HEIGHT, SLICE_WIDTH)
    )  # fmt: skip


def make_slice_terms() -> tuple[sympy.Expr, ...]:
    """Return the terms of packed overviews and slices, each of which attends to itself.

    Counts are sums over images, over slices, and of what is done once. What is alive in a loop over them depends on
    whether there was an image or a slice before, and, beside a slice, on whether that was the overview. Of the rows
    and columns alone there are positions, which are alive until those of the next view are made.
    """
    one, sides, slice_sides = sympy.S.One, (GRID_HEIGHT, GRID_WIDTH), (SLICE_GRID_HEIGHT, SLICE_GRID_WIDTH)
    several = Differs(NUM_IMAGES, one)
    is_cut, has_others = (Exceeds(NUM_SLICES, sympy.Integer(count)) for count in (0, 1))
    factors = (
        *product((one, NUM_IMAGES), (one, is_cut, has_others), (one, CELLS)),
        *product((one, NUM_IMAGES), (NUM_SLICES,), (one, SLICE_CELLS)),
        *product((one, NUM_IMAGES), (is_cut, has_others), (SLICE_CELLS,)),
        *product((several,), (one, CELLS, NUM_SLICES, NUM_SLICES * SLICE_CELLS)),
        *product((one, several), (one, is_cut), sides),
        *product((is_cut, has_others, several * is_cut), slice_sides),
        *product((NUM_IMAGES,), (*sides, CELLS**2)),
        *product((NUM_IMAGES * NUM_SLICES,), (*slice_sides, SLICE_CELLS**2)),
    )
    return tuple(sympy.prod(each) for each in factors)


def pack_slices(patch: int, *, merge: int) -> Callable[[Mapping[str, int]], dict[str, Any]]:
    """Return how the rows of the pixels of patches are packed side by side, with ``merge`` x ``merge`` to a cell."""

    def make(sizes: Mapping[str, int]) -> dict[str, Any]:
        import torch  # only where a stage runs

        images, height, width, slices, slice_height, slice_width = (
            sizes[size.name] for size in (IMAGES, HEIGHT, WIDTH, SLICES, SLICE_HEIGHT, SLICE_WIDTH)
        )
        of_image = [[merge * height, merge * width], *[[merge * slice_height, merge * slice_width]] * slices]
        patches = images * sum(rows * columns for rows, columns in of_image)
        pixels = torch.empty(1, 3, patch, patches * patch, device="meta", dtype=torch.get_default_dtype())
        return {"pixel_values": pixels, "target_sizes": torch.tensor(of_image * images, dtype=torch.int32)}

    return make
