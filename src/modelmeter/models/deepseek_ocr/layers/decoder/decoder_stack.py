"""The decoder without its LM head: embedding, layers, norm."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

from modelmeter.dimensions.functions import Size
from modelmeter.layers.base import BaseLayer, Shape
from modelmeter.layers.child import Child, once, repeat
from modelmeter.layers.container import ModuleList
from modelmeter.layers.embedding import Embedding
from modelmeter.models.deepseek_ocr.layers.decoder.deepseek_v2_decoder_layer import DeepseekV2DecoderLayer
from modelmeter.models.deepseek_ocr.layers.decoder.deepseek_v2_rms_norm import DeepseekV2RMSNorm


@frozen(kw_only=True, slots=False)
class DecoderStack(BaseLayer):
    """Token ids (batch_size, num_queries) to hidden states (batch_size, num_queries, hidden_size).

    Not a torch module of its own: its children are attributes of ``DeepseekOCRModel``.
    """

    batch_size: Size
    num_queries: Size
    num_keys: Size
    vocab_size: Size
    hidden_size: Size
    intermediate_size: Size
    moe_intermediate_size: Size
    num_hidden_layers: Size
    first_k_dense_replace: Size
    num_attention_heads: Size
    num_key_value_heads: Size
    n_routed_experts: Size
    n_shared_experts: Size
    num_experts_per_tok: Size

    @property
    def output_shape(self) -> Shape:
        return (self.batch_size, self.num_queries, self.hidden_size)

    def _layer(self, *, is_sparse: bool) -> DeepseekV2DecoderLayer:
        return DeepseekV2DecoderLayer(
            batch_size=self.batch_size,
            num_queries=self.num_queries,
            num_keys=self.num_keys,
            hidden_size=self.hidden_size,
            intermediate_size=self.intermediate_size,
            moe_intermediate_size=self.moe_intermediate_size,
            num_attention_heads=self.num_attention_heads,
            num_key_value_heads=self.num_key_value_heads,
            n_routed_experts=self.n_routed_experts,
            n_shared_experts=self.n_shared_experts,
            num_experts_per_tok=self.num_experts_per_tok,
            is_sparse=is_sparse,
        )

    def build_children(self) -> Mapping[str, Child]:
        leading_shape = (self.batch_size, self.num_queries)
        sparse_layers = self.num_hidden_layers - self.first_k_dense_replace
        return {
            "embed_tokens": once(
                Embedding(leading_shape=leading_shape, num_embeddings=self.vocab_size, embedding_dim=self.hidden_size)
            ),
            "layers": once(
                ModuleList(
                    groups=(
                        repeat(self._layer(is_sparse=False), self.first_k_dense_replace),
                        repeat(self._layer(is_sparse=True), sparse_layers),
                    )
                )
            ),
            "norm": once(DeepseekV2RMSNorm(leading_shape=leading_shape, hidden_size=self.hidden_size)),
        }
