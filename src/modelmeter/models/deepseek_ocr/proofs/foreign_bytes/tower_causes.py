"""Why the towers and the projector differ, for the views of one kind: the global ones, or the tiles.

The formulas are in the pages (``batch_size``), the views of a page (``num_views``), and the patches on a side of a
view (``grid_size``). Ours calls the towers once a page, transformers once for all pages.
"""

from __future__ import annotations

from collections.abc import Iterator

from modelmeter.dimensions.functions import Size, ceil_div, differs, divide, equals, floor_div
from modelmeter.models.deepseek_ocr.dimensions import symbol
from modelmeter.models.deepseek_ocr.proofs.foreign_bytes.tower_calls import list_call, list_single_grids
from modelmeter.verify.foreign_bytes.causes import BFLOAT16, FLOAT32, INT64, Term, make_cause, ours, scale, theirs

_PAGES, _PAGE_VIEWS, _GRID = symbol("batch_size"), symbol("num_views"), symbol("grid_size")
_VIEWS = _PAGES * _PAGE_VIEWS
_PATCHES = _VIEWS * _GRID**2

_SAM, _HEADS, _WINDOW = symbol("sam_hidden_size"), symbol("sam_num_attention_heads"), symbol("sam_window_size")
_HEAD_DIM = divide(_SAM, _HEADS)
_LAYERS, _GLOBAL = symbol("sam_num_hidden_layers"), symbol("sam_num_global_layers")
_WINDOWED = _LAYERS - _GLOBAL
_TRAINED = floor_div(symbol("sam_image_size"), symbol("sam_patch_size"))
_NECK, _DOWN = symbol("sam_neck_channels"), symbol("sam_downsample_channels")

_CLIP, _CLIP_LAYERS = symbol("clip_hidden_size"), symbol("clip_num_hidden_layers")
_CLIP_TRAINED = floor_div(symbol("clip_image_size"), symbol("clip_patch_size"))
_CLIP_GRID = ceil_div(_GRID, 4)

_ROWS_ACROSS = _WINDOW * ceil_div(_GRID, _WINDOW)
"""Patches on a side of a view that is padded to whole windows."""


def _offsets(side: Size) -> Size:
    """Return how far two patches can be apart in one direction: rows of a table of relative positions."""
    return 2 * side - 1


def _copies(elements: Size) -> tuple[Size, Size]:
    """Return what copying ``elements`` reads and writes."""
    return BFLOAT16 * elements, BFLOAT16 * elements


def _list_norms() -> Iterator[Term]:
    """Yield the operators of both norms of SAM's neck."""
    elements, positions, weights = _PATCHES * _NECK * BFLOAT16, _PATCHES * BFLOAT16, _NECK * BFLOAT16
    for _ in range(2):
        yield ours("mean", elements, positions)
        yield ours("sub", elements + positions, elements)
        yield ours("pow", elements, elements)
        yield ours("mean", elements, positions)
        yield ours("sub", elements + positions, elements)
        yield ours("add", positions, positions)
        yield ours("sqrt", positions, positions)
        yield ours("div", elements + positions, elements)
        yield ours("mul", elements + weights, elements)
        yield ours("add", elements + weights, elements)
        yield theirs("native_layer_norm", elements + 2 * weights, elements + 2 * _PATCHES * FLOAT32)


def _list_bias_copies() -> Iterator[Term]:
    """Yield the copies on the way to the bias of attention, in windows and over whole views."""
    windows = _VIEWS * ceil_div(_GRID, _WINDOW) ** 2
    for layers, grids, side in ((_WINDOWED, windows, _WINDOW), (_GLOBAL, _VIEWS, _GRID)):
        queries = layers * grids * _HEADS * side**2
        yield ours("clone", *_copies(2 * queries * side))
        yield theirs("clone", *_copies(queries * side**2))


def _list_table_resizes() -> Iterator[Term]:
    """Yield the resizes of the two tables of relative positions of every layer."""
    for layers, trained, side in ((_WINDOWED, _WINDOW, _WINDOW), (_GLOBAL, _TRAINED, _GRID)):
        before, after = (2 * layers * _offsets(length) * _HEAD_DIM for length in (trained, side))
        yield theirs("upsample_linear1d", BFLOAT16 * before, BFLOAT16 * after)
        resize = (
            ours("_to_copy", BFLOAT16 * before, FLOAT32 * before),
            ours("upsample_linear1d", FLOAT32 * before, FLOAT32 * after),
            ours("_to_copy", FLOAT32 * after, BFLOAT16 * after),
        )
        yield from scale(resize, differs(side, trained))


def _list_position_copies() -> Iterator[Term]:
    """Yield what CLIP's position embeddings go through before they are resized."""
    elements = _CLIP_TRAINED**2 * _CLIP
    look_up = (
        ours(
            "embedding", BFLOAT16 * (elements + _CLIP) + INT64 * (_CLIP_TRAINED**2 + 1), BFLOAT16 * (elements + _CLIP)
        ),
        ours("clone", *_copies(elements)),
    )
    yield from scale(look_up, differs(_CLIP_GRID, _CLIP_TRAINED))


TOWER_CAUSES = (
    make_cause(
        "bias of attention copied",
        "adds SAM's row and column terms in an order that it then has to copy, every score of every head; ours copies "
        "the terms before it adds them",
        _list_bias_copies(),
    ),
    make_cause(
        "q, k, v apart",
        "multiplies CLIP's input with three matrices instead of one, so that it is read three times",
        [theirs("addmm", 2 * _CLIP_LAYERS * _VIEWS * (_CLIP_GRID**2 + 1) * _CLIP * BFLOAT16)],
    ),
    make_cause(
        "neck's norms in one operator",
        "norms the channels of SAM's neck with `native_layer_norm`; ours with ten operators",
        _list_norms(),
    ),
    make_cause(
        "windows padded by nothing",
        "pads views to whole windows also where they are whole, and so copies them",
        scale(
            [theirs("constant_pad_nd", *_copies(_WINDOWED * _PATCHES * _SAM))],
            equals(_GRID, _WINDOW * ceil_div(_GRID, _WINDOW)),
        ),
    ),
    make_cause(
        "tables of relative positions always resized",
        "resizes each of SAM's tables at each call, also to the length that it has, and in bfloat16; ours only where "
        "the length differs, in float32",
        _list_table_resizes(),
    ),
    make_cause(
        "position embeddings not looked up",
        "resizes CLIP's table itself; ours looks all of its rows up, and copies them",
        _list_position_copies(),
    ),
    make_cause(
        "last convolution's input not copied",
        "leaves out a copy between the two convolutions that halve the grid",
        [ours("clone", *_copies(_VIEWS * ceil_div(_GRID, 2) ** 2 * _DOWN))],
    ),
    make_cause(
        "no loop over pages",
        "calls the towers once for all pages, so that it reads weights, and prepares tables, once; ours once a page",
        list_call(),
        times=_PAGES - 1,
    ),
    make_cause(
        "queries, keys and values of single grids copied",
        "copies them where pages share a call; where ours attends over one grid only, they stay where the product has "
        "left them, and only the queries are copied, for a product",
        list_single_grids(),
    ),
)
"""In the order of the page."""
