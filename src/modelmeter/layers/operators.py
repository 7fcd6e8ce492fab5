"""Operators that several layers call: priced once, from the published table."""

from __future__ import annotations

from modelmeter.dimensions.functions import Size, differs, equals
from modelmeter.dimensions.symbols import symbol
from modelmeter.metrics.cost import FLOAT32_BITS, Elements, Operator
from modelmeter.metrics.operator_table import ATTENTION, vector_flops

ACTIVATIONS_ARE_CAST: Size = differs(symbol("activation_bits"), FLOAT32_BITS)
"""1 where the model computes with another type than float32: a cast of what has that type already is none."""

WEIGHTS_ARE_CAST: Size = differs(symbol("weight_bits"), FLOAT32_BITS)
"""The same of a parameter that is cast to float32."""


def apply_pointwise(
    name: str,
    output: Size,
    *,
    reads: Elements,
    writes: Elements | None = None,
    backward_cuda_core_flops: Size = 0,
    gradients: Elements | None = None,
) -> Operator:
    """Return an elementwise operator with ``output`` output elements, which are activations unless told otherwise."""
    return Operator(
        name=name,
        cuda_core_flops=vector_flops(name, output),
        reads=reads,
        writes=Elements(activation=output) if writes is None else writes,
        backward_cuda_core_flops=backward_cuda_core_flops,
        gradients=gradients,
    )


def sum_over(elements: Size, size: Size) -> Size:
    """Return the FLOPs of the gradient of what was broadcast over a ``size``, to ``elements``: none over 1."""
    return vector_flops("sum", differs(size, 1) * elements)


def add_residual(elements: Size) -> Operator:
    """Return the sum of two activations of ``elements`` elements each."""
    return apply_pointwise("add", elements, reads=Elements(activation=2 * elements))


def copy(elements: Size) -> Operator:
    """Return a copy of ``elements`` activations into another layout."""
    return Operator(name="clone", reads=Elements(activation=elements), writes=Elements(activation=elements))


def widen(elements: Size) -> Operator:
    """Return the cast of ``elements`` activations to float32."""
    return _cast(Elements(activation=elements), Elements(float32=elements)).scale(ACTIVATIONS_ARE_CAST)


def widen_weights(elements: Size) -> Operator:
    """Return the cast of ``elements`` elements of parameters to float32."""
    return _cast(Elements(weight=elements), Elements(float32=elements)).scale(WEIGHTS_ARE_CAST)


def narrow(elements: Size) -> Operator:
    """Return the cast of ``elements`` elements from float32 to the type of activations."""
    return _cast(Elements(float32=elements), Elements(activation=elements)).scale(ACTIVATIONS_ARE_CAST)


def cast_indices(indices: Size, numbers: Size) -> Operator:
    """Return the cast of ``indices`` integers to ``numbers`` float32 numbers: more where the integers are expanded."""
    return _cast(Elements(index=indices), Elements(float32=numbers))


def _cast(reads: Elements, writes: Elements) -> Operator:
    return Operator(name="_to_copy", reads=reads, writes=writes)


def concatenate(output: Size, *, reads: Elements | None = None, expanded: Size = 0) -> Operator:
    """Return a concatenation into ``output`` elements; it reads as many activations unless told otherwise.

    ``expanded`` of these elements are copies of one row, whose gradient is the sum of theirs.
    """
    return Operator(
        name="cat",
        reads=Elements(activation=output) if reads is None else reads,
        writes=Elements(activation=output),
        backward_cuda_core_flops=vector_flops("sum", expanded),
    )


def gather_rows(output: Size, *, indices: Size, reads: Elements | None = None) -> Operator:
    """Return a row gather: it reads the rows that it takes and the indices; its backward adds to these rows."""
    rows = Elements(activation=output) if reads is None else reads
    return Operator(
        name="index",
        reads=rows + Elements(index=indices),
        writes=Elements(activation=output),
        backward_cuda_core_flops=vector_flops("index_put", output),
    )


def resize_table(table: str, *, source: Size, target: Size) -> Operator:
    """Return the resize of a position table from ``source`` to ``target`` elements, in float32.

    ``table`` is the ATen operator.
    """
    return Operator(
        name=table,
        cuda_core_flops=vector_flops(table, target),
        reads=Elements(float32=source),
        writes=Elements(float32=target),
        backward_cuda_core_flops=vector_flops(f"{table}_backward", target),
    )


def read_table(elements: Size, *, side: Size, pretrain_side: Size) -> Elements:
    """Return the reads of ``elements`` of a position table: of the parameter, or of its resized copy."""
    return Elements(activation=differs(side, pretrain_side) * elements, weight=equals(side, pretrain_side) * elements)


def attend(
    *,
    sequences: Size,
    queries: Size,
    keys: Size,
    num_heads: Size,
    query_width: Size,
    key_width: Size,
    is_cached: bool = False,
    has_bias: bool = False,
) -> Operator:
    """Return scaled-dot-product attention as one fused operator: q x kv is computed but never stored.

    Its backward is four products, as of the operators that it is made of. A kernel that does not store q x kv
    computes q k^T again, which is a fifth.

    Parameters
    ----------
    sequences, queries, keys
        Batch, and the two sides of the full q x kv rectangle (no causal discount).
    num_heads, query_width, key_width
        Query heads; heads x head size of the queries, and of the keys and values.
    is_cached
        Whether keys and values are read from the KV cache.
    has_bias
        Whether a stored bias of every score is added (``attn_mask``).
    """
    query_elements = sequences * queries * query_width
    key_value_elements = 2 * sequences * keys * key_width
    scores = sequences * num_heads * queries * keys
    stored = Elements(kv=key_value_elements) if is_cached else Elements(activation=key_value_elements)
    bias = scores if has_bias else 0
    # Two products over the rectangle: q k^T and p v.
    products = 4 * sequences * queries * keys * query_width
    return Operator(
        name=ATTENTION,
        tensor_core_flops=products,
        cuda_core_flops=vector_flops(ATTENTION, scores) + vector_flops(f"{ATTENTION}_bias", bias),
        reads=Elements(activation=query_elements + bias) + stored,
        writes=Elements(activation=query_elements),
        backward_tensor_core_flops=2 * products,
        backward_cuda_core_flops=vector_flops(f"{ATTENTION}_backward", scores),
    )
