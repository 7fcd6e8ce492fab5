"""The LM head (vendor attribute ``DeepseekOCRForCausalLM.lm_head``)."""

from __future__ import annotations

from attrs import frozen

from modelmeter.layers.linear import Linear


@frozen(kw_only=True, slots=False)
class LMHead(Linear):
    """Logits over the vocabulary: a linear layer without bias on (batch_size, logits_tokens, hidden_size)."""

    bias: bool = False

    @classmethod
    def torch_class(cls) -> str:
        return "Linear"
