"""``torch.nn.LayerNorm``."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from sympy import expand
from torch import nn

from modelmeter.layers.layer_norm import LayerNorm
from modelmeter.layers.tape import Buffer, Tape
from modelmeter.metrics.cost import Elements, Operator
from modelmeter.models.deepseek_ocr.dimensions import symbol

n, c = symbol("num_tokens"), symbol("hidden_size")
w, a = symbol("weight_bits"), symbol("activation_bits")


def test_the_formulas_are_the_products_written_by_hand() -> None:
    cost = LayerNorm.canonical().cost
    assert cost.tensor_core_flops == 0
    # mean, difference, square, variance, scale, weight, bias
    assert cost.cuda_core_flops == 7 * n * c
    # The mean and the reciprocal deviation of each row are written, too, in float32.
    assert expand(cost.io_bytes - (2 * n * c * a + 2 * c * w + 2 * n * 32) / 8) == 0
    assert expand(cost.weight_bytes - 2 * c * w / 8) == 0
    assert expand(cost.activation_bytes - (n * c * a + 2 * n * 32) / 8) == 0


def test_the_statistics_of_rows_have_no_gradient() -> None:
    """The backward reads what the forward read, and the gradient of what is normed; it writes two gradients."""
    moved = LayerNorm.canonical().backward_work
    assert moved.reads == Elements(activation=2 * n * c, weight=2 * c)
    assert moved.writes == Elements(activation=n * c, weight=2 * c)


def test_nothing_holds_the_statistics_once_the_norm_has_run() -> None:
    """7 rows of 5: 35 activations in and out, and 2 x 7 numbers; then the 35 that came out, and what reads them."""
    tape, given = Tape(), Buffer(Elements(activation=35))
    (normed,) = LayerNorm(leading_shape=(7,), hidden_size=5).replay(tape, given)
    # 100 numbers beside the 35: more than all the above, or this operator would be left out.
    tape.run(Operator(name="clone", writes=Elements(activation=100)), normed)
    assert [live.alive for live in tape.list_operators()] == [
        Elements(activation=70, float32=14), Elements(activation=135),
    ]  # fmt: skip


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
