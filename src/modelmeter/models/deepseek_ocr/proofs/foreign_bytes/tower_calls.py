"""What one call of our towers and projector moves whatever the views: weights, and tables made of them.

Ours calls them once a page. One call for all pages moves this once.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from modelmeter.dimensions.functions import Size, ceil_div, differs, divide, equals, floor_div
from modelmeter.models.deepseek_ocr.architecture import IMAGE_CHANNELS
from modelmeter.models.deepseek_ocr.dimensions import symbol
from modelmeter.verify.foreign_bytes.causes import BFLOAT16, FLOAT32, INT64, Term, ours, scale, theirs

_PAGES, _PAGE_VIEWS, _GRID = symbol("batch_size"), symbol("num_views"), symbol("grid_size")

_SAM, _SAM_MLP, _HEADS = symbol("sam_hidden_size"), symbol("sam_intermediate_size"), symbol("sam_num_attention_heads")
_LAYERS, _GLOBAL, _WINDOW = symbol("sam_num_hidden_layers"), symbol("sam_num_global_layers"), symbol("sam_window_size")
_PATCH, _NECK, _DOWN = symbol("sam_patch_size"), symbol("sam_neck_channels"), symbol("sam_downsample_channels")
_TRAINED = floor_div(symbol("sam_image_size"), _PATCH)

_CLIP, _CLIP_MLP = symbol("clip_hidden_size"), symbol("clip_intermediate_size")
_CLIP_LAYERS, _CLIP_GRID = symbol("clip_num_hidden_layers"), ceil_div(_GRID, 4)
_CLIP_TRAINED = floor_div(symbol("clip_image_size"), symbol("clip_patch_size"))


def list_call() -> Iterator[Term]:
    """Yield what one call moves whatever the views, as what transformers does not."""
    yield from _list_sam()
    yield from _list_clip()


def list_single_grids() -> Iterator[Term]:
    """Yield the copies of queries, keys and values that one call for all pages makes, and calls for each do not."""
    windows = ceil_div(_GRID, _WINDOW) ** 2
    for layers, grids, side in ((_LAYERS - _GLOBAL, windows, _WINDOW), (_GLOBAL, 1, _GRID)):
        queries = BFLOAT16 * layers * _PAGES * side**2 * _SAM
        copies = (theirs("clone", 3 * queries, 3 * queries), ours("clone", queries, queries))
        yield from scale(copies, equals(_PAGE_VIEWS * grids, 1) * differs(_PAGES, 1))


def _read_linear(*widths: Size) -> Size:
    """Return bytes of the weights and biases of linear layers, one after the other."""
    return BFLOAT16 * sum((before + 1) * after for before, after in pairwise(widths))


def _list_sam() -> Iterator[Term]:
    yield ours("convolution", BFLOAT16 * (IMAGE_CHANNELS * _PATCH**2 + 1) * _SAM)
    yield from _resize("_upsample_bicubic2d_aa", _TRAINED**2 * _SAM, _GRID**2 * _SAM, differs(_GRID, _TRAINED))
    yield ours("add", BFLOAT16 * _GRID**2 * _SAM)
    yield ours("native_layer_norm", _LAYERS * 4 * BFLOAT16 * _SAM)
    yield ours("addmm", _LAYERS * (_read_linear(_SAM, 3 * _SAM) + _read_linear(_SAM, _SAM, _SAM_MLP, _SAM)))
    for layers, trained, side in ((_LAYERS - _GLOBAL, _WINDOW, _WINDOW), (_GLOBAL, _TRAINED, _GRID)):
        yield from scale(_list_relative_positions(trained, side), 2 * layers)
    yield ours("convolution", BFLOAT16 * (_SAM * _NECK + 9 * (_NECK**2 + _NECK * _DOWN + _DOWN * _CLIP)))
    for operator in ("mul", "add"):
        yield ours(operator, 2 * BFLOAT16 * _NECK)


def _list_relative_positions(trained: Size, side: Size) -> Iterator[Term]:
    """Yield the embeddings of all pairs of rows, or of columns, and the read of the product with queries."""
    head_dim = divide(_SAM, _HEADS)
    before, after = ((2 * length - 1) * head_dim for length in (trained, side))
    yield from _resize("upsample_linear1d", before, after, differs(side, trained))
    for _ in range(2):
        yield ours("mul", INT64 * side, BFLOAT16 * side)
    yield ours("sub", 2 * BFLOAT16 * side, BFLOAT16 * side**2)
    yield ours("add", BFLOAT16 * side**2, BFLOAT16 * side**2)
    yield ours("_to_copy", BFLOAT16 * side**2, INT64 * side**2)
    yield ours("index", (BFLOAT16 * head_dim + INT64) * side**2, BFLOAT16 * head_dim * side**2)
    yield ours("bmm", BFLOAT16 * head_dim * side**2)


def _resize(operator: str, before: Size, after: Size, is_resized: Size) -> Iterator[Term]:
    """Yield a resize in float32 of ``before`` elements to ``after``."""
    terms = (
        ours("_to_copy", BFLOAT16 * before, FLOAT32 * before),
        ours(operator, FLOAT32 * before, FLOAT32 * after),
        ours("_to_copy", FLOAT32 * after, BFLOAT16 * after),
    )
    yield from scale(terms, is_resized)


def _list_clip() -> Iterator[Term]:
    rows, tokens = _CLIP_TRAINED**2 + 1, _CLIP_GRID**2 + 1
    is_resized = differs(_CLIP_GRID, _CLIP_TRAINED)
    yield ours("embedding", (BFLOAT16 * _CLIP + INT64) * rows, BFLOAT16 * _CLIP * rows)
    before, after = _CLIP_TRAINED**2 * _CLIP, _CLIP_GRID**2 * _CLIP
    join = BFLOAT16 * tokens * _CLIP
    copies = (ours("clone", BFLOAT16 * before, BFLOAT16 * before), ours("cat", join, join))
    yield from scale(copies, is_resized)
    yield from _resize("_upsample_bicubic2d_aa", before, after, is_resized)
    yield ours("cat", BFLOAT16 * _CLIP)
    yield ours("add", join)
    yield ours("native_layer_norm", (2 * _CLIP_LAYERS + 1) * 2 * BFLOAT16 * _CLIP)
    layer = _read_linear(_CLIP, 3 * _CLIP) + _read_linear(_CLIP, _CLIP, _CLIP_MLP, _CLIP)
    yield ours("addmm", _CLIP_LAYERS * layer + _read_linear(2 * _CLIP, symbol("hidden_size")))
