"""The published table of vector arithmetic: FLOPs per element of every operator that is no matrix product.

One addition, subtraction, multiplication, division, comparison or function value (exp, cos, erf, square
root) is one FLOP. Layers price their formulas from this table, and the independent count in
``modelmeter.verify`` weighs the ATen operators that it sees with the same one.
"""

from __future__ import annotations

from typing import Literal

from attrs import frozen

from modelmeter.dimensions.functions import Size
from modelmeter.support.errors import FormulaError

Basis = Literal["input", "output", "score", "values"]


@frozen(kw_only=True)
class OperatorWeight:
    """What one element of an operator costs.

    Parameters
    ----------
    flops
        FLOPs per element.
    basis
        Which elements count: those of the first input, of the output, the q x kv attention scores, or the values
        that are put into a table. The first input of a backward operator is the gradient of the output.
    reason
        The arithmetic behind the number.
    """

    flops: int
    basis: Basis
    reason: str


_ROWS: tuple[tuple[str, int, Basis, str], ...] = (
    ("add", 1, "output", "one sum"),
    ("sub", 1, "output", "one difference"),
    ("mul", 1, "output", "one product"),
    ("div", 1, "output", "one quotient"),
    ("neg", 1, "output", "one sign"),
    ("pow", 1, "output", "one power"),
    ("sqrt", 1, "output", "one square root"),
    ("rsqrt", 1, "output", "one reciprocal square root"),
    ("cos", 1, "output", "one cosine"),
    ("exp", 1, "output", "one exponential"),
    ("expm1", 2, "output", "exp, difference"),
    ("log", 1, "output", "one logarithm"),
    ("log1p", 2, "output", "sum, logarithm"),
    ("tanh", 1, "output", "one hyperbolic tangent"),
    ("reciprocal", 1, "output", "one quotient"),
    ("rsub", 1, "output", "one difference"),
    ("abs", 1, "output", "one sign"),
    ("relu", 1, "output", "one comparison"),
    ("maximum", 1, "output", "one comparison"),
    ("minimum", 1, "output", "one comparison"),
    ("clamp", 2, "output", "two comparisons"),
    ("clamp_min", 1, "output", "one comparison"),
    ("clamp_max", 1, "output", "one comparison"),
    ("round", 1, "output", "one rounding"),
    ("floor", 1, "output", "one rounding"),
    ("bucketize", 1, "output", "one search"),
    ("eq", 1, "output", "one comparison"),
    ("ne", 1, "output", "one comparison"),
    ("lt", 1, "output", "one comparison"),
    ("le", 1, "output", "one comparison"),
    ("gt", 1, "output", "one comparison"),
    ("ge", 1, "output", "one comparison"),
    ("softplus", 3, "output", "exp, sum, logarithm"),
    ("sin", 1, "output", "one sine"),
    ("polar", 4, "output", "cosine, sine, two products"),
    ("mul_complex", 6, "output", "four products, difference, sum"),
    ("mean", 1, "input", "one sum per input element"),
    ("avg_pool2d", 1, "input", "one sum per input element"),
    ("sum", 1, "input", "one sum per input element"),
    ("cumsum", 1, "input", "one sum per input element"),
    ("topk", 1, "input", "one comparison per input element"),
    ("amax", 1, "input", "one comparison per input element"),
    ("max", 1, "input", "one comparison per input element"),
    ("argmax", 1, "input", "one comparison per input element"),
    ("linalg_vector_norm", 2, "input", "one square and one sum per input element"),
    ("index_add", 1, "values", "one sum into the row that was taken"),
    ("logsumexp", 4, "input", "maximum, difference, exp, sum"),
    ("sigmoid", 4, "output", "sign, exp, sum, reciprocal"),
    ("silu", 4, "output", "sign, exp, sum, quotient"),
    ("gelu", 5, "output", "scale, erf, sum, two products"),
    ("_softmax", 5, "output", "maximum, difference, exp, sum, quotient"),
    ("native_layer_norm", 7, "output", "mean, difference, square, variance, scale, weight, bias"),
    ("upsample_linear1d", 3, "output", "two products and a sum"),
    ("upsample_bilinear2d", 7, "output", "four products and three sums"),
    ("_upsample_bicubic2d_aa", 31, "output", "sixteen products and fifteen sums"),
    ("scaled_dot_product_attention", 6, "score", "scale, and the five of a softmax"),
    ("scaled_dot_product_attention_bias", 1, "score", "the sum with an additive attention mask"),
    # the backward
    ("sigmoid_backward", 3, "output", "difference, two products"),
    ("tanh_backward", 3, "output", "difference, two products"),
    ("threshold_backward", 1, "output", "one comparison"),
    ("silu_backward", 9, "output", "sign, exp, two sums, reciprocal, difference, three products"),
    ("gelu_backward", 11, "output", "erf, exp, seven products, two sums"),
    ("_softmax_backward_data", 4, "output", "product, sum, difference, product"),
    ("native_layer_norm_backward", 13, "input", "six products, four sums, three differences"),
    ("upsample_linear1d_backward", 4, "input", "two products, two sums"),
    ("_upsample_bicubic2d_aa_backward", 32, "input", "sixteen products, sixteen sums"),
    ("embedding_dense_backward", 1, "input", "one sum into the row that was taken"),
    ("index_put", 1, "values", "one sum into the row that was taken"),
    ("convolution_backward_bias", 1, "input", "one sum for the gradient of the bias"),
    ("scaled_dot_product_attention_backward", 5, "score", "scale, and the four of a softmax's backward"),
)

