"""The decoder's norm (vendor module ``modeling_deepseekv2.DeepseekV2RMSNorm``)."""

from __future__ import annotations

from attrs import field, frozen

from modelmeter.cost import Elements, Operator
from modelmeter.functions import Size
from modelmeter.layers.base import BaseLayer, Shape, multiply, token_shape
from modelmeter.operator_table import vector_flops


@frozen(kw_only=True, slots=False)
class DeepseekV2RMSNorm(BaseLayer):
    """Root-mean-square norm (arXiv:1910.07467) over the last dimension of (*leading_shape, hidden_size)."""

    leading_shape: Shape = field(metadata={"canonical": token_shape})
    hidden_size: Size

    @property
    def output_shape(self) -> Shape:
        return (*self.leading_shape, self.hidden_size)

    @property
    def own_parameters(self) -> Size:
        return self.hidden_size

    def operators(self) -> tuple[Operator, ...]:
        rows = multiply(self.leading_shape)
        elements = rows * self.hidden_size
        # weight * (x * rsqrt(mean(x^2) + eps))
        over_elements = ("pow", "mean", "mul", "mul")
        over_rows = ("add", "rsqrt")
        flops: Size = sum(vector_flops(name, elements) for name in over_elements)
        flops = flops + sum(vector_flops(name, rows) for name in over_rows)
        # Of each product a product for either side, and a sum for the one that is broadcast; of rsqrt(m), a power
        # and two products; of the mean, a quotient; of x^2, a power and two products; x is used twice.
        back_elements = ("mul", "mul", "sum", "mul", "mul", "sum", "div", "pow", "mul", "mul", "add")
        back_rows = ("pow", "mul", "mul")
        back: Size = sum(vector_flops(name, elements) for name in back_elements)
        back = back + sum(vector_flops(name, rows) for name in back_rows)
        return (
            Operator(
                name="DeepseekV2RMSNorm",
                cuda_core_flops=flops,
                reads=Elements(activation=elements, weight=self.hidden_size),
                writes=Elements(activation=elements),
                backward_cuda_core_flops=back,
            ),
        )
