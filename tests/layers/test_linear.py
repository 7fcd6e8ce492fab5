"""``torch.nn.Linear``."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from attrs import evolve
from sympy import expand
from torch import nn

from modelmeter.layers.linear import Linear
from modelmeter.models.deepseek_ocr.dimensions import symbol

n, i, o = symbol("num_tokens"), symbol("in_features"), symbol("out_features")
w, a = symbol("weight_bits"), symbol("activation_bits")


def test_the_formulas_are_the_products_written_by_hand() -> None:
    cost = Linear.canonical().cost
    assert cost.tensor_core_flops == 2 * n * i * o
    assert cost.cuda_core_flops == 0, "the bias is added inside the matrix operator"
    assert expand(cost.io_bytes - (n * i * a + (i * o + o) * w + n * o * a) / 8) == 0
    assert expand(cost.weight_bytes - (i * o + o) * w / 8) == 0
    assert expand(cost.activation_bytes - n * o * a / 8) == 0
    assert cost.kv_cache_bytes == 0


def test_without_a_bias_there_is_one_parameter_less_for_each_output() -> None:
    with_bias = Linear.canonical()
    assert expand(with_bias.parameters - evolve(with_bias, bias=False).parameters) == o


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("shape", "in_features", "out_features"), [((2, 3, 5), 7, 11), ((13,), 3, 2), ((1, 1), 1, 1)])
def test_it_counts_what_torch_does(
    check_layer: Callable[..., None], shape: tuple[int, ...], in_features: int, out_features: int, bias: bool
) -> None:
    linear = nn.Linear(in_features, out_features, bias=bias, device="meta")
    rows = torch.empty(*shape, in_features, device="meta")
    layer = Linear(leading_shape=shape, in_features=i, out_features=o, bias=bias)
    check_layer(layer, {"in_features": in_features, "out_features": out_features}, linear, lambda: linear(rows))


@pytest.mark.parametrize("bias", [True, False])
def test_its_backward_is_what_autograd_does(check_training: Callable[..., None], bias: bool) -> None:
    linear = nn.Linear(7, 11, bias=bias, device="meta")
    rows = torch.empty(2, 3, 5, 7, device="meta", requires_grad=True)
    layer = Linear(leading_shape=(2, 3, 5), in_features=i, out_features=o, bias=bias)
    check_training(layer, {"in_features": 7, "out_features": 11}, linear, lambda: linear(rows))


def test_the_backward_is_a_product_for_the_input_and_one_for_the_weight() -> None:
    layer = Linear.canonical()
    assert layer.backward_tensor_core_flops() == 2 * (2 * n * i * o)
    assert layer.backward_cuda_core_flops() == n * o, "the gradient of the bias is a sum over the rows"
