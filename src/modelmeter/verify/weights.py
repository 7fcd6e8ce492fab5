"""The vector arithmetic of operators that ran, by the published table."""

from __future__ import annotations

from math import prod

from torch import Tensor

from modelmeter.metrics.operator_table import (
    MATRIX_OPERATORS,
    MOVING_OPERATORS,
    VECTOR_FLOPS,
    find_complex_weight,
    find_weight,
)
from modelmeter.support.errors import UnpricedOperatorError
from modelmeter.verify.dispatch import Dispatched


def weigh(operator: Dispatched) -> int:
    """Return the vector arithmetic of an operator by the published table; work on integers only is none.

    Raises
    ------
    UnpricedOperatorError
        If it computes with complex numbers, and the table has no price for that.
    """
    inputs, outputs = operator.inputs, operator.outputs
    if any(tensor.is_complex() for tensor in (*inputs, *outputs)) and operator.name not in MOVING_OPERATORS:
        return _weigh_complex(operator)
    if operator.name == "convolution_backward" and outputs[-1].dim() == 1:  # the gradient of a bias
        return VECTOR_FLOPS["convolution_backward_bias"].flops * inputs[0].numel()
    weight = find_weight(operator.name)
    if weight is None or not operator.has_floats:
        return 0
    match weight.basis:
        case "input":
            return weight.flops * inputs[0].numel()
        case "output":
            return weight.flops * outputs[0].numel()
        case "values":
            return weight.flops * inputs[-1].numel()
        case "score":
            query, key, _, *mask = inputs
            bias = VECTOR_FLOPS[f"{operator.name}_bias"].flops if mask else 0
            return (weight.flops + bias) * count_scores(query, key)


def _weigh_complex(operator: Dispatched) -> int:
    weight = find_complex_weight(operator.name)
    if weight is None:
        raise UnpricedOperatorError(
            "an operator on complex numbers has no price", path=operator.path, operator=operator.name
        )
    return weight.flops * operator.outputs[0].numel()


def count_scores(query: Tensor, key: Tensor) -> int:
    """Return the number of pairs of a query and a key, over all heads."""
    return prod(query.shape[:-1]) * key.shape[-2]


assert not MATRIX_OPERATORS & VECTOR_FLOPS.keys()  # or what weigh adds would be counted twice
