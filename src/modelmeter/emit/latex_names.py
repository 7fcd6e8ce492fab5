"""How every size is written in LaTeX: one name each, and no name twice."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

LATEX_NAMES: Final[Mapping[str, str]] = MappingProxyType(
    {
        # storage
        "weight_bits": r"b_{\mathrm{w}}",
        "activation_bits": r"b_{\mathrm{a}}",
        "kv_bits": r"b_{\mathrm{kv}}",
        # how many
        "batch_size": "B",
        "vision_batch_size": r"B_{\mathrm{vis}}",
        "num_width_tiles": r"W_{\mathrm{tiles}}",
        "num_height_tiles": r"H_{\mathrm{tiles}}",
        "num_views": "n",
        "num_windows": r"n_{\mathrm{win}}",
        "num_tokens": "N",
        "decode_steps": "T",
        "decode_step": "t",
        "max_new_tokens": r"T_{\mathrm{new}}",
        "prompt_tokens": "P",
        "seq_len": "S",
        "logits_tokens": r"S_{\mathrm{out}}",
        "num_queries": "Q",
        "num_keys": "K",
        "num_hidden_layers": "L",
        "first_k_dense_replace": r"L_{\mathrm{dense}}",
        "sam_num_hidden_layers": r"L_{\mathrm{SAM}}",
        "sam_num_global_layers": r"L_{\mathrm{SAM,glob}}",
        "clip_num_hidden_layers": r"L_{\mathrm{CLIP}}",
        "num_layers": r"\ell",
        "num_global_layers": r"\ell_{\mathrm{glob}}",
        "n_routed_experts": "E",
        "n_shared_experts": r"E_{\mathrm{sh}}",
        "num_experts_per_tok": "k",
        # pixels and patches
        "base_size": r"s_{\mathrm{base}}",
        "image_size": r"s_{\mathrm{tile}}",
        "view_size": "s",
        "sam_image_size": r"s_{\mathrm{SAM}}",
        "clip_image_size": r"s_{\mathrm{CLIP}}",
        "sam_patch_size": r"p_{\mathrm{SAM}}",
        "clip_patch_size": r"p_{\mathrm{CLIP}}",
        "patch_size": "p",
        "grid_size": "g",
        "pretrain_grid_size": r"g_{\mathrm{pre}}",
        "window_size": "w",
        "sam_window_size": r"w_{\mathrm{SAM}}",
        "height": "H",
        "width": "W",
        "kernel_size": r"k_{\mathrm{conv}}",
        "stride": r"s_{\mathrm{conv}}",
        "padding": r"p_{\mathrm{conv}}",
        # heads and channels
        "num_attention_heads": r"h_{\mathrm{q}}",
        "num_key_value_heads": r"h_{\mathrm{kv}}",
        "sam_num_attention_heads": r"h_{\mathrm{SAM}}",
        "clip_num_attention_heads": r"h_{\mathrm{CLIP}}",
        "num_heads": "h",
        "head_dim": r"d_{\mathrm{head}}",
        "in_features": r"d_{\mathrm{in}}",
        "out_features": r"d_{\mathrm{out}}",
        "num_embeddings": r"V_{\mathrm{rows}}",
        "embedding_dim": r"d_{\mathrm{emb}}",
        "hidden_size": "d",
        "intermediate_size": r"d_{\mathrm{ff}}",
        "moe_intermediate_size": r"d_{\mathrm{moe}}",
        "sam_hidden_size": r"d_{\mathrm{SAM}}",
        "sam_intermediate_size": r"d_{\mathrm{SAM,ff}}",
        "clip_hidden_size": r"d_{\mathrm{CLIP}}",
        "clip_intermediate_size": r"d_{\mathrm{CLIP,ff}}",
        "vocab_size": "V",
        "in_channels": r"c_{\mathrm{in}}",
        "out_channels": r"c_{\mathrm{out}}",
        "image_channels": r"c_{\mathrm{img}}",
        "neck_channels": r"c_{\mathrm{neck}}",
        "downsample_channels": r"c_{\mathrm{down}}",
        "sam_neck_channels": r"c_{\mathrm{SAM,neck}}",
        "sam_downsample_channels": r"c_{\mathrm{SAM,down}}",
    }
)
"""How each size is written. The order is also that of the factors of a product: counts before channels."""
