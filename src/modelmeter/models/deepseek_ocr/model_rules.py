"""What holds between the sizes of this family of models."""

from __future__ import annotations

from typing import Final

from modelmeter.dimensions.size_rules import Rule

RULES: Final = (
    Rule("vision_batch_size", "divides", "batch_size"),
    Rule("sam_patch_size", "at_most", "base_size"),
    Rule("sam_patch_size", "at_most", "image_size"),
    Rule("num_width_tiles", "zero_together", "num_height_tiles"),  # 0 x 3 is neither a page in tiles nor one without
    Rule("logits_tokens", "at_most", "seq_len"),
    Rule("image_tokens", "at_most", "seq_len"),
    Rule("first_k_dense_replace", "at_most", "num_hidden_layers"),
    Rule("num_experts_per_tok", "at_most", "n_routed_experts"),
    Rule("num_attention_heads", "divides_evenly", "hidden_size"),
    Rule("num_key_value_heads", "divides", "num_attention_heads"),
    Rule("sam_num_global_layers", "at_most", "sam_num_hidden_layers"),
    Rule("sam_num_attention_heads", "divides", "sam_hidden_size"),
    Rule("sam_patch_size", "at_most", "sam_image_size"),
    Rule("clip_num_attention_heads", "divides", "clip_hidden_size"),
    Rule("clip_patch_size", "at_most", "clip_image_size"),
    Rule("num_heads", "divides", "hidden_size"),
    Rule(2, "divides", "head_dim"),  # only the rotary embedding has this size of its own, and turns pairs of channels
    Rule("num_queries", "at_most", "num_keys"),
    Rule("batch_size", "at_most", "context_tokens"),
    Rule("num_global_layers", "at_most", "num_layers"),
    Rule("patch_size", "at_most", "view_size"),
)
"""A size without a name in a function has no rule there."""