VECTOR_FLOPS: dict[str, OperatorWeight] = {
    name: OperatorWeight(flops=flops, basis=basis, reason=reason) for name, flops, basis, reason in _ROWS
}

MATRIX_OPERATORS: frozenset[str] = frozenset({"mm", "addmm", "bmm", "baddbmm", "convolution", "convolution_backward"})
"""ATen operators that ``tensor_core_flops`` counts; the bias that ``addmm`` adds is not counted anywhere."""

PRODUCTS_OF_BATCHES: frozenset[str] = frozenset({"bmm", "baddbmm"})
"""Those of two stacks of matrices."""

VIEW_OPERATORS: frozenset[str] = frozenset(
    {
        "view", "_unsafe_view", "permute", "transpose", "t", "unsqueeze", "squeeze", "expand", "slice", "select",
        "split", "split_with_sizes", "unbind", "detach", "detach_", "alias", "as_strided", "_reshape_alias",
        "lift_fresh", "unfold", "view_as_complex", "view_as_real",
    }
)  # fmt: skip
"""ATen operators that only give memory another shape: they cost nothing."""

FRESH_MEMORY: frozenset[str] = frozenset(
    {
        "empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided", "zeros", "new_zeros", "zeros_like",
        "ones", "new_ones", "ones_like", "arange", "full", "new_full", "full_like", "fill_", "zero_", "scalar_tensor",
    }
)  # fmt: skip
"""ATen operators that reserve memory, and fill it with a constant at most: they cost nothing, but what they return is
alive."""

MOVING_OPERATORS: frozenset[str] = frozenset(
    {
        # copies, and casts from one type to another
        "clone", "_to_copy", "copy_", "cat", "stack", "constant_pad_nd", "slice_backward", "select_backward",
        "repeat", "repeat_interleave",
        # rows that indices choose
        "embedding", "index", "index_put_", "gather", "scatter", "scatter_",
        # rows, columns and elements that a condition chooses
        "where", "masked_fill", "masked_fill_", "triu", "tril", "index_select", "index_copy_", "flip", "roll",
        # integer bookkeeping of the router: positions and counts, not floating-point work
        "sort", "floor_divide",
        # integer bookkeeping of masks
        "bitwise_and", "bitwise_or", "bitwise_not", "logical_and", "logical_or", "logical_not", "any", "all",
        "remainder", "nonzero", "_assert_async", "_local_scalar_dense", "unique_consecutive", "prod",
    }
)  # fmt: skip
"""ATen operators that move bytes without floating-point arithmetic. What is in none of the lists is an error."""

ATTENTION = "scaled_dot_product_attention"
"""The one operator that is not taken apart: its kernels never store the scores."""

ATTENTION_REST = "scaled_dot_product_attention_rest"
"""What the fused operator reads and a kernel that knows positions and shared heads does not: masks, copied keys. It is
no operator of its own, but a part of the one before it."""

EAGER_ATTENTION = "eager_attention"
"""What one kernel would move of an attention that code spells out by other operators, and all FLOPs of these."""

EAGER_ATTENTION_REST = "eager_attention_rest"
"""What those operators move beside that: scores, masks of positions, and copies of keys and values."""

LOOK_UPS: frozenset[str] = frozenset({"embedding", "index", "gather"})
"""ATen operators that take rows out of a table."""

ROW_UPDATES: frozenset[str] = frozenset({"index_add_", "index_copy_"})
"""ATen operators that change rows of a table which indices choose: they read and write these rows alone."""

UNFUSED_OPERATORS: frozenset[str] = MATRIX_OPERATORS | LOOK_UPS | {ATTENTION, EAGER_ATTENTION}
"""Operators whose traffic stays where a compiler or an engine fuses all others into their neighbours."""

MAKES_COMPLEX: frozenset[str] = frozenset({"polar"})
"""ATen operators whose output is complex whatever they are given."""

OVERWRITING: frozenset[str] = frozenset({"copy_", "fill_", "zero_"})
"""ATen operators that write their first tensor without reading it."""


def find_weight(operator: str) -> OperatorWeight | None:
    """Return what one element of an operator costs; that of ``mul_``, which works in place, is that of ``mul``."""
    if operator in MOVING_OPERATORS:
        return None
    return VECTOR_FLOPS.get(operator) or VECTOR_FLOPS.get(operator.removesuffix("_"))


def find_complex_weight(operator: str) -> OperatorWeight | None:
    """Return what one element of an operator costs that reads or writes complex numbers; None where it has no price.

    A real number among the factors of a complex product is made complex by the kernel, and costs as much.
    """
    name = operator.removesuffix("_")
    return VECTOR_FLOPS.get(name if name in MAKES_COMPLEX else f"{name}_complex")


def vector_flops(operator: str, elements: Size) -> Size:
    """Return the FLOPs of ``operator`` over ``elements`` elements of its basis.

    Raises
    ------
    FormulaError
        If the table does not have the operator.
    """
    weight = find_weight(operator)
    if weight is None:
        raise FormulaError(
            "the table has no weight for this operator",
            found=operator,
            remedy="add it to modelmeter.metrics.operator_table",
        )
    return weight.flops * elements
