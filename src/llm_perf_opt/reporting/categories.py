"""The category of every operator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from attrs import evolve

from llm_perf_opt.data import OPERATOR_CATEGORIES, OperatorCategory
from llm_perf_opt.data.target_operators import OTHER, category_of

_MODULE_OPERATORS: Final[Mapping[str, tuple[str, ...]]] = {
    "linear": ("addmm", "baddbmm", "bmm", "mm"),
    "convolution": ("convolution",),
    "attention": (
        "eager_attention", "eager_attention_rest", "scaled_dot_product_attention", "scaled_dot_product_attention_rest",
    ),
    "normalization": ("native_layer_norm",),
    "activation": ("_softmax", "gelu", "relu", "sigmoid", "silu", "softplus", "tanh"),
    "embedding": ("embedding",),
    "moe_routing": ("sort", "topk"),
}  # fmt: skip
"""ATen operators that do what a whole module of a category does."""

_FUNCTIONS: Final = (
    OperatorCategory(
        category_id="elementwise",
        display_name="Elementwise",
        description="Functions of single elements, sums, means and resizing, in modules of no kind of their own.",
        match_classes=(
            "_upsample_bicubic2d_aa", "abs", "add", "amax", "argmax", "avg_pool2d", "bucketize", "clamp",
            "clamp_max", "clamp_min", "cos", "cumsum", "div", "eq", "exp", "expm1", "floor", "floor_divide", "ge",
            "gt", "index_add", "le", "linalg_vector_norm", "log", "log1p", "logsumexp", "lt", "max", "maximum",
            "mean", "minimum", "mul", "ne", "neg", "polar", "pow", "prod", "reciprocal", "remainder", "round",
            "rsqrt", "rsub", "sin", "sqrt", "sub", "sum", "upsample_bilinear2d", "upsample_linear1d",
        ),
    ),
    OperatorCategory(
        category_id="data_movement",
        display_name="Data movement",
        description="Copies, casts, masks, and rows that indices choose, in modules of no kind of their own.",
        match_classes=(
            "_assert_async", "_local_scalar_dense", "_to_copy", "all", "any", "bitwise_and", "bitwise_not",
            "bitwise_or", "cat", "clone", "constant_pad_nd", "copy_", "flip", "gather", "index", "index_copy",
            "index_put", "index_select", "logical_and", "logical_not", "logical_or", "masked_fill", "nonzero",
            "repeat", "repeat_interleave", "roll", "scatter", "stack", "tril", "triu", "unique_consecutive", "where",
        ),
    ),
)  # fmt: skip

REPORT_CATEGORIES: tuple[OperatorCategory, ...] = (
    *(
        evolve(category, match_classes=(*category.match_classes, *_MODULE_OPERATORS.get(category.category_id, ())))
        for category in OPERATOR_CATEGORIES
    ),
    *_FUNCTIONS,
)
"""The categories of module classes and of ATen operators."""

_WHOLE: Final = frozenset({"linear", "convolution", "normalization", "activation", "embedding", "positional_encoding"})
"""The categories of modules whose every operator is a part of the one thing that they do, such as a cast in a norm."""

_PART: Final = frozenset({"attention", "moe_routing"})
"""Those of modules that compute other things beside it, of which these operators have categories of their own."""

_FUNCTION_CATEGORIES: Final = frozenset(category.category_id for category in _FUNCTIONS)

_ENDINGS: Final[Mapping[str, str]] = {
    "RMSNorm": "normalization",
    "LayerNorm": "normalization",
    "RotaryEmbedding": "positional_encoding",
    "Attention": "attention",
    "Router": "moe_routing",
    "Experts": "moe_routing",
    "SparseMoeBlock": "moe_routing",
    "MoE": "moe_routing",
}
"""How the names of classes end that do one thing in every model of transformers, whose name is before it."""

_CATEGORY_OF_OPERATOR: Final[Mapping[str, str]] = {
    **{name: category.category_id for category in _FUNCTIONS for name in category.match_classes},
    **{name: category_id for category_id, names in _MODULE_OPERATORS.items() for name in names},
}


def categorize(operator: str, class_name: str) -> str:
    """Return the category of an operator that a module of this class runs.

    Parameters
    ----------
    operator
        Its ATen name; what works in place is as what does not.
    class_name
        The class of the module, without its package.
    """
    of_class = _find_category(class_name)
    if of_class in _WHOLE:
        return of_class
    category = _CATEGORY_OF_OPERATOR.get(operator) or _CATEGORY_OF_OPERATOR.get(operator.removesuffix("_"), OTHER)
    if category in _FUNCTION_CATEGORIES:
        return category
    return of_class if of_class in _PART or category == OTHER else category


def _find_category(class_name: str) -> str:
    """Return the category of a class by its whole name, else by how that ends."""
    known = category_of(class_name)
    if known != OTHER:
        return known
    return next((category for ending, category in _ENDINGS.items() if class_name.endswith(ending)), OTHER)
