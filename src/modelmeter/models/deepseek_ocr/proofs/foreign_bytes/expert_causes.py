"""Why the routed experts differ, in both of transformers' implementations: a loop over experts, and grouped products.

Formulas in tokens and in the dimensions of the layer. Tokens take even shares: each of ``k`` assignments goes to the
next expert, so that ``min(E, k N)`` experts take part.
"""

from __future__ import annotations

from collections.abc import Iterator

from modelmeter.dimensions.functions import Size, routed_reads
from modelmeter.models.deepseek_ocr.dimensions import symbol
from modelmeter.verify.foreign_bytes.causes import (
    BFLOAT16,
    BOOL,
    FLOAT32,
    INT32,
    INT64,
    Cause,
    Term,
    make_cause,
    ours,
    theirs,
)  # fmt: skip

_LAYERS = symbol("num_hidden_layers") - symbol("first_k_dense_replace")
_TOKENS = symbol("batch_size") * symbol("num_queries")
_EXPERTS, _PER_TOKEN = symbol("n_routed_experts"), symbol("num_experts_per_tok")
_ROWS = _TOKENS * _PER_TOKEN
"""Assignments of a token to an expert."""

TAKING_PART = routed_reads(_EXPERTS, _PER_TOKEN, _TOKENS, 1)
"""Experts with a token: ``min(E, k N)``, where shares are even."""

_HIDDEN, _MLP = symbol("hidden_size"), symbol("moe_intermediate_size")
_NARROW, _WIDE = BFLOAT16 * _ROWS * _HIDDEN, FLOAT32 * _ROWS * _HIDDEN
"""Bytes of a hidden state for each assignment."""


def _taking_part(each: Size) -> Size:
    """Return ``each`` as often as experts take part."""
    return TAKING_PART * each


def _list_one_product() -> Iterator[Term]:
    yield ours("mm", _NARROW)


def _list_search() -> Iterator[Term]:
    """Yield how the tokens of each expert are found."""
    rows = INT64 * _ROWS
    marks = INT64 * _ROWS * (_EXPERTS + 1)
    yield theirs("aminmax", rows, 2 * INT64)
    yield theirs("scatter_", marks + rows, marks)
    yield theirs("sum", marks, INT64 * (_EXPERTS + 1))
    yield theirs("gt", INT64 * (_EXPERTS + 1), BOOL * (_EXPERTS + 1))
    yield theirs("nonzero", BOOL * (_EXPERTS + 1), _taking_part(INT64))
    yield theirs("eq", _taking_part(INT64), _taking_part(BOOL))
    yield theirs("nonzero", _taking_part(rows), 2 * rows)
    counts = INT64 * _TOKENS * _EXPERTS
    yield ours("scatter_", counts + rows, counts)
    yield ours("sum", counts, INT64 * _EXPERTS)
    yield ours("sort", rows, 2 * rows)
    yield ours("floor_divide", rows, rows)


def _list_sum_in_place() -> Iterator[Term]:
    """Yield how the outputs of the experts are weighted and added up."""
    weights, rows = FLOAT32 * _ROWS, INT64 * _ROWS
    yield theirs("index", weights + 2 * rows, weights)
    yield theirs("mul", _NARROW + weights, _WIDE)
    yield theirs("_to_copy", _WIDE, _NARROW)
    yield theirs("index_add_", 2 * _NARROW + rows, _NARROW)
    yield from _list_our_sum()


def _list_our_sum() -> Iterator[Term]:
    weights, rows = FLOAT32 * _ROWS, INT64 * _ROWS
    yield ours("cat", _NARROW, _NARROW)
    yield ours("index_put_", 2 * _NARROW + rows, _NARROW)
    yield ours("_to_copy", _NARROW, _WIDE)
    yield ours("mul_", _WIDE + weights, _WIDE)
    yield ours("sum", _WIDE, FLOAT32 * _TOKENS * _HIDDEN)
    yield ours("_to_copy", FLOAT32 * _TOKENS * _HIDDEN, BFLOAT16 * _TOKENS * _HIDDEN)


