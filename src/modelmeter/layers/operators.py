"""Operators that several layers call: priced once, from the published table."""

from __future__ import annotations

from modelmeter.cost import Elements, Operator
from modelmeter.functions import Size, differs, equals
from modelmeter.operator_table import vector_flops


def apply_pointwise(
    name: str,
    output: Size,
    *,
    reads: Elements,
    backward_cuda_core_flops: Size = 0,
    gradients: Elements | None = None,
) -> Operator:
    """Return an elementwise operator with ``output`` output elements."""
    return Operator(
        name=name,
        cuda_core_flops=vector_flops(name, output),
        reads=reads,
        writes=Elements(activation=output),
        backward_cuda_core_flops=backward_cuda_core_flops,
        gradients=gradients,
    )


def sum_over(elements: Size, size: Size) -> Size:
    """Return the FLOPs of the gradient of what was broadcast over a ``size``, to ``elements``: none over 1."""
    return vector_flops("sum", differs(size, 1) * elements)


def add_residual(elements: Size) -> Operator:
    """Return the sum of two activations of ``elements`` elements each."""
    return apply_pointwise("add", elements, reads=Elements(activation=2 * elements))


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


def resize_table(table: str, *, source: Size, target: Size, needed: Size, reads: Elements) -> Operator:
    """Return the resize of a position table from ``source`` to ``target`` elements, where it is needed.

    ``table`` is the ATen operator; ``reads`` says what stores the source, before ``needed`` (0 or 1).
    """
    return Operator(
        name="interpolate",
        cuda_core_flops=vector_flops(table, needed * target),
        reads=reads.scale(needed),
        writes=Elements(activation=needed * target),
        backward_cuda_core_flops=vector_flops(f"{table}_backward", needed * target),
    )


def read_table(elements: Size, *, side: Size, pretrain_side: Size, needed: Size) -> Elements:
    """Return the reads of ``elements`` of a position table: of the parameter, or of its resized copy."""
    return Elements(activation=needed * elements, weight=equals(side, pretrain_side) * elements)


def attend(
    *,
    sequences: Size,
    queries: Size,
    keys: Size,
    num_heads: Size,
    query_width: Size,
    key_width: Size,
    is_cached: bool = False,
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
    """
    query_elements = sequences * queries * query_width
    key_value_elements = 2 * sequences * keys * key_width
    scores = sequences * num_heads * queries * keys
    stored = Elements(kv=key_value_elements) if is_cached else Elements(activation=key_value_elements)
    # Two products over the rectangle: q k^T and p v.
    products = 4 * sequences * queries * keys * query_width
    return Operator(
        name="scaled_dot_product_attention",
        tensor_core_flops=products,
        cuda_core_flops=vector_flops("scaled_dot_product_attention", scores),
        reads=Elements(activation=query_elements) + stored,
        writes=Elements(activation=query_elements),
        backward_tensor_core_flops=2 * products,
        backward_cuda_core_flops=vector_flops("scaled_dot_product_attention_backward", scores),
    )
