"""``torch.nn.Conv2d``."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from sympy import expand
from torch import nn

from modelmeter.dimensions.functions import CeilDiv, FloorDiv
from modelmeter.layers.conv2d import Conv2d, convolved_size
from modelmeter.models.deepseek_ocr.dimensions import symbol

NAMES = ("batch_size", "in_channels", "out_channels", "height", "width", "kernel_size", "stride", "padding")
b, c, d, h, w, k, s, p = (symbol(name) for name in NAMES)
bits, weight_bits = symbol("activation_bits"), symbol("weight_bits")


def test_the_formulas_are_the_products_written_by_hand() -> None:
    cost = Conv2d.canonical().cost
    # The vendor's formula for a side, floor((x + 2 p - k) / s) + 1, as one quotient.
    rows, columns = FloorDiv(h + 2 * p - k + s, s), FloorDiv(w + 2 * p - k + s, s)
    weights = c * d * k**2 + d
    assert cost.tensor_core_flops == 2 * b * rows * columns * c * d * k**2
    assert cost.cuda_core_flops == 0
    moved = (b * c * h * w + b * d * rows * columns) * bits + weights * weight_bits
    assert expand(cost.io_bytes - moved / 8) == 0
    assert expand(cost.weight_bytes - weights * weight_bits / 8) == 0
    assert expand(cost.activation_bytes - b * d * rows * columns * bits / 8) == 0


def test_patches_and_same_padding_have_short_formulas() -> None:
    assert convolved_size(h, kernel_size=k, stride=k, padding=0) == FloorDiv(h, k)
    assert convolved_size(h, kernel_size=3, stride=2, padding=1) == CeilDiv(h, 2)
    assert convolved_size(h, kernel_size=1, stride=1, padding=0) == h


CASES = [
    # batch, in, out, height, width, kernel, stride, padding
    (2, 3, 5, 23, 31, 7, 7, 0),  # patches, with pixels left over
    (2, 3, 5, 27, 34, 7, 7, 1),  # patches of a padded image: 4 x 5, where the image itself has 3 x 4
    (3, 5, 7, 11, 13, 1, 1, 0),
    (2, 7, 3, 13, 17, 3, 1, 1),
    (1, 2, 3, 9, 14, 3, 2, 1),  # an odd and an even side
    (1, 2, 3, 19, 29, 5, 3, 1),  # neither patches nor "same"
    (2, 5, 3, 17, 27, 7, 3, 2),  # the same, and a padding that is not its own square
]


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_it_counts_what_torch_does(check_layer: Callable[..., None], case: tuple[int, ...], bias: bool) -> None:
    """With a symbol for each size, and with the kernel's own sizes as numbers, as the towers give them."""
    sizes = dict(zip(NAMES, case, strict=True))
    convolution = nn.Conv2d(
        sizes["in_channels"], sizes["out_channels"], sizes["kernel_size"], sizes["stride"], sizes["padding"],
        bias=bias, device="meta",
    )  # fmt: skip
    pixels = torch.empty(case[0], case[1], case[3], case[4], device="meta")
    outer = {name: symbol(name) for name in NAMES}
    for given in (outer, outer | {name: sizes[name] for name in ("kernel_size", "stride", "padding")}):
        check_layer(Conv2d(**given, bias=bias), sizes, convolution, lambda: convolution(pixels))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("is_data", [True, False])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_its_backward_is_what_autograd_does(
    check_training: Callable[..., None], case: tuple[int, ...], bias: bool, is_data: bool
) -> None:
    sizes = dict(zip(NAMES, case, strict=True))
    convolution = nn.Conv2d(
        sizes["in_channels"], sizes["out_channels"], sizes["kernel_size"], sizes["stride"], sizes["padding"],
        bias=bias, device="meta",
    )  # fmt: skip
    pixels = torch.empty(case[0], case[1], case[3], case[4], device="meta", requires_grad=not is_data)
    layer = Conv2d(**{name: symbol(name) for name in NAMES}, bias=bias, input_is_data=is_data)
    check_training(layer, sizes, convolution, lambda: convolution(pixels))
