"""CLIP's stack of blocks (vendor module ``deepencoder.NoTPTransformer``)."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

from modelmeter.dimensions.functions import Size
from modelmeter.layers.base import BaseLayer, Shape
from modelmeter.layers.child import Child, once, repeat
from modelmeter.layers.container import ModuleList
from modelmeter.layers.tape import Buffer, Tape
from modelmeter.models.deepseek_ocr.layers.vision.notp_transformer_block import NoTPTransformerBlock


@frozen(kw_only=True, slots=False)
class NoTPTransformer(BaseLayer):
    """``num_layers`` blocks in turn; (num_views, num_queries, hidden_size)."""

    num_views: Size
    num_queries: Size
    num_layers: Size
    hidden_size: Size
    num_heads: Size
    intermediate_size: Size

    @property
    def output_shape(self) -> Shape:
        return (self.num_views, self.num_queries, self.hidden_size)

    def build_children(self) -> Mapping[str, Child]:
        block = NoTPTransformerBlock(
            num_views=self.num_views,
            num_queries=self.num_queries,
            hidden_size=self.hidden_size,
            num_heads=self.num_heads,
            intermediate_size=self.intermediate_size,
        )
        return {"layers": once(ModuleList(groups=(repeat(block, self.num_layers),)))}

    def replay(self, tape: Tape, *inputs: Buffer) -> tuple[Buffer, ...]:
        return tape.call_in_turn(self, ("layers",), *inputs)
