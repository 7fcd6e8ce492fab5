"""Layer norm over channels (vendor module ``deepencoder.LayerNorm2d``)."""

from __future__ import annotations

from attrs import frozen

from modelmeter.cost import Elements, Operator
from modelmeter.functions import Size
from modelmeter.layers.base import BaseLayer, Shape
from modelmeter.layers.operators import sum_over
from modelmeter.operator_table import vector_flops


@frozen(kw_only=True, slots=False)
class LayerNorm2d(BaseLayer):
    """Layer norm over the channels of (num_views, out_channels, grid_size, grid_size)."""

    num_views: Size
    out_channels: Size
    grid_size: Size

    @property
    def output_shape(self) -> Shape:
        return (self.num_views, self.out_channels, self.grid_size, self.grid_size)

    @property
    def own_parameters(self) -> Size:
        return 2 * self.out_channels

    def operators(self) -> tuple[Operator, ...]:
        positions = self.num_views * self.grid_size**2
        elements = positions * self.out_channels
        # (x - mean) / sqrt(mean((x - mean)^2) + eps) * weight + bias; the vendor computes x - mean twice.
        over_elements = ("mean", "sub", "pow", "mean", "sub", "div", "mul", "add")
        over_positions = ("add", "sqrt")
        flops: Size = sum(vector_flops(name, elements) for name in over_elements)
        flops = flops + sum(vector_flops(name, positions) for name in over_positions)
        # The sum for the bias; two products and a sum for the scale; of a / b, three quotients, a sign and a
        # product; of sqrt(b), a product and a quotient; two signs for what is subtracted; two quotients for the
        # means; of x^2, a power and two products. x is used three times, the mean twice.
        back_elements = (
            "sum", "mul", "mul", "sum", "div", "div", "div", "neg", "mul", "neg", "neg", "div", "div", "pow", "mul",
            "mul", "add", "add",
        )  # fmt: skip
        back: Size = sum(vector_flops(name, elements) for name in back_elements)
        back = back + sum(vector_flops(name, positions) for name in ("mul", "div", "add"))
        return (
            Operator(
                name="LayerNorm2d",
                cuda_core_flops=flops,
                reads=Elements(activation=elements, weight=self.own_parameters),
                writes=Elements(activation=elements),
                # The root, and the mean that is subtracted twice, are broadcast over the channels.
                backward_cuda_core_flops=back + 3 * sum_over(elements, self.out_channels),
            ),
        )
