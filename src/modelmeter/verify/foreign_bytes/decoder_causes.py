"""Why the decoder differs, beside the experts: formulas in sequences, their new positions, and all of their keys."""

from __future__ import annotations

from collections.abc import Iterator

from modelmeter.functions import Size, divide
from modelmeter.symbols import symbol
from modelmeter.verify.foreign_bytes.causes import (
    BFLOAT16,
    BOOL,
    FLOAT32,
    INT64,
    Term,
    make_cause,
    ours,
    scale,
    theirs,
)  # fmt: skip

_SEQUENCES, _QUERIES, _KEYS = symbol("batch_size"), symbol("num_queries"), symbol("num_keys")
_LAYERS, _HIDDEN = symbol("num_hidden_layers"), symbol("hidden_size")
_HEAD_DIM = divide(_HIDDEN, symbol("num_attention_heads"))
_CACHED = BFLOAT16 * _SEQUENCES * symbol("num_key_value_heads") * _HEAD_DIM
"""Bytes of the keys of one position, in one layer."""


def _list_rotary() -> Iterator[Term]:
    """Yield the angles of the rotary embedding."""
    half = divide(_HEAD_DIM, 2)
    waves, both = FLOAT32 * _QUERIES * half, FLOAT32 * _QUERIES * _HEAD_DIM
    yield from scale([ours("bmm", FLOAT32 * (half + _QUERIES), waves)], _LAYERS)
    yield theirs("mul", FLOAT32 * (half + _QUERIES), waves)
    rest = (
        ours("_to_copy", INT64 * _QUERIES, FLOAT32 * _QUERIES),
        ours("cat", waves, both),
        *(ours(name, both, both) for name in ("cos", "sin", "mul", "mul")),
        *(ours("_to_copy", both, BFLOAT16 * _QUERIES * _HEAD_DIM) for _ in range(2)),
    )
    yield from scale(rest, _LAYERS - 1)


def _list_masks() -> Iterator[Term]:
    """Yield the positions, and the mask of sliding windows, which no layer uses."""
    queries, keys, scores = INT64 * _QUERIES, INT64 * _KEYS, BOOL * _QUERIES * _KEYS
    valid = BOOL * _QUERIES
    yield theirs("add", 2 * queries + keys, 2 * queries + keys)
    yield theirs("sub", queries + keys, queries + keys)
    for name in ("gt", "le", "le"):
        yield theirs(name, keys + queries, scores)
    yield theirs("lt", keys, BOOL * _KEYS)
    for read in (valid + scores, 2 * scores, valid + scores, scores + BOOL * _KEYS):
        yield theirs("bitwise_and", read, scores)
    for read in (valid + scores, 2 * scores):
        yield theirs("bitwise_or", read, scores)


def _list_cache() -> Iterator[Term]:
    """Yield the appends of keys and values."""
    new, every = 2 * _LAYERS * _CACHED * _QUERIES, 2 * _LAYERS * _CACHED * _KEYS
    yield ours("copy_", new, new)
    yield theirs("cat", every, every)


def _list_logits() -> Iterator[Term]:
    elements: Size = _SEQUENCES * symbol("logits_tokens") * symbol("vocab_size")
    yield ours("_to_copy", BFLOAT16 * elements, FLOAT32 * elements)


DECODER_CAUSES = (
    make_cause(
        "logits stay in bfloat16",
        "leaves the logits as the product makes them; ours copies them to float32",
        _list_logits(),
    ),
    make_cause(
        "cache grows by cat",
        "makes keys and values of every layer anew, the old and the new ones in a row (`DynamicCache`); ours appends "
        "in place",
        _list_cache(),
    ),
    make_cause(
        "rotary embedding once for all layers",
        "computes cosines and sines once, without a matrix product; ours in every layer",
        _list_rotary(),
    ),
    make_cause(
        "mask of sliding windows made and not used",
        "makes the mask that layers with sliding windows would take, and counts positions up; no layer here has one",
        _list_masks(),
    ),
)
"""In the order of the page."""
