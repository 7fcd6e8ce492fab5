"""``torch.nn.LayerNorm``."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from sympy import expand
from torch import nn

from modelmeter.layers.layer_norm import LayerNorm
from modelmeter.symbols import symbol

n, c = symbol("num_tokens"), symbol("hidden_size")
w, a = symbol("weight_bits"), symbol("activation_bits")


def test_the_formulas_are_the_products_written_by_hand() -> None:
    cost = LayerNorm.canonical().cost
    assert cost.tensor_core_flops == 0
    # mean, difference, square, variance, scale, weight, bias
    assert cost.cuda_core_flops == 7 * n * c
    assert expand(cost.io_bytes - (2 * n * c * a + 2 * c * w) / 8) == 0
    assert expand(cost.weight_bytes - 2 * c * w / 8) == 0
    assert expand(cost.activation_bytes - n * c * a / 8) == 0


@pytest.mark.parametrize(("shape", "hidden_size"), [((2, 3), 5), ((7,), 11)])
def test_it_counts_what_torch_does(check_layer: Callable[..., None], shape: tuple[int, ...], hidden_size: int) -> None:
    norm = nn.LayerNorm(hidden_size, device="meta")
    rows = torch.empty(*shape, hidden_size, device="meta")
    check_layer(LayerNorm(leading_shape=shape, hidden_size=c), {"hidden_size": hidden_size}, norm, lambda: norm(rows))


@pytest.mark.parametrize(("shape", "hidden_size"), [((2, 3), 5), ((7,), 11)])
def test_its_backward_is_what_autograd_does(
    check_training: Callable[..., None], shape: tuple[int, ...], hidden_size: int
) -> None:
    norm = nn.LayerNorm(hidden_size, device="meta")
    rows = torch.empty(*shape, hidden_size, device="meta", requires_grad=True)
    layer = LayerNorm(leading_shape=shape, hidden_size=c)
    check_training(layer, {"hidden_size": hidden_size}, norm, lambda: norm(rows))
