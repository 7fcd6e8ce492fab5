"""Cards of text decoders: nothing but the sizes that were published."""

from __future__ import annotations

from typing import Final

from modelmeter.frontend.cards.card import Card

LLAMA_3_1_8B: Final = Card(
    name="llama-3.1-8b",
    title="Llama-3.1-8B",
    model_type="llama",
    config={
        "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32, "num_attention_heads": 32,
        "num_key_value_heads": 8, "vocab_size": 128256, "max_position_embeddings": 131072,
        "rms_norm_eps": 1e-5, "tie_word_embeddings": False,
    },
)  # fmt: skip

QWEN3_30B_A3B: Final = Card(
    name="qwen3-30b-a3b",
    title="Qwen3-30B-A3B",
    model_type="qwen3_moe",
    config={
        "hidden_size": 2048, "intermediate_size": 6144, "moe_intermediate_size": 768, "num_hidden_layers": 48,
        "num_attention_heads": 32, "num_key_value_heads": 4, "head_dim": 128, "num_experts": 128,
        "num_experts_per_tok": 8, "norm_topk_prob": True, "decoder_sparse_step": 1, "mlp_only_layers": [],
        "vocab_size": 151936, "max_position_embeddings": 40960, "tie_word_embeddings": False,
    },
)  # fmt: skip

DEEPSEEK_V3: Final = Card(
    name="deepseek-v3",
    title="DeepSeek-V3",
    model_type="deepseek_v3",
    config={
        "hidden_size": 7168, "intermediate_size": 18432, "moe_intermediate_size": 2048, "num_hidden_layers": 61,
        "num_attention_heads": 128, "num_key_value_heads": 128, "q_lora_rank": 1536, "kv_lora_rank": 512,
        "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "v_head_dim": 128, "n_routed_experts": 256,
        "n_shared_experts": 1, "num_experts_per_tok": 8, "n_group": 8, "topk_group": 4, "first_k_dense_replace": 3,
        "norm_topk_prob": True, "routed_scaling_factor": 2.5, "vocab_size": 129280, "tie_word_embeddings": False,
    },
    remarks="without the layer that predicts a second token, which transformers does not run",
)  # fmt: skip

CARDS: Final = (LLAMA_3_1_8B, QWEN3_30B_A3B, DEEPSEEK_V3)
"""In the order of their publication."""
