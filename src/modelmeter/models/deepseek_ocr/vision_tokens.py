"""How many tokens an image becomes: modes, tile grids and token counts.

The counts work on ints and on formulas alike. A square side becomes a square grid of image tokens; each
row of a grid ends with a newline token, and the global view ends with a separator token.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from attrs import frozen

from modelmeter.errors import WorkloadError
from modelmeter.functions import Size, ceil_div, exceeds, floor_div

PATCH_SIZE: Final = 16
"""Side of a SAM patch in pixels, as the vendor's image preprocessing has it."""

DOWNSAMPLING: Final = 4
"""SAM's two stride-2 convolutions, each rounding up: ceil(ceil(p / 2) / 2) = ceil(p / 4)."""

MAX_TILES: Final = 9
"""The most tiles that the vendor cuts a page into."""

UNTILED_PAGE_SIDE: Final = 640
"""A page whose sides are both at most this many pixels gets no tiles, in whatever mode."""

MAX_PAGE_SIDE: Final = 2**26
"""Longest page side in pixels that is accepted: far above any scan, and safe to divide as a float."""


@frozen(kw_only=True)
class Mode:
    """A published resolution mode.

    Parameters
    ----------
    name
        The vendor's name, in lower case.
    base_size, image_size
        Sides in pixels of the global view and of a tile.
    is_tiled
        Whether a page is also cut into tiles.
    """

    name: str
    base_size: int
    image_size: int
    is_tiled: bool


MODES: Final[Mapping[str, Mode]] = MappingProxyType(
    {
        mode.name: mode
        for mode in (
            Mode(name="tiny", base_size=512, image_size=512, is_tiled=False),
            Mode(name="small", base_size=640, image_size=640, is_tiled=False),
            Mode(name="base", base_size=1024, image_size=1024, is_tiled=False),
            Mode(name="large", base_size=1280, image_size=1280, is_tiled=False),
            Mode(name="gundam", base_size=1024, image_size=640, is_tiled=True),
            Mode(name="gundam-m", base_size=1280, image_size=1024, is_tiled=True),
        )
    }
)


def find_mode(name: str) -> Mode:
    """Return the mode called ``name``.

    Raises
    ------
    WorkloadError
        If there is no such mode; the message lists the names.
    """
    try:
        return MODES[name]
    except KeyError:
        raise WorkloadError("no mode has this name", expected=" or ".join(MODES), found=name) from None


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


def choose_tile_grid(
    page_width: int, page_height: int, image_size: int = 640, min_tiles: int = 2, max_tiles: int = 6
) -> tuple[int, int]:
    """Return the grid ``(num_width_tiles, num_height_tiles)`` that the vendor cuts a page into.

    The grid with the closest aspect ratio wins. Of two grids that are equally close, the one with more
    tiles wins if the page has more than half of that grid's pixels. A page that needs no tiles has the
    grid ``(1, 1)``.

    The vendor compares aspect ratios in double precision, and so does this function: halfway between two
    grids the rounding of a float decides, and a page costs what the vendor's choice costs.

    Parameters
    ----------
    page_width, page_height
        Sides of the page in pixels.
    image_size
        Side of a tile in pixels.
    min_tiles, max_tiles
        The fewest and the most tiles of a grid.

    Raises
    ------
    WorkloadError
        If a side is not a positive integer within ``MAX_PAGE_SIDE``, or the tile limits are not in order.
    """
    for name, value in (("page_width", page_width), ("page_height", page_height), ("image_size", image_size)):
        _check_range(name, value, 1, MAX_PAGE_SIDE)
    _check_range("max_tiles", max_tiles, 1, MAX_TILES)
    _check_range("min_tiles", min_tiles, 1, max_tiles)
    if max(page_width, page_height) <= UNTILED_PAGE_SIDE:
        return 1, 1

    counts = range(1, max_tiles + 1)
    grids = [(width, height) for width in counts for height in counts if min_tiles <= width * height <= max_tiles]
    best, smallest = (1, 1), float("inf")
    for width, height in sorted(grids, key=lambda grid: grid[0] * grid[1]):
        difference = abs(page_width / page_height - width / height)
        fills_half = 2 * page_width * page_height > image_size**2 * width * height
        if difference < smallest or (difference == smallest and fills_half):
            best, smallest = (width, height), difference
    return best


def _check_range(name: str, value: int, least: int, most: int) -> None:
    if type(value) is not int or not least <= value <= most:
        raise WorkloadError(
            "a size is not a whole number in range",
            place=name,
            expected=f"an integer from {least} to {most}",
            found=value,
        )
