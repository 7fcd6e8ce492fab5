"""SAM's MLP (vendor module ``deepencoder.MLPBlock``)."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen

from modelmeter.dimensions.functions import Size
from modelmeter.layers.activation import GELU
from modelmeter.layers.base import BaseLayer, Shape, token_shape
from modelmeter.layers.child import Child, once
from modelmeter.layers.linear import Linear
from modelmeter.layers.tape import Buffer, Tape


@frozen(kw_only=True, slots=False)
class MLPBlock(BaseLayer):
    """``lin2(gelu(lin1(x)))`` on (*leading_shape, hidden_size)."""

    leading_shape: Shape = field(metadata={"canonical": token_shape})
    hidden_size: Size
    intermediate_size: Size

    @property
    def output_shape(self) -> Shape:
        return (*self.leading_shape, self.hidden_size)

    def build_children(self) -> Mapping[str, Child]:
        wide = (*self.leading_shape, self.intermediate_size)
        return {
            "lin1": once(
                Linear(
                    leading_shape=self.leading_shape, in_features=self.hidden_size, out_features=self.intermediate_size
                )
            ),
            "lin2": once(
                Linear(
                    leading_shape=self.leading_shape, in_features=self.intermediate_size, out_features=self.hidden_size
                )
            ),
            "act": once(GELU(shape=wide)),
        }

    def replay(self, tape: Tape, *inputs: Buffer) -> tuple[Buffer, ...]:
        return tape.call_in_turn(self, ("lin1", "act", "lin2"), *inputs)
