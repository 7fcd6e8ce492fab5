"""From the pixels of a page to the grid of cells that a model sees: the float operations of transformers, in order.

The rule is that of the image processor of each model, written anew with the same operations, so that it rounds as that
does; a rule in integers would differ at some sizes. Tests compare the two. Nothing here needs torch or sympy.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final, NoReturn

from attrs import frozen

from modelmeter.model.page_views import PageViews
from modelmeter.support.errors import WorkloadError

LARGEST_RATIO: Final = 200
"""Of the long side of a page to the short one: processors refuse more."""


@frozen(kw_only=True)
class PageRule:
    """How a model makes the cells of a page.

    Parameters
    ----------
    factor
        Pixels of the side of a cell: those of a patch, times the patches that become one token.
    min_pixels, max_pixels
        Of the page after it was resized.
    enlarges
        Whether a side that is shorter than a cell is made one first, and the other with it.
    """

    factor: int
    min_pixels: int
    max_pixels: int
    enlarges: bool = False

    def count_cells(self, width: int, height: int) -> tuple[int, int]:
        """Return the columns and rows of cells of a page of so many pixels.

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
                "the page is too long for its width", place=f"{width}x{height}",
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
        return columns, rows


PAGE_RULES: Final[Mapping[str, PageRule]] = {
    # Patches of 14 or 16 pixels, of which 2 x 2 become a token. The pixels are those of the published processors of
    # Qwen, and of the others the defaults of their classes in transformers.
    "qwen2.5-vl-3b": PageRule(factor=28, min_pixels=3136, max_pixels=12845056),
    "qwen3-vl-4b": PageRule(factor=32, min_pixels=65536, max_pixels=16777216),
    "paddleocr-vl": PageRule(factor=28, min_pixels=147456, max_pixels=2359296, enlarges=True),
    "hunyuanocr": PageRule(factor=32, min_pixels=262144, max_pixels=4194304),
}
"""By name of a card."""

GRID: Final = ("grid_height", "grid_width")
"""The sizes that a page is."""


def make_page_views(rule: PageRule) -> PageViews:
    """Return how a model with this rule looks at pages: each is one image, and nothing is cut."""
    return PageViews(
        defaults={}, tiles=GRID, preprocessings=(), cut=partial(_cut, rule), keep_whole=_refuse_whole,
        make_cut=partial(_make_cut, rule),
    )  # fmt: skip


def _cut(
    rule: PageRule, page_width: int, page_height: int, sizes: Mapping[str, int], preprocessing: str | None
) -> dict[str, int]:
    if preprocessing is not None:
        raise WorkloadError("this model has one program for all pages", place="--preprocessing", found=preprocessing)
    columns, rows = rule.count_cells(page_width, page_height)
    return dict(zip(GRID, (rows, columns), strict=True))


def _make_cut(rule: PageRule, sizes: Mapping[str, int], preprocessing: str) -> Callable[[int, int], tuple[int, ...]]:
    def cut(page_width: int, page_height: int) -> tuple[int, ...]:
        return rule.count_cells(page_width, page_height)[::-1]

    return cut


def _refuse_whole(sizes: Mapping[str, int], preprocessing: str | None) -> NoReturn:
    raise WorkloadError(
        "this model never cuts pages, and what it sees hangs on their sides", place="--no-crop", remedy="give --page"
    )
