"""The model and its LM head (vendor module ``modeling_deepseekocr.DeepseekOCRForCausalLM``)."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

from modelmeter.layers.base import BaseLayer, Shape
from modelmeter.layers.child import Child, once
from modelmeter.layers.tape import Buffer, Tape


@frozen(kw_only=True, slots=False)
class DeepseekOCRForCausalLM(BaseLayer):
    """The model and its LM head: logits (batch_size, logits_tokens, vocab_size)."""

    model: BaseLayer
    lm_head: BaseLayer

    @property
    def output_shape(self) -> Shape:
        return self.lm_head.output_shape

    def build_children(self) -> Mapping[str, Child]:
        return {"model": once(self.model), "lm_head": once(self.lm_head)}

    def replay(self, tape: Tape, *inputs: Buffer) -> tuple[Buffer, ...]:
        return tape.call_in_turn(self, ("model", "lm_head"), *inputs)
