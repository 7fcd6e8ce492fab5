"""``torch.nn.Linear``."""

from __future__ import annotations

from attrs import field, frozen

from modelmeter.dimensions.functions import Size
from modelmeter.layers.base import BaseLayer, Shape, multiply, token_shape
from modelmeter.metrics.cost import Elements, Operator
from modelmeter.metrics.operator_table import vector_flops


@frozen(kw_only=True, slots=False)
class Linear(BaseLayer):
    """``y = x W^T + b`` on the last dimension (``torch.nn.functional.linear``).

    ``x`` is (*leading_shape, in_features), ``y`` is (*leading_shape, out_features). The bias is added
    inside the matrix operator and costs no FLOPs.
    """

    leading_shape: Shape = field(metadata={"canonical": token_shape})
    in_features: Size
    out_features: Size
    bias: bool = True

    @property
    def output_shape(self) -> Shape:
        return (*self.leading_shape, self.out_features)

    @property
    def own_parameters(self) -> Size:
        return self.in_features * self.out_features + (self.out_features if self.bias else 0)

    def operators(self) -> tuple[Operator, ...]:
        rows = multiply(self.leading_shape)
        product = 2 * rows * self.in_features * self.out_features
        return (
            Operator(
                name="addmm" if self.bias else "mm",
                tensor_core_flops=product,
                reads=Elements(activation=rows * self.in_features, weight=self.own_parameters),
                writes=Elements(activation=rows * self.out_features),
                backward_tensor_core_flops=2 * product,
                # The gradient of the bias is a sum over the rows.
                backward_cuda_core_flops=vector_flops("sum", rows * self.out_features) if self.bias else 0,
            ),
        )
