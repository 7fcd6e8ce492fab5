"""CLIP's block (vendor module ``deepencoder.NoTPTransformerBlock``)."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

from modelmeter.dimensions.functions import Size
from modelmeter.layers.base import Shape
from modelmeter.layers.child import Child, once
from modelmeter.layers.layer_norm import LayerNorm
from modelmeter.layers.residual import ResidualBlock
from modelmeter.layers.tape import Buffer, Tape
from modelmeter.models.deepseek_ocr.layers.vision.notp_attention import NoTPAttention
from modelmeter.models.deepseek_ocr.layers.vision.notp_feedforward import NoTPFeedForward


@frozen(kw_only=True, slots=False)
class NoTPTransformerBlock(ResidualBlock):
    """Attention and MLP, each behind a norm and with a residual add; (num_views, num_queries, hidden_size)."""

    branches = (("layer_norm1", "self_attn"), ("layer_norm2", "mlp"))

    num_views: Size
    num_queries: Size
    hidden_size: Size
    num_heads: Size
    intermediate_size: Size

    @property
    def output_shape(self) -> Shape:
        return (self.num_views, self.num_queries, self.hidden_size)

    def build_children(self) -> Mapping[str, Child]:
        leading_shape = (self.num_views, self.num_queries)
        norm = LayerNorm(leading_shape=leading_shape, hidden_size=self.hidden_size)
        return {
            "self_attn": once(
                NoTPAttention(
                    num_views=self.num_views,
                    num_queries=self.num_queries,
                    hidden_size=self.hidden_size,
                    num_heads=self.num_heads,
                )
            ),
            "mlp": once(
                NoTPFeedForward(
                    leading_shape=leading_shape,
                    hidden_size=self.hidden_size,
                    intermediate_size=self.intermediate_size,
                )
            ),
            "layer_norm1": once(norm),
            "layer_norm2": once(norm),
        }

    def replay(self, tape: Tape, *inputs: Buffer) -> tuple[Buffer, ...]:
        (hidden_states,) = inputs
        add_attention, add_mlp = self.own_operators
        attended = tape.call(self, "self_attn", tape.call(self, "layer_norm1", hidden_states))
        residual = tape.run(add_attention, hidden_states, attended)
        output = tape.run(add_mlp, residual, tape.call(self, "mlp", tape.call(self, "layer_norm2", residual)))
        tape.keep(attended)
        return (output,)
