"""A small mixture of experts that a command compiles into a folder with all targets."""

from __future__ import annotations

from typing import Any

CONFIG: dict[str, Any] = {
    "model_type": "qwen3_moe", "hidden_size": 34, "intermediate_size": 58, "moe_intermediate_size": 22,
    "num_hidden_layers": 3, "num_attention_heads": 6, "num_key_value_heads": 2, "head_dim": 14, "num_experts": 7,
    "num_experts_per_tok": 3, "vocab_size": 97, "norm_topk_prob": True, "decoder_sparse_step": 1,
    "mlp_only_layers": [], "tie_word_embeddings": False, "_name_or_path": "acme/Folder-Experts",
}  # fmt: skip

NAME, PACKAGE = "folder-experts", "folder_experts_costs"
