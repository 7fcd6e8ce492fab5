"""CLIP's MLP (vendor module ``deepencoder.NoTPFeedForward``)."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import evolve, field, frozen

from modelmeter.dimensions.functions import Size
from modelmeter.layers.base import BaseLayer, Shape, multiply, token_shape
from modelmeter.layers.child import Child, once
from modelmeter.layers.linear import Linear
from modelmeter.layers.operators import apply_pointwise
from modelmeter.layers.tape import Buffer, Tape
from modelmeter.metrics.cost import Elements, Operator
from modelmeter.metrics.operator_table import vector_flops


@frozen(kw_only=True, slots=False)
class NoTPFeedForward(BaseLayer):
    """``fc2(h sigmoid(1.702 h))`` with ``h = fc1(x)``, on (*leading_shape, hidden_size)."""

    leading_shape: Shape = field(metadata={"canonical": token_shape})
    hidden_size: Size
    intermediate_size: Size

    @property
    def output_shape(self) -> Shape:
        return (*self.leading_shape, self.hidden_size)

    def build_children(self) -> Mapping[str, Child]:
        return {
            "fc1": once(
                Linear(
                    leading_shape=self.leading_shape, in_features=self.hidden_size, out_features=self.intermediate_size
                )
            ),
            "fc2": once(
                Linear(
                    leading_shape=self.leading_shape, in_features=self.intermediate_size, out_features=self.hidden_size
                )
            ),
        }

    @property
    def own_accumulated(self) -> Elements:
        # h is used twice.
        return Elements(activation=multiply(self.leading_shape) * self.intermediate_size)

    def operators(self) -> tuple[Operator, ...]:
        elements = multiply(self.leading_shape) * self.intermediate_size
        one, two = Elements(activation=elements), Elements(activation=2 * elements)
        product = vector_flops("mul", elements)
        slope = vector_flops("sigmoid_backward", elements)
        return (
            # The factor is a constant, so the gradient does not depend on h.
            evolve(apply_pointwise("mul", elements, reads=one, backward_cuda_core_flops=product), is_linear=True),
            apply_pointwise("sigmoid", elements, reads=one, backward_cuda_core_flops=slope),
            apply_pointwise("mul", elements, reads=two, backward_cuda_core_flops=2 * product),
        )

    def replay(self, tape: Tape, *inputs: Buffer) -> tuple[Buffer, ...]:
        scale, squash, gate = self.own_operators
        wide = tape.call(self, "fc1", *inputs)
        gated = tape.run(gate, wide, tape.run(squash, tape.run(scale, wide)))
        return (tape.call(self, "fc2", gated),)
