"""``torch.nn.GELU`` and ``torch.nn.SiLU``."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from sympy import expand
from torch import nn

from modelmeter.layers.activation import GELU, Activation, SiLU
from modelmeter.models.deepseek_ocr.dimensions import symbol

n, c, a = symbol("num_tokens"), symbol("hidden_size"), symbol("activation_bits")

# gelu: scale, erf, sum, two products; silu: sign, exp, sum, quotient
LAYERS = [(GELU, nn.GELU, 5), (SiLU, nn.SiLU, 4)]


@pytest.mark.parametrize(("layer", "module", "flops"), LAYERS)
def test_the_formulas_are_the_products_written_by_hand(
    layer: type[Activation], module: type[nn.Module], flops: int
) -> None:
    cost = layer.canonical().cost
    assert cost.cuda_core_flops == flops * n * c
    assert cost.tensor_core_flops == cost.weight_bytes == 0
    assert expand(cost.io_bytes - 2 * n * c * a / 8) == 0
    assert expand(cost.activation_bytes - n * c * a / 8) == 0


@pytest.mark.parametrize(("layer", "module", "flops"), LAYERS)
@pytest.mark.parametrize("shape", [(2, 3, 5, 7), (11, 13)])
def test_it_counts_what_torch_does(
    check_layer: Callable[..., None], layer: type[Activation], module: type[nn.Module], flops: int, shape: tuple[int]
) -> None:
    activation = module()
    features = torch.empty(shape, device="meta")
    check_layer(layer(shape=shape), {}, activation, lambda: activation(features))


def test_each_activation_has_an_evaluator_of_its_own() -> None:
    assert [layer.function_name() for layer, *_ in LAYERS] == ["gelu", "silu"]


@pytest.mark.parametrize(("layer", "module", "flops"), LAYERS)
def test_the_backward_is_what_autograd_does(
    check_training: Callable[..., None], layer: type[Activation], module: type[nn.Module], flops: int
) -> None:
    activation = module()
    features = torch.empty(2, 3, 5, 7, device="meta", requires_grad=True)
    check_training(layer(shape=(2, 3, 5, 7)), {}, activation, lambda: activation(features))
