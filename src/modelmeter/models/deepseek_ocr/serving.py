"""How DeepSeek-OCR is served, for whoever asks the registry. Nothing here needs sympy."""

from __future__ import annotations

from typing import Final

from modelmeter.model.serving import CollectiveRule, RoutedModules, Serving, ServingMode, ShardRule
from modelmeter.models.deepseek_ocr.image_preprocessing import MODES

_FIRST: Final = "gundam"
"""The vendor's own default."""

_HEADS: Final = "attention heads"
_KEY_HEADS: Final = "key and value heads"
_CHANNELS: Final = "channels"
_WORDS: Final = "words of the vocabulary"

SERVING: Final = Serving(
    repository="deepseek-ai/DeepSeek-OCR",
    preprocessing="serving",
    modes={
        name: ServingMode(
            name=name,
            sizes={"base_size": MODES[name].base_size, "image_size": MODES[name].image_size},
            is_cut=MODES[name].is_tiled,
        )
        for name in sorted(MODES, key=lambda name: name != _FIRST)
    },
    page_stages=("vision", "projector"),
    prompt_stage="prefill",
    step_stage="decode",
    image_tokens="image_tokens",
    # The prompt that the published workloads have beside their image.
    prompt_tokens=("prompt_tokens", 10),
    seq_len="seq_len",
    logits_tokens="logits_tokens",
    steps="decode_steps",
    batch_size="batch_size",
    routed=(RoutedModules(parent="experts", num_modules="n_routed_experts", num_chosen="num_experts_per_tok"),),
    # As serving engines divide a decoder; the vision towers, norms and routers are on every card.
    shards=(
        ShardRule(pattern="*.self_attn.[kv]_proj:*", size="num_key_value_heads", unit=_KEY_HEADS, is_replicated=True),
        ShardRule(pattern="*.self_attn.[qo]_proj:*", size="num_attention_heads", unit=_HEADS),
        ShardRule(pattern="*:LlamaFlashAttention2", size="num_attention_heads", unit=_HEADS),
        ShardRule(pattern="model.layers.*.gate_proj:Linear", size="out_features", unit=_CHANNELS, may_differ=True),
        ShardRule(pattern="model.layers.*.up_proj:Linear", size="out_features", unit=_CHANNELS, may_differ=True),
        ShardRule(pattern="model.layers.*.down_proj:Linear", size="in_features", unit=_CHANNELS, may_differ=True),
        ShardRule(pattern="model.layers.*.act_fn:*", size="intermediate_size", unit=_CHANNELS, may_differ=True),
        ShardRule(pattern="model.layers.*:DeepseekV2MLP", size="intermediate_size", unit=_CHANNELS, may_differ=True),
        ShardRule(pattern="model.embed_tokens:*", size="num_embeddings", unit=_WORDS, may_differ=True),
        ShardRule(pattern="lm_head:*", size="out_features", unit=_WORDS, may_differ=True),
    ),
    collectives=(
        CollectiveRule(pattern="model.embed_tokens:*", channels="embedding_dim"),
        CollectiveRule(pattern="model.layers.*.o_proj:*", channels="out_features"),
        CollectiveRule(pattern="model.layers.*.mlp:*", channels="hidden_size"),
        CollectiveRule(pattern="lm_head:*", channels="out_features", is_gathered=True, is_of_logits=True),
    ),
)
