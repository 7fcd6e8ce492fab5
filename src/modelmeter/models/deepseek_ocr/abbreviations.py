"""Parts of formulas that have a name on the pages of DeepSeek-OCR, and what its vision stage does for each view."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import sympy

from modelmeter.dimensions.functions import Size, ceil_div, exceeds, floor_div
from modelmeter.model.presentation import Abbreviation, Repetition, View
from modelmeter.models.deepseek_ocr.dimensions import symbol

_CALLS: Final = sympy.sympify(floor_div(symbol("batch_size"), symbol("vision_batch_size")))
_CELLS: Final = symbol("num_width_tiles") * symbol("num_height_tiles")

VIEWS: Final = Repetition(
    parameters=(symbol("num_views"), symbol("view_size")),
    factors=(symbol("images_per_prompt"), _CALLS),
    always=View(name="views", sizes=(symbol("vision_batch_size"), symbol("base_size"))),
    sometimes=View(
        name="tiles",
        sizes=(symbol("vision_batch_size") * _CELLS, symbol("image_size")),
        condition=sympy.sympify(exceeds(_CELLS, 1)),
    ),
)
"""The global views of the pages of a call of the towers, and the tiles of these pages."""


def _abbreviate(latex: str, meaning: str, expression: Size) -> Abbreviation:
    return Abbreviation(latex=latex, meaning=meaning, expression=sympy.sympify(expression))


def list_abbreviations(sizes: Mapping[str, int]) -> list[Abbreviation]:
    """Return the grids of the global view, of a tile, and of any view, and the sizes of heads."""
    found = [
        _abbreviate(r"\tau", "1 where a page is cut into tiles, else 0", VIEWS.condition),
        _abbreviate("C", "calls of the vision towers for one image of each prompt", _CALLS),
    ]
    for side, label, of_what in (
        ("base_size", "base", "of the global view"),
        ("image_size", "tile", "of a tile"),
        ("view_size", "", "of a view"),
    ):
        patch, window = (sizes.get(name, symbol(name)) for name in ("sam_patch_size", "sam_window_size"))
        found += _grids(floor_div(symbol(side), patch), window, label, of_what)
    patches = floor_div(symbol("view_size"), symbol("patch_size"))
    found += _grids(patches, symbol("window_size"), "", "of a view")
    windows = ceil_div(symbol("grid_size"), symbol("window_size"))
    heads = [
        _abbreviate(r"d_{\mathrm{head}}", "channels of one head", floor_div(symbol("hidden_size"), symbol(count)))
        for count in ("num_attention_heads", "num_heads")
    ]
    return [*found, _abbreviate(r"m_{\mathrm{win}}", "windows along a side of the grid", windows), *heads]


def _grids(patches: Size, window: Size, label: str, of_what: str) -> list[Abbreviation]:
    """Return the grids that a view has on its way through SAM."""

    def name(base: str, kind: str) -> str:
        return rf"{base}_{{\mathrm{{{','.join(word for word in (kind, label) if word)}}}}}"

    return [
        _abbreviate(name("g", "patch"), f"patches along a side {of_what}", patches),
        _abbreviate(name("m", "win"), f"attention windows along a side {of_what}", ceil_div(patches, window)),
        _abbreviate(name("g", "half"), f"positions along a side {of_what}, halved once", ceil_div(patches, 2)),
        _abbreviate(name("g", "" if label else "tok"), f"image tokens along a side {of_what}", ceil_div(patches, 4)),
    ]
