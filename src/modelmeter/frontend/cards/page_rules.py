"""From the pixels of a page to the sizes that a model sees: the float operations of transformers, in order.

The rules are those of the image processors, written anew with the same operations, so that they round as those do; a
rule in integers would differ at some sizes. Tests compare the two. Nothing here needs torch or sympy.

The marks that processors put around images and between tiles are text, of which ``prompt_tokens`` are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import ClassVar, Final, NoReturn, TypeAlias

from attrs import asdict, frozen

from modelmeter.model.page_views import PageViews
from modelmeter.support.errors import WorkloadError

LARGEST_RATIO: Final = 200
"""Of the long side of a page to the short one: processors refuse more."""


@frozen(kw_only=True)
class GridRule:
    """A page that is one image of cells, of which each becomes a token.

    Parameters
    ----------
    factor
        Pixels of the side of a cell: those of a patch, times the patches that become one token.
    min_pixels, max_pixels
        Of the page after it was resized.
    enlarges
        Whether a side that is shorter than a cell is made one first, and the other with it.
    """

    sizes: ClassVar = ("grid_height", "grid_width")
    factor: int
    min_pixels: int
    max_pixels: int
    enlarges: bool = False

    def find_sizes(self, width: int, height: int) -> tuple[int, int]:
        """Return the rows and columns of cells of a page of so many pixels.

        Raises
        ------
        WorkloadError
            If one side is more than 200 times the other.
        """
        factor = self.factor
        if self.enlarges and height < factor:
            width, height = round((width * factor) / height), factor
        if self.enlarges and width < factor:
            width, height = factor, round((height * factor) / width)
        if max(height, width) / min(height, width) > LARGEST_RATIO:
            raise WorkloadError(
                "the sides of the page differ too much", place=f"{width}x{height}",
                expected=f"sides of which one is at most {LARGEST_RATIO} times the other",
            )  # fmt: skip
        rows, columns = round(height / factor), round(width / factor)
        pixels = rows * factor * columns * factor
        if pixels > self.max_pixels:
            shrink = math.sqrt((height * width) / self.max_pixels)
            rows = max(1, math.floor(height / shrink / factor))
            columns = max(1, math.floor(width / shrink / factor))
        elif pixels < self.min_pixels:
            grow = math.sqrt(self.min_pixels / (height * width))
            rows, columns = math.ceil(height * grow / factor), math.ceil(width * grow / factor)
        return rows, columns


@frozen(kw_only=True)
class TileRule:
    """A view of the whole page, and tiles of it where a side is longer than a tile.

    Parameters
    ----------
    tile_side
        Pixels of the side of a tile.
    min_tiles, max_tiles
        How many a page may have.
    has_rows
        Whether it matters how many of them are side by side, as each row ends in a token. One tile alone is none then.
    """

    tile_side: int
    min_tiles: int
    max_tiles: int
    has_rows: bool = False

    @property
    def sizes(self) -> tuple[str, ...]:
        """The sizes that follow from a page."""
        return ("num_width_tiles", "num_height_tiles") if self.has_rows else ("num_tiles",)

    def find_sizes(self, width: int, height: int) -> tuple[int, ...]:
        """Return how many tiles a page has, or how many across it and down it."""
        grid = self._find_grid(width, height)
        if self.has_rows:
            return grid or (1, 1)
        return (math.prod(grid) if grid else 0,)

    def _find_grid(self, width: int, height: int) -> tuple[int, int] | None:
        """Return the columns and rows of the grid whose sides are most like those of the page; None of a small page.

        Of grids that are alike in this, a larger one is taken where the page has more than half of its pixels.
        """
        if max(width, height) <= self.tile_side:
            return None
        counts = range(1, self.max_tiles + 1)
        grids = sorted(
            ((columns, rows) for columns in counts for rows in counts
             if self.min_tiles <= columns * rows <= self.max_tiles),
            key=math.prod,
        )  # fmt: skip
        ratio, nearest, grid = width / height, math.inf, (1, 1)
        for columns, rows in grids:
            distance = abs(ratio - columns / rows)
            is_filled = 2 * width * height > self.tile_side**2 * columns * rows
            if distance < nearest or (distance == nearest and is_filled):
                nearest, grid = distance, (columns, rows)
        return grid


@frozen(kw_only=True)
class SplitRule:
    """A page that is enlarged to tiles, each an image, with an image of the whole page behind them.

    Parameters
    ----------
    longest_side
        Pixels of the long side of the page before it is split.
    tile_side
        Pixels of the side of a tile.
    """

    sizes: ClassVar = ("num_images",)
    longest_side: int
    tile_side: int

    def find_sizes(self, width: int, height: int) -> tuple[int]:
        """Return how many images a page is."""
        ratio = width / height
        if width >= height:
            width, height = self.longest_side, int(self.longest_side / ratio)
            height = max(1, height + height % 2)
        else:
            width, height = int(self.longest_side * ratio), self.longest_side
            width = max(1, width + width % 2)
        side, ratio = self.tile_side, width / height
        if width >= height:
            width = math.ceil(width / side) * side
            height = math.ceil(int(width / ratio) / side) * side
        else:
            height = math.ceil(height / side) * side
            width = math.ceil(int(height * ratio) / side) * side
        tiles = (width // side) * (height // side)
        return (tiles + 1 if tiles > 1 else 1,)


@frozen(kw_only=True)
class ViewRule:
    """A page that is one image, whatever its sides: the whole of it is resized to ``side`` x ``side`` pixels."""

    sizes: ClassVar = ("num_images",)
    side: int

    def find_sizes(self, width: int, height: int) -> tuple[int]:
        """Return how many images a page is."""
        return (1,)


@frozen(kw_only=True)
class SliceRule:
    """An overview of the whole page, and slices of it where it has more pixels than they have: grids of cells.

    Parameters
    ----------
    factor
        Pixels of the side of a cell.
    scale_resolution
        Pixels of the side of a square that has as many as the overview, and as each slice, is resized to.
    max_slice_nums
        How many slices a page may have.
    """

    sizes: ClassVar = ("grid_height", "grid_width", "num_slices", "slice_grid_height", "slice_grid_width")
    factor: int
    scale_resolution: int
    max_slice_nums: int

    def find_sizes(self, width: int, height: int) -> tuple[int, ...]:
        """Return the rows and columns of cells of the overview, how many slices there are, and those of each slice.

        Where there is no slice, its cells make no difference: they are as many as those of the overview.
        """
        overview = self._find_cells(width, height)
        grid = self._find_grid(width, height)
        if grid is None:
            return (*overview, 0, *overview)
        rows, columns = grid
        return (*overview, rows * columns, *self._find_cells(_divide(width, columns), _divide(height, rows)))

    def _find_cells(self, width: int, height: int) -> tuple[int, int]:
        ratio = width / height
        resized = int(self.scale_resolution / math.sqrt(ratio))
        return _divide(resized, self.factor), _divide(int(resized * ratio), self.factor)

    def _find_grid(self, width: int, height: int) -> tuple[int, int] | None:
        """Return the rows and columns of slices whose sides are most like those of the page; None of a small page.

        Of grids that are alike in this, the one with more rows is taken.
        """
        most = min(math.ceil(width * height / self.scale_resolution**2), self.max_slice_nums)
        if most <= 1:
            return None
        ratio, nearest, grid = math.log(width / height), math.inf, (1, 1)
        for count in range(max(2, most - 1), min(most + 1, self.max_slice_nums) + 1):
            for rows in (rows for rows in range(1, count + 1) if count % rows == 0):
                distance = abs(ratio - math.log(count // rows / rows))
                if distance < nearest or (distance == nearest and rows > grid[0]):
                    nearest, grid = distance, (rows, count // rows)
        return grid


def _divide(length: int, parts: int) -> int:
    return max(1, round(length / parts))


PageRule: TypeAlias = GridRule | TileRule | SplitRule | ViewRule | SliceRule

PAGE_RULES: Final[Mapping[str, PageRule]] = {
    # Patches of 14 or 16 pixels, of which 2 x 2 become a token. The pixels are those of the preprocessor_config.json of
    # Qwen, HunyuanOCR and PaddleOCR-VL (its later versions 1.5 and 1.6 have 112,896 and 1,003,520), and of the others
    # the defaults of their classes in transformers.
    "qwen2.5-vl-3b": GridRule(factor=28, min_pixels=3136, max_pixels=12845056),
    "qwen3-vl-4b": GridRule(factor=32, min_pixels=65536, max_pixels=16777216),
    "paddleocr-vl": GridRule(factor=28, min_pixels=147384, max_pixels=2822400, enlarges=True),
    "hunyuanocr": GridRule(factor=32, min_pixels=262144, max_pixels=4194304),
    "gemma-3-4b": ViewRule(side=896),  # without pan and scan, as by default
    "smolvlm2-2.2b": SplitRule(longest_side=4 * 384, tile_side=384),
    "deepseek-ocr-2": TileRule(tile_side=768, min_tiles=2, max_tiles=6),
    "unlimited-ocr": TileRule(tile_side=640, min_tiles=2, max_tiles=32, has_rows=True),
    # The class of the processor has patches of 14 pixels and that of the tower 16: the processor is given those of the
    # tower, which can look at no others.
    "minicpm-ocr": SliceRule(factor=32, scale_resolution=448, max_slice_nums=9),
}
"""By name of a card."""


def make_page_views(rule: PageRule) -> PageViews:
    """Return how a model with this rule looks at pages."""
    return PageViews(
        defaults={}, tiles=rule.sizes, preprocessings=(), cut=partial(_cut, rule), keep_whole=_refuse_whole,
        make_cut=partial(_make_cut, rule), script=Path(__file__).with_suffix(".js"),
        script_facts={"rule": asdict(rule), "sizes": rule.sizes},
    )  # fmt: skip


def _cut(
    rule: PageRule, page_width: int, page_height: int, sizes: Mapping[str, int], preprocessing: str | None
) -> dict[str, int]:
    if preprocessing is not None:
        raise WorkloadError("this model has one program for all pages", place="--preprocessing", found=preprocessing)
    return dict(zip(rule.sizes, rule.find_sizes(page_width, page_height), strict=True))


def _make_cut(rule: PageRule, sizes: Mapping[str, int], preprocessing: str) -> Callable[[int, int], tuple[int, ...]]:
    return rule.find_sizes


def _refuse_whole(sizes: Mapping[str, int], preprocessing: str | None) -> NoReturn:
    raise WorkloadError(
        "this model has no option for pages that are not cut", place="--no-crop", remedy="give --page alone"
    )