def _of_layers(name: str, text: str, terms: Iterator[Term]) -> Cause:
    return make_cause(name, text, terms, times=_LAYERS)


_ONE_PRODUCT = _of_layers(
    "gate and up in one product",
    "multiplies the tokens of an expert with both of its matrices at once, so that it reads them once",
    _list_one_product(),
)

LOOP_CAUSES = (
    _of_layers(
        "experts' outputs added in place",
        "weighs the outputs of each expert and adds them to the rows of their tokens (`index_add_`); ours joins all "
        "outputs, puts them back in the order of the tokens, and weighs and sums them",
        _list_sum_in_place(),
    ),
    _ONE_PRODUCT,
    _of_layers(
        "tokens of an expert searched",
        "marks the experts of each token (`one_hot`), and searches the marks of each expert; ours sorts the tokens by "
        "expert",
        _list_search(),
    ),
)
"""Of ``experts_implementation="eager"``, in the order of the page."""


def _list_grouped_products() -> Iterator[Term]:
    """Yield the products, which are counted with the matrices of all experts."""
    matrix = BFLOAT16 * _HIDDEN * _MLP
    gated = BFLOAT16 * _ROWS * _MLP
    yield ours("mm", 2 * _NARROW + gated + _taking_part(3 * matrix), 2 * gated + _NARROW)
    yield theirs("_grouped_mm", _NARROW + gated + _taking_part(3 * matrix), 2 * gated + _NARROW)


def _list_all_experts() -> Iterator[Term]:
    weights = BFLOAT16 * 3 * _HIDDEN * _MLP
    yield theirs("_grouped_mm", _EXPERTS * weights - _taking_part(weights))


def _list_offsets() -> Iterator[Term]:
    """Yield how both find where the tokens of an expert begin."""
    ends, rows = INT32 * _EXPERTS, INT64 * _ROWS
    yield theirs("_to_copy", rows, INT32 * _ROWS)
    yield theirs("histc", INT32 * _ROWS, ends)
    yield theirs("cumsum", ends, ends)
    yield theirs("_grouped_mm", 2 * ends)
    counts = INT64 * _TOKENS * _EXPERTS
    yield ours("scatter_", counts + rows, counts)
    yield ours("sum", counts, INT64 * _EXPERTS)


def _list_sum_in_order() -> Iterator[Term]:
    """Yield how the outputs are weighted while they are sorted by expert, then put back and summed."""
    weights, rows = FLOAT32 * _ROWS, INT64 * _ROWS
    yield theirs("index", weights + rows, weights)
    yield theirs("mul", _NARROW + weights, _WIDE)
    yield theirs("index_put_", 3 * rows, rows)
    yield theirs("index", _WIDE + rows, _WIDE)
    yield theirs("sum", _WIDE, FLOAT32 * _TOKENS * _HIDDEN)
    yield theirs("_to_copy", FLOAT32 * _TOKENS * _HIDDEN, BFLOAT16 * _TOKENS * _HIDDEN)
    yield from _list_our_sum()


GROUPED_CAUSES = (
    _of_layers(
        "experts' outputs put back in float32",
        "weighs the outputs while they are sorted by expert, in float32, and puts them back in the order of the tokens "
        "then; ours puts them back in bfloat16 and weighs them then",
        _list_sum_in_order(),
    ),
    _of_layers(
        "all experts in one product",
        "multiplies the tokens of all experts in one operator, gate and up at once; ours has three products an expert",
        _list_grouped_products(),
    ),
    _of_layers(
        "weights of experts without tokens",
        "hands the matrices of all experts to that operator. Its kernel skips those without tokens, but no count of "
        "inputs can know",
        _list_all_experts(),
    ),
    _of_layers(
        "offsets of experts",
        "counts the tokens of an expert with `histc`; ours marks them in a table of tokens and experts",
        _list_offsets(),
    ),
)
"""Of ``experts_implementation="grouped_mm"``, in the order of the page."""
