"""How a page becomes square views: the published modes, and how each of the vendor's two programs cuts a page.

The vendor has two programs that differ: ``infer`` of the model's own code for transformers, and a sample for a serving
engine. They are told apart by name wherever pixels are turned into views. Nothing here needs sympy.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Final, Literal, TypeVar

from attrs import frozen

from modelmeter.model.page_views import MAX_PAGE_SIDE
from modelmeter.support.errors import WorkloadError

T = TypeVar("T")
PreprocessingName = Literal["transformers", "serving"]

MAX_TILES: Final = 9
"""The most tiles that the vendor cuts a page into."""

MIN_TILES: Final = 2
"""The fewest: a page of one tile is not cut."""

UNTILED_PAGE_SIDE: Final = 640
"""A page whose sides are both at most this many pixels gets no tiles, in whatever mode."""


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


@frozen(kw_only=True)
class Preprocessing:
    """How one of the vendor's programs turns a page into views.

    Parameters
    ----------
    name
        Ours for the program.
    max_tiles
        The most tiles that it cuts a page into.
    untiled_view
        The size that is the side of the only view of a page that is not to be cut (``crop_mode`` off).
    """

    name: PreprocessingName
    max_tiles: int
    untiled_view: Literal["base_size", "image_size"]


PREPROCESSINGS: Final[Mapping[str, Preprocessing]] = MappingProxyType(
    {
        program.name: program
        for program in (
            Preprocessing(name="transformers", max_tiles=MAX_TILES, untiled_view="image_size"),
            Preprocessing(name="serving", max_tiles=6, untiled_view="base_size"),
        )
    }
)
"""``transformers``: ``infer`` of the model's own code. ``serving``: the sample for a serving engine, as shipped."""


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


def find_preprocessing(name: str) -> Preprocessing:
    """Return the program called ``name``.

    Raises
    ------
    WorkloadError
        If there is none; the message lists the names.
    """
    try:
        return PREPROCESSINGS[name]
    except KeyError:
        expected = " or ".join(PREPROCESSINGS)
        raise WorkloadError("no preprocessing has this name", expected=expected, found=name) from None


def find_untiled_side(base_size: int, image_size: int, preprocessing: str | None = None) -> int:
    """Return the side of the only view of a page that is not to be cut (``crop_mode`` off).

    Parameters
    ----------
    base_size, image_size
        The sides of a mode, in pixels.
    preprocessing
        Whose way: a key of ``PREPROCESSINGS``. Without one, what both programs do.

    Raises
    ------
    WorkloadError
        If there is no such program, or the two differ and none is named.
    """
    sides = {"base_size": base_size, "image_size": image_size}
    return _agree("the side of the only view", lambda program: sides[program.untiled_view], preprocessing)


def find_tile_grid(
    page_width: int, page_height: int, image_size: int, preprocessing: str | None = None
) -> tuple[int, int]:
    """Return the grid ``(num_width_tiles, num_height_tiles)`` of a page, as :func:`choose_tile_grid`.

    Parameters
    ----------
    page_width, page_height, image_size
        Sides of the page and of a tile, in pixels.
    preprocessing
        Whose way: a key of ``PREPROCESSINGS``. Without one, what both programs do.

    Raises
    ------
    WorkloadError
        If a side is out of range, there is no such program, or the two differ and none is named.
    """
    return _agree(
        "the tile grid",
        lambda program: choose_tile_grid(page_width, page_height, image_size, max_tiles=program.max_tiles),
        preprocessing,
    )


def _agree(what: str, ask: Callable[[Preprocessing], T], preprocessing: str | None) -> T:
    """Return the answer of one program, or of all of them where they give the same."""
    if preprocessing is not None:
        return ask(find_preprocessing(preprocessing))
    answers = {name: ask(program) for name, program in PREPROCESSINGS.items()}
    first, *others = answers.values()
    if any(other != first for other in others):
        raise WorkloadError(
            f"the vendor's programs differ in {what}", place="preprocessing", expected=" or ".join(PREPROCESSINGS),
            found=", ".join(f"{name}: {answer}" for name, answer in answers.items()),
            remedy="say which one is meant, with --preprocessing or in Python with preprocessing=",
        )  # fmt: skip
    return first


