"""Why the decoder differs, beside the experts: formulas in sequences, their new positions, and all of their keys."""

from __future__ import annotations

from collections.abc import Iterator

from modelmeter.dimensions.functions import Size, differs, divide
from modelmeter.models.deepseek_ocr.dimensions import symbol
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


def _list_angles(positions: Size) -> Iterator[Term]:
    """Yield what grows with the positions whose angles our rotary embedding computes, in one layer."""
    half = divide(_HEAD_DIM, 2)
    waves, both = FLOAT32 * positions * half, FLOAT32 * positions * _HEAD_DIM
    yield ours("_to_copy", 0, FLOAT32 * positions)
    yield ours("bmm", FLOAT32 * positions, waves)
    yield ours("cat", waves, both)
    for operator in ("cos", "sin", "mul", "mul"):
        yield ours(operator, both, both)
    for _ in range(2):
        yield ours("_to_copy", both, BFLOAT16 * positions * _HEAD_DIM)


def _list_layers() -> Iterator[Term]:
    """Yield the angles of one sequence in all layers but one, and the product of the one."""
    half = divide(_HEAD_DIM, 2)
    frequencies = (ours("bmm", FLOAT32 * half), ours("_to_copy", INT64 * _QUERIES))
    yield from scale((*_list_angles(_QUERIES), *frequencies), _LAYERS - 1)
    product = (FLOAT32 * (half + _QUERIES), FLOAT32 * _QUERIES * half)
    yield ours("bmm", *product)
    yield theirs("mul", *product)


def _list_sequences() -> Iterator[Term]:
    """Yield the angles of all sequences but one, and their reads where queries and keys are turned."""
    positions = (_SEQUENCES - 1) * _QUERIES
    yield from scale(_list_angles(positions), _LAYERS)
    yield ours("mul", _LAYERS * 4 * BFLOAT16 * positions * _HEAD_DIM)


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
    """Yield the appends of keys and values; those of a prompt are the cache as they are in ours."""
    new, every = 2 * _LAYERS * _CACHED * _QUERIES, 2 * _LAYERS * _CACHED * _KEYS
    yield from scale([ours("copy_", new, new)], differs(_KEYS, _QUERIES))
    yield theirs("cat", every, every)


def _list_last_rows() -> Iterator[Term]:
    """Yield the product of the rows that get logits, where these are not all and not in a row."""
    rows = BFLOAT16 * _SEQUENCES * symbol("logits_tokens") * _HIDDEN
    logits = BFLOAT16 * _SEQUENCES * symbol("logits_tokens") * symbol("vocab_size")
    weights = BFLOAT16 * _HIDDEN * symbol("vocab_size")
    terms = (ours("clone", rows, rows), ours("mm", rows + weights, logits), theirs("bmm", rows + weights, logits))
    yield from scale(terms, differs(symbol("logits_tokens"), _QUERIES) * differs(_SEQUENCES, 1))


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
        _list_layers(),
    ),
    make_cause(
        "rotary embedding once for all sequences",
        "computes cosines and sines of one sequence; ours of every sequence, which may begin elsewhere",
        _list_sequences(),
    ),
    make_cause(
        "rows with logits not gathered",
        "multiplies the last rows of each sequence where they are; ours copies them into a row before",
        _list_last_rows(),
    ),
    make_cause(
        "mask of sliding windows made and not used",
        "makes the mask that layers with sliding windows would take, and counts positions up; no layer here has one",
        _list_masks(),
    ),
)
"""In the order of the page."""
