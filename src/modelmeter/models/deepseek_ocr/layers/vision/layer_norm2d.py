"""Layer norm over channels (vendor module ``deepencoder.LayerNorm2d``)."""

from __future__ import annotations

from attrs import frozen

from modelmeter.cost import Elements, Operator
from modelmeter.functions import Size
from modelmeter.layers.base import BaseLayer, Shape
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
        return (
            Operator(
                name="LayerNorm2d",
                cuda_core_flops=flops,
                reads=Elements(activation=elements, weight=self.own_parameters),
                writes=Elements(activation=elements),
            ),
        )
