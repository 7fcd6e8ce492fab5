"""Layer norm over channels (vendor module ``deepencoder.LayerNorm2d``)."""

from __future__ import annotations

from attrs import frozen

from modelmeter.dimensions.functions import Size
from modelmeter.layers.base import BaseLayer, Shape
from modelmeter.layers.operators import apply_pointwise, sum_over
from modelmeter.layers.tape import Buffer, Tape
from modelmeter.metrics.cost import Elements, Operator
from modelmeter.metrics.operator_table import vector_flops


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
        # Of what is broadcast over the channels, a position has one.
        full, narrow = Elements(activation=elements), Elements(activation=positions)
        over_channels = sum_over(elements, self.out_channels)
        product, sign = vector_flops("mul", elements), vector_flops("neg", elements)
        mean = Operator(
            name="mean",
            cuda_core_flops=vector_flops("mean", elements),
            reads=full,
            writes=narrow,
            backward_cuda_core_flops=vector_flops("div", elements),
        )
        centre = apply_pointwise("sub", elements, reads=full + narrow, backward_cuda_core_flops=sign + over_channels)
        # (x - mean) / sqrt(mean((x - mean)^2) + eps) * weight + bias
        return (
            mean,
            centre,
            apply_pointwise(
                "pow", elements, reads=full, backward_cuda_core_flops=vector_flops("pow", elements) + 2 * product
            ),
            mean,
            centre,
            apply_pointwise("add", positions, reads=narrow),
            apply_pointwise(
                "sqrt",
                positions,
                reads=narrow,
                backward_cuda_core_flops=vector_flops("mul", positions) + vector_flops("div", positions),
            ),
            apply_pointwise(
                "div",
                elements,
                reads=full + narrow,
                backward_cuda_core_flops=vector_flops("div", 3 * elements) + sign + product + over_channels,
            ),
            apply_pointwise(
                "mul",
                elements,
                reads=full + Elements(weight=self.out_channels),
                backward_cuda_core_flops=2 * product + vector_flops("sum", elements),
            ),
            apply_pointwise(
                "add",
                elements,
                reads=full + Elements(weight=self.out_channels),
                backward_cuda_core_flops=vector_flops("sum", elements),
            ),
        )

    @property
    def own_accumulated(self) -> Elements:
        # The features go into the mean, and it is taken away from them twice.
        positions = self.num_views * self.grid_size**2
        return Elements(activation=2 * positions * self.out_channels + positions)

    def replay(self, tape: Tape, *inputs: Buffer) -> tuple[Buffer, ...]:
        (features,) = inputs
        take_mean, centre, square, take_variance, centre_again, add, root, divide, scale, shift = self.own_operators
        mean = tape.run(take_mean, features)
        squares = tape.run(square, tape.run(centre, features, mean))
        variance = tape.run(take_variance, squares)
        centred = tape.run(centre_again, features, mean)
        normalised = tape.run(divide, centred, tape.run(root, tape.run(add, variance)))
        output = tape.run(shift, tape.run(scale, normalised))
        tape.keep(mean, variance, normalised)
        return (output,)
