"""``Listener``."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

from modelmeter.dimensions.functions import Size, floor_div
from modelmeter.layers.activation import GELU
from modelmeter.layers.base import BaseLayer, Shape
from modelmeter.layers.child import Child, once
from modelmeter.layers.layer_norm import LayerNorm
from modelmeter.layers.linear import Linear
from modelmeter.layers.tape import Buffer, Tape


@frozen(kw_only=True, slots=False)
class Listener(BaseLayer):
    """Stacks frames and projects them: (batch_size, num_frames, num_mel_bins) to positions of hidden_size."""

    batch_size: Size
    num_frames: Size
    num_mel_bins: Size
    stack_size: Size
    hidden_size: Size

    @property
    def output_shape(self) -> Shape:
        return (self.batch_size, floor_div(self.num_frames, self.stack_size), self.hidden_size)

    def build_children(self) -> Mapping[str, Child]:
        rows = self.output_shape[:-1]
        stacked = self.num_mel_bins * self.stack_size
        return {
            "project": once(Linear(leading_shape=rows, in_features=stacked, out_features=self.hidden_size)),
            "act": once(GELU(shape=self.output_shape)),
            "norm": once(LayerNorm(leading_shape=rows, hidden_size=self.hidden_size)),
        }

    def replay(self, tape: Tape, *inputs: Buffer) -> tuple[Buffer, ...]:
        return tape.call_in_turn(self, self.children, *inputs)
