"""The decoder's norm (vendor module ``modeling_deepseekv2.DeepseekV2RMSNorm``)."""

from __future__ import annotations

from attrs import field, frozen

from modelmeter.dimensions.functions import Size
from modelmeter.layers.base import BaseLayer, Shape, multiply, token_shape
from modelmeter.layers.operators import apply_pointwise, narrow, widen
from modelmeter.layers.tape import Buffer, Tape
from modelmeter.metrics.cost import Elements, Operator
from modelmeter.metrics.operator_table import vector_flops


@frozen(kw_only=True, slots=False)
class DeepseekV2RMSNorm(BaseLayer):
    """Root-mean-square norm (arXiv:1910.07467) over the last dimension of (*leading_shape, hidden_size), in float32."""

    leading_shape: Shape = field(metadata={"canonical": token_shape})
    hidden_size: Size

    @property
    def output_shape(self) -> Shape:
        return (*self.leading_shape, self.hidden_size)

    @property
    def own_parameters(self) -> Size:
        return self.hidden_size

    def operators(self) -> tuple[Operator, ...]:
        rows, elements = multiply(self.leading_shape), multiply(self.output_shape)
        wide, wide_rows = Elements(float32=elements), Elements(float32=rows)
        # weight * (x * rsqrt(mean(x^2) + eps)), all but the last product in float32. Of each product the backward has
        # a product for either side, and a sum for the one that is broadcast.
        product = vector_flops("mul", 2 * elements) + vector_flops("sum", elements)
        return (
            widen(elements),
            apply_pointwise(
                "pow",
                elements,
                reads=wide,
                writes=wide,
                backward_cuda_core_flops=vector_flops("pow", elements) + vector_flops("mul", 2 * elements),
            ),
            Operator(
                name="mean",
                cuda_core_flops=vector_flops("mean", elements),
                reads=wide,
                writes=wide_rows,
                backward_cuda_core_flops=vector_flops("div", elements),
            ),
            apply_pointwise("add", rows, reads=wide_rows, writes=wide_rows),
            apply_pointwise(
                "rsqrt",
                rows,
                reads=wide_rows,
                writes=wide_rows,
                backward_cuda_core_flops=vector_flops("pow", rows) + vector_flops("mul", 2 * rows),
            ),
            apply_pointwise("mul", elements, reads=wide + wide_rows, writes=wide, backward_cuda_core_flops=product),
            narrow(elements),
            apply_pointwise(
                "mul",
                elements,
                reads=Elements(activation=elements, weight=self.hidden_size),
                backward_cuda_core_flops=product,
            ),
        )

    @property
    def own_accumulated(self) -> Elements:
        # What is normed goes into the mean square, and is scaled.
        return Elements(float32=multiply(self.output_shape))

    def replay(self, tape: Tape, *inputs: Buffer) -> tuple[Buffer, ...]:
        (hidden_states,) = inputs
        to_float32, square, mean, add, root, scale, to_activations, weigh = self.own_operators
        wide = tape.cast(to_float32, hidden_states)
        variance = tape.run(mean, tape.run(square, wide))
        scaled = tape.run(scale, wide, tape.run(root, tape.run(add, variance)))
        output = tape.run(weigh, tape.cast(to_activations, scaled))
        tape.keep(variance, scaled)
        return (output,)
