"""The linear projector (vendor module ``deepencoder.MlpProjector``)."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen

from modelmeter.dimensions.functions import Size
from modelmeter.layers.base import BaseLayer, Shape, token_shape
from modelmeter.layers.child import Child, once
from modelmeter.layers.linear import Linear
from modelmeter.layers.tape import Buffer, Tape


@frozen(kw_only=True, slots=False)
class MlpProjector(BaseLayer):
    """One linear layer from the towers' features to decoder channels; (*leading_shape, in_features)."""

    leading_shape: Shape = field(metadata={"canonical": token_shape})
    in_features: Size
    out_features: Size

    @property
    def output_shape(self) -> Shape:
        return (*self.leading_shape, self.out_features)

    def build_children(self) -> Mapping[str, Child]:
        return {
            "layers": once(
                Linear(leading_shape=self.leading_shape, in_features=self.in_features, out_features=self.out_features)
            )
        }

    def replay(self, tape: Tape, *inputs: Buffer) -> tuple[Buffer, ...]:
        return tape.call_in_turn(self, ("layers",), *inputs)
