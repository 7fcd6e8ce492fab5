"""The decoder's gated MLP (vendor module ``modeling_deepseekv2.DeepseekV2MLP``)."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen

from modelmeter.dimensions.functions import Size
from modelmeter.layers.activation import SiLU
from modelmeter.layers.base import BaseLayer, Shape, multiply, token_shape
from modelmeter.layers.child import Child, once
from modelmeter.layers.linear import Linear
from modelmeter.layers.operators import apply_pointwise
from modelmeter.layers.tape import Buffer, Tape
from modelmeter.metrics.cost import Elements, Operator
from modelmeter.metrics.operator_table import vector_flops


@frozen(kw_only=True, slots=False)
class DeepseekV2MLP(BaseLayer):
    """``down(silu(gate(x)) up(x))`` on (*leading_shape, hidden_size): a dense MLP, an expert, or the shared experts."""

    leading_shape: Shape = field(metadata={"canonical": token_shape})
    hidden_size: Size
    intermediate_size: Size

    @property
    def output_shape(self) -> Shape:
        return (*self.leading_shape, self.hidden_size)

    def build_children(self) -> Mapping[str, Child]:
        widen = Linear(
            leading_shape=self.leading_shape,
            in_features=self.hidden_size,
            out_features=self.intermediate_size,
            bias=False,
        )
        narrow = Linear(
            leading_shape=self.leading_shape,
            in_features=self.intermediate_size,
            out_features=self.hidden_size,
            bias=False,
        )
        activation = SiLU(shape=(*self.leading_shape, self.intermediate_size))
        return {
            "gate_proj": once(widen),
            "up_proj": once(widen),
            "down_proj": once(narrow),
            "act_fn": once(activation),
        }

    @property
    def own_accumulated(self) -> Elements:
        # The input goes through the gate and up.
        return Elements(activation=multiply(self.output_shape))

    def operators(self) -> tuple[Operator, ...]:
        elements = multiply(self.leading_shape) * self.intermediate_size
        return (
            apply_pointwise(
                "mul",
                elements,
                reads=Elements(activation=2 * elements),
                backward_cuda_core_flops=vector_flops("mul", 2 * elements),
            ),
        )

    def replay(self, tape: Tape, *inputs: Buffer) -> tuple[Buffer, ...]:
        (multiply_gate,) = self.own_operators
        gate = tape.call(self, "act_fn", tape.call(self, "gate_proj", *inputs))
        gated = tape.run(multiply_gate, gate, tape.call(self, "up_proj", *inputs))
        return (tape.call(self, "down_proj", gated),)
