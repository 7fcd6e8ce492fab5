"""CLIP's attention (vendor module ``deepencoder.NoTPAttention``)."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

from modelmeter.dimensions.functions import Size
from modelmeter.layers.base import BaseLayer, Shape
from modelmeter.layers.child import Child, once
from modelmeter.layers.linear import Linear
from modelmeter.layers.operators import attend
from modelmeter.layers.tape import Buffer, Tape
from modelmeter.metrics.cost import Operator


@frozen(kw_only=True, slots=False)
class NoTPAttention(BaseLayer):
    """Attention of all positions of a view with all others; (num_views, num_queries, hidden_size)."""

    num_views: Size
    num_queries: Size
    hidden_size: Size
    num_heads: Size

    @property
    def output_shape(self) -> Shape:
        return (self.num_views, self.num_queries, self.hidden_size)

    def build_children(self) -> Mapping[str, Child]:
        leading_shape = (self.num_views, self.num_queries)
        return {
            "qkv_proj": once(
                Linear(leading_shape=leading_shape, in_features=self.hidden_size, out_features=3 * self.hidden_size)
            ),
            "out_proj": once(
                Linear(leading_shape=leading_shape, in_features=self.hidden_size, out_features=self.hidden_size)
            ),
        }

    def operators(self) -> tuple[Operator, ...]:
        return (
            attend(
                sequences=self.num_views,
                queries=self.num_queries,
                keys=self.num_queries,
                num_heads=self.num_heads,
                query_width=self.hidden_size,
                key_width=self.hidden_size,
            ),
        )

    def replay(self, tape: Tape, *inputs: Buffer) -> tuple[Buffer, ...]:
        (attend,) = self.own_operators
        qkv = tape.call(self, "qkv_proj", *inputs)
        output = tape.call(self, "out_proj", tape.run(attend, qkv))
        tape.keep(qkv)
        return (output,)
