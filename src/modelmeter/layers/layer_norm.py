"""``torch.nn.LayerNorm``."""

from __future__ import annotations

from attrs import field, frozen

from modelmeter.dimensions.functions import Size
from modelmeter.layers.base import BaseLayer, Shape, multiply, token_shape
from modelmeter.layers.tape import Buffer, Tape
from modelmeter.metrics.cost import Elements, Operator
from modelmeter.metrics.operator_table import vector_flops


@frozen(kw_only=True, slots=False)
class LayerNorm(BaseLayer):
    """Layer norm with weight and bias over the last dimension (``torch.nn.functional.layer_norm``).

    Input and output (*leading_shape, hidden_size).
    """

    leading_shape: Shape = field(metadata={"canonical": token_shape})
    hidden_size: Size

    @property
    def output_shape(self) -> Shape:
        return (*self.leading_shape, self.hidden_size)

    @property
    def own_parameters(self) -> Size:
        return 2 * self.hidden_size

    def operators(self) -> tuple[Operator, ...]:
        elements = multiply(self.output_shape)
        return (
            Operator(
                name="native_layer_norm",
                cuda_core_flops=vector_flops("native_layer_norm", elements),
                reads=Elements(activation=elements, weight=self.own_parameters),
                # The mean and the reciprocal deviation of each row are written, too, in float32.
                writes=Elements(activation=elements, float32=2 * multiply(self.leading_shape)),
                differentiated=Elements(activation=elements),
                backward_cuda_core_flops=vector_flops("native_layer_norm_backward", elements),
            ),
        )

    def replay(self, tape: Tape, *inputs: Buffer) -> tuple[Buffer, ...]:
        (norm,) = self.own_operators
        # Nothing holds the statistics once the operator has run.
        written = (Elements(activation=norm.writes.activation), Elements(float32=norm.writes.float32))
        output, _ = tape.run_all(norm, written, *inputs)
        return (output,)
