"""How many tokens an image becomes. How a page becomes views: :mod:`.image_preprocessing`.

The counts work on ints and on formulas alike. A square side becomes a square grid of image tokens; each
row of a grid ends with a newline token, and the global view ends with a separator token.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from modelmeter.dimensions.functions import Size, ceil_div, exceeds, floor_div

PATCH_SIZE: Final = 16
"""Side of a SAM patch in pixels, as the vendor's image preprocessing has it."""

DOWNSAMPLING: Final = 4
"""SAM's two stride-2 convolutions, each rounding up: ceil(ceil(p / 2) / 2) = ceil(p / 4)."""


def grid_size(side: Size, patch_size: Size = PATCH_SIZE) -> Size:
    """Return the side in tokens of the grid that a view of ``side`` pixels becomes."""
    return ceil_div(floor_div(side, patch_size), DOWNSAMPLING)


def global_view_tokens(side: Size, patch_size: Size = PATCH_SIZE) -> Size:
    """Return the tokens of a global view of ``side`` pixels: rows with newlines, and the separator."""
    grid = grid_size(side, patch_size)
    return grid * (grid + 1) + 1


def count_tiles(num_width_tiles: Size, num_height_tiles: Size) -> Size:
    """Return the tiles of a grid; a grid of one tile or none has no tiles."""
    cells = num_width_tiles * num_height_tiles
    return exceeds(cells, 1) * cells


def tile_tokens(side: Size, num_width_tiles: Size, num_height_tiles: Size, patch_size: Size = PATCH_SIZE) -> Size:
    """Return the tokens of a grid of tiles of ``side`` pixels each, laid out as one image with newlines."""
    grid = grid_size(side, patch_size)
    has_tiles = exceeds(num_width_tiles * num_height_tiles, 1)
    return has_tiles * (num_height_tiles * grid) * (num_width_tiles * grid + 1)


def image_tokens(
    base_size: Size,
    image_size: Size,
    num_width_tiles: Size,
    num_height_tiles: Size,
    patch_size: Size = PATCH_SIZE,
) -> Size:
    """Return the tokens of one page: its global view, and its tiles where there are any."""
    tiles = tile_tokens(image_size, num_width_tiles, num_height_tiles, patch_size)
    return global_view_tokens(base_size, patch_size) + tiles


def prompt_image_tokens(sizes: Mapping[str, Size]) -> Size:
    """Return the tokens of all images of one prompt; ``sizes`` has the dimensions that they depend on."""
    per_image = image_tokens(
        sizes["base_size"],
        sizes["image_size"],
        sizes["num_width_tiles"],
        sizes["num_height_tiles"],
        sizes["sam_patch_size"],
    )
    return sizes["images_per_prompt"] * per_image
