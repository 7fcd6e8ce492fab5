"""A decoder layer (vendor module ``modeling_deepseekv2.DeepseekV2DecoderLayer``)."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

from modelmeter.dimensions.functions import Size
from modelmeter.layers.base import BaseLayer, Shape
from modelmeter.layers.child import Child, once
from modelmeter.layers.residual import ResidualBlock
from modelmeter.models.deepseek_ocr.layers.decoder.deepseek_v2_mlp import DeepseekV2MLP
from modelmeter.models.deepseek_ocr.layers.decoder.deepseek_v2_moe import DeepseekV2MoE
from modelmeter.models.deepseek_ocr.layers.decoder.deepseek_v2_rms_norm import DeepseekV2RMSNorm
from modelmeter.models.deepseek_ocr.layers.llama.llama_flash_attention2 import LlamaFlashAttention2


@frozen(kw_only=True, slots=False)
class DeepseekV2DecoderLayer(ResidualBlock):
    """Attention and MLP, each behind a norm and with a residual add; (batch_size, num_queries, hidden_size).

    ``is_sparse`` says whether the MLP is a mixture of experts or dense.
    """

    branches = (("input_layernorm", "self_attn"), ("post_attention_layernorm", "mlp"))

    batch_size: Size
    num_queries: Size
    num_keys: Size
    hidden_size: Size
    intermediate_size: Size
    moe_intermediate_size: Size
    num_attention_heads: Size
    num_key_value_heads: Size
    n_routed_experts: Size
    n_shared_experts: Size
    num_experts_per_tok: Size
    is_sparse: bool = True

    @property
    def output_shape(self) -> Shape:
        return (self.batch_size, self.num_queries, self.hidden_size)

    def _mlp(self) -> BaseLayer:
        leading_shape = (self.batch_size, self.num_queries)
        if not self.is_sparse:
            return DeepseekV2MLP(
                leading_shape=leading_shape, hidden_size=self.hidden_size, intermediate_size=self.intermediate_size
            )
        return DeepseekV2MoE(
            leading_shape=leading_shape,
            hidden_size=self.hidden_size,
            moe_intermediate_size=self.moe_intermediate_size,
            n_routed_experts=self.n_routed_experts,
            n_shared_experts=self.n_shared_experts,
            num_experts_per_tok=self.num_experts_per_tok,
        )

    def build_children(self) -> Mapping[str, Child]:
        norm = DeepseekV2RMSNorm(leading_shape=(self.batch_size, self.num_queries), hidden_size=self.hidden_size)
        return {
            "self_attn": once(
                LlamaFlashAttention2(
                    batch_size=self.batch_size,
                    num_queries=self.num_queries,
                    num_keys=self.num_keys,
                    hidden_size=self.hidden_size,
                    num_attention_heads=self.num_attention_heads,
                    num_key_value_heads=self.num_key_value_heads,
                )
            ),
            "mlp": once(self._mlp()),
            "input_layernorm": once(norm),
            "post_attention_layernorm": once(norm),
        }
