"""The model and its LM head (vendor module ``modeling_deepseekocr.DeepseekOCRForCausalLM``)."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

from modelmeter.dimensions.functions import Size, differs, equals
from modelmeter.layers.base import BaseLayer, Shape, multiply
from modelmeter.layers.child import Child, once
from modelmeter.layers.operators import copy, widen
from modelmeter.layers.tape import Buffer, Tape
from modelmeter.metrics.cost import Operator


@frozen(kw_only=True, slots=False)
class DeepseekOCRForCausalLM(BaseLayer):
    """The model and its LM head: logits (batch_size, logits_tokens, vocab_size), copied to float32."""

    model: BaseLayer
    lm_head: BaseLayer

    @property
    def output_shape(self) -> Shape:
        return self.lm_head.output_shape

    def build_children(self) -> Mapping[str, Child]:
        return {"model": once(self.model), "lm_head": once(self.lm_head)}

    @property
    def _is_gathered(self) -> Size:
        """1 where the rows that get logits are copied: those of one sequence, or all of them, are a view."""
        batch_size, seq_len, _ = self.model.output_shape
        _, logits_tokens, _ = self.output_shape
        return differs(batch_size, 1) * differs(logits_tokens, seq_len)

    @property
    def _is_viewed(self) -> Size:
        """1 where they are a view."""
        batch_size, seq_len, _ = self.model.output_shape
        _, logits_tokens, _ = self.output_shape
        return equals(batch_size, 1) + differs(batch_size, 1) * equals(logits_tokens, seq_len)

    def operators(self) -> tuple[Operator, ...]:
        batch_size, logits_tokens, _ = self.output_shape
        gathered = batch_size * logits_tokens * self.model.output_shape[2]
        return (copy(gathered).scale(self._is_gathered), widen(multiply(self.output_shape)))

    def replay(self, tape: Tape, *inputs: Buffer) -> tuple[Buffer, ...]:
        gather, to_float32 = self.own_operators
        hidden_states = tape.call(self, "model", *inputs)
        rows = tape.run(gather, hidden_states)
        # A view keeps all rows alive, and a copy only itself: it is empty where there is none.
        all_rows = hidden_states.only_if(self._is_viewed)
        tape.reserve(all_rows)
        logits = tape.call(self, "lm_head", rows)
        output = tape.cast(to_float32, logits)
        tape.keep(rows, all_rows, *inputs)
        return (output,)