def choose_tile_grid(
    page_width: int,
    page_height: int,
    image_size: int = 640,
    min_tiles: int = MIN_TILES,
    max_tiles: int | None = None,
    *,
    preprocessing: str = "serving",
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
        The fewest and the most tiles of a grid; the most are by default those of ``preprocessing``.
    preprocessing
        Whose limit holds: a key of ``PREPROCESSINGS``.

    Raises
    ------
    WorkloadError
        If a side is not a positive integer within ``MAX_PAGE_SIDE``, the tile limits are not in order, or there is
        no such preprocessing.
    """
    if max_tiles is None:
        max_tiles = find_preprocessing(preprocessing).max_tiles
    return make_grid_chooser(image_size, min_tiles, max_tiles)(page_width, page_height)


# 640.0 and True equal sizes that are right, but are none.
@lru_cache(maxsize=None, typed=True)
def make_grid_chooser(image_size: int, min_tiles: int, max_tiles: int) -> Callable[[int, int], tuple[int, int]]:
    """Return :func:`choose_tile_grid` of all pages at one size of a tile and limits: plans ask for millions of pages.

    Raises
    ------
    WorkloadError
        If a size is out of range; what is returned raises it for a side.
    """
    _check_range("image_size", image_size, 1, MAX_PAGE_SIDE)
    _check_range("max_tiles", max_tiles, 1, MAX_TILES)
    _check_range("min_tiles", min_tiles, 1, max_tiles)
    counts = range(1, max_tiles + 1)
    grids = [(width, height) for width in counts for height in counts if min_tiles <= width * height <= max_tiles]
    ratios = sorted({width / height for width, height in grids})

    def list_nearest(places: Iterable[int]) -> list[tuple[int, int]]:
        near = {ratios[place] for place in places}
        return sorted((grid for grid in grids if grid[0] / grid[1] in near), key=lambda grid: grid[0] * grid[1])

    # Only the ratios on both sides of that of a page can be the closest: differences grow away from them.
    alone = [list_nearest([place]) for place in range(len(ratios))]
    both = [list_nearest([place, place + 1]) for place in range(len(ratios) - 1)]
    last = len(ratios) - 1

    def choose(page_width: int, page_height: int) -> tuple[int, int]:
        if not (
            int is type(page_width) is type(page_height)
            and 0 < page_width <= MAX_PAGE_SIDE
            and 0 < page_height <= MAX_PAGE_SIDE
        ):
            _check_range("page_width", page_width, 1, MAX_PAGE_SIDE)
            _check_range("page_height", page_height, 1, MAX_PAGE_SIDE)
        if page_width <= UNTILED_PAGE_SIDE and page_height <= UNTILED_PAGE_SIDE:
            return 1, 1
        aspect = page_width / page_height
        place = bisect_left(ratios, aspect)
        if place == 0:
            near = alone[0]
        elif place > last:
            near = alone[last]
        else:
            below, above = abs(aspect - ratios[place - 1]), abs(aspect - ratios[place])
            near = alone[place - 1] if below < above else alone[place] if above < below else both[place - 1]
        best = near[0]
        for grid in near[1:]:
            if 2 * page_width * page_height > image_size**2 * grid[0] * grid[1]:
                best = grid
        return best

    return choose


def _check_range(name: str, value: int, least: int, most: int) -> None:
    if type(value) is not int or not least <= value <= most:
        raise WorkloadError(
            "a size is not a whole number in range",
            place=name,
            expected=f"an integer from {least} to {most}",
            found=value,
        )
