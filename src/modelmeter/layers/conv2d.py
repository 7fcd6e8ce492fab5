"""``torch.nn.Conv2d``."""

from __future__ import annotations

from attrs import field, frozen

from modelmeter.dimensions.functions import Size, ceil_div, floor_div
from modelmeter.layers.base import BaseLayer, Shape
from modelmeter.metrics.cost import Elements, Operator
from modelmeter.metrics.operator_table import vector_flops


def convolved_size(size: Size, *, kernel_size: Size, stride: Size, padding: Size) -> Size:
    """Return the output side of a convolution: ``floor((size + 2 padding - kernel_size) / stride) + 1``.

    The two cases that the vision towers use are written shorter, so that formulas stay readable.
    """
    if kernel_size == stride and padding == 0:  # patches
        return floor_div(size, stride)
    if kernel_size == 2 * padding + 1:  # "same" padding
        return ceil_div(size, stride)
    return floor_div(size + 2 * padding - kernel_size + stride, stride)


@frozen(kw_only=True, slots=False)
class Conv2d(BaseLayer):
    """Two-dimensional convolution with a square kernel (``torch.nn.functional.conv2d``).

    Input (batch_size, in_channels, height, width); output (batch_size, out_channels, h', w'). The
    bias is added inside the matrix operator and costs no FLOPs.
    """

    batch_size: Size
    in_channels: Size
    out_channels: Size
    height: Size
    width: Size
    kernel_size: Size
    stride: Size
    padding: Size
    bias: bool = True
    # Data, unlike features, wants no gradient.
    input_is_data: bool = field(default=False, metadata={"is_backward_only": True})

    def _convolve(self, size: Size) -> Size:
        return convolved_size(size, kernel_size=self.kernel_size, stride=self.stride, padding=self.padding)

    @property
    def output_shape(self) -> Shape:
        return (self.batch_size, self.out_channels, self._convolve(self.height), self._convolve(self.width))

    @property
    def own_parameters(self) -> Size:
        kernel = self.in_channels * self.out_channels * self.kernel_size**2
        return kernel + (self.out_channels if self.bias else 0)

    def operators(self) -> tuple[Operator, ...]:
        positions = self.batch_size * self._convolve(self.height) * self._convolve(self.width)
        product = 2 * positions * self.in_channels * self.out_channels * self.kernel_size**2
        output = positions * self.out_channels
        return (
            Operator(
                name="convolution",
                tensor_core_flops=product,
                reads=Elements(
                    activation=self.batch_size * self.in_channels * self.height * self.width,
                    weight=self.own_parameters,
                ),
                writes=Elements(activation=output),
                backward_tensor_core_flops=product if self.input_is_data else 2 * product,
                backward_cuda_core_flops=vector_flops("convolution_backward_bias", output) if self.bias else 0,
                gradients=Elements(weight=self.own_parameters) if self.input_is_data else None,
            ),
        )
