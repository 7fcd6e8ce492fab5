"""The category of every operator."""

from __future__ import annotations

from llm_perf_opt.data import OPERATOR_CATEGORIES, OperatorCategory
from llm_perf_opt.data.target_operators import OTHER, category_of

_FUNCTIONS = (
    OperatorCategory(
        category_id="elementwise",
        display_name="Elementwise",
        description="Functions of single elements, sums and resizing that modules call between other modules.",
        match_classes=("add", "interpolate", "mul", "neg", "sigmoid", "sum"),
    ),
    OperatorCategory(
        category_id="data_movement",
        display_name="Data movement",
        description="Copies that modules make between other modules.",
        match_classes=("cat", "copy_", "index", "index_put", "pad"),
    ),
)

REPORT_CATEGORIES: tuple[OperatorCategory, ...] = (*OPERATOR_CATEGORIES, *_FUNCTIONS)
"""The categories of module classes, and those of the functions that modules call themselves."""

_CATEGORY_OF_FUNCTION = {name: category.category_id for category in _FUNCTIONS for name in category.match_classes}


def categorize(operator: str, class_name: str) -> str:
    """Return the category of an operator that a module of this class runs.

    A function of no category of its own, such as fused attention, counts where the module does.
    """
    if operator in _CATEGORY_OF_FUNCTION:
        return _CATEGORY_OF_FUNCTION[operator]
    category = category_of(operator)
    return category if category != OTHER else category_of(class_name)
