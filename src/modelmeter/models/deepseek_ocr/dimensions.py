"""The sizes of DeepSeek-OCR: what a caller may set, and what only the pages of its layers use."""

from __future__ import annotations

from typing import Final

from modelmeter.dimensions.symbols import Dimensions, define_sizes
from modelmeter.models.deepseek_ocr.latex_names import LATEX_NAMES

WORKLOAD = define_sizes(
    "workload",
    ("batch_size", "pages", "pages processed side by side"),
    ("images_per_prompt", "images", "images of one prompt, all cut alike"),
    ("vision_batch_size", "pages", "pages that share a call of the vision towers"),
    ("base_size", "pixels", "side of the square global view"),
    ("image_size", "pixels", "side of each square tile"),
    ("num_width_tiles", "tiles", "tiles across the page; a 1 x 1 grid means no tiles", 0),
    ("num_height_tiles", "tiles", "tiles down the page; a 1 x 1 grid means no tiles", 0),
    ("prompt_tokens", "tokens", "text tokens of the prompt, beside its image tokens", 0),
    ("seq_len", "tokens", "prompt length with its image tokens"),
    ("logits_tokens", "tokens", "prompt positions that get logits; all of them by default"),
    ("decode_steps", "steps", "decode steps of one token each", 0),
    ("max_new_tokens", "tokens", "tokens to generate; the first comes from the prefill"),
)

ARCHITECTURE = define_sizes(
    "architecture",
    ("hidden_size", "channels", "width of the decoder"),
    ("intermediate_size", "channels", "MLP width of a dense decoder layer"),
    ("moe_intermediate_size", "channels", "MLP width of one expert"),
    ("num_hidden_layers", "layers", "decoder layers"),
    ("first_k_dense_replace", "layers", "leading decoder layers with a dense MLP", 0),
    ("num_attention_heads", "heads", "query heads of a decoder layer"),
    ("num_key_value_heads", "heads", "key and value heads of a decoder layer"),
    ("n_routed_experts", "experts", "routed experts of an MoE layer"),
    ("n_shared_experts", "experts", "experts that every token uses"),
    ("num_experts_per_tok", "experts", "routed experts that one token uses"),
    ("vocab_size", "tokens", "rows of the embedding and of the LM head"),
    ("sam_image_size", "pixels", "image side that SAM's position embeddings were trained at"),
    ("sam_patch_size", "pixels", "side of a SAM patch"),
    ("sam_hidden_size", "channels", "width of SAM"),
    ("sam_num_hidden_layers", "layers", "SAM blocks"),
    ("sam_num_global_layers", "layers", "SAM blocks with global attention", 0),
    ("sam_num_attention_heads", "heads", "heads of a SAM block"),
    ("sam_intermediate_size", "channels", "MLP width of a SAM block"),
    ("sam_window_size", "patches", "side of a SAM attention window"),
    ("sam_neck_channels", "channels", "channels of SAM's neck"),
    ("sam_downsample_channels", "channels", "channels between the two stride-2 convolutions"),
    ("clip_image_size", "pixels", "image side that CLIP's position embeddings were trained at"),
    ("clip_patch_size", "pixels", "side of a CLIP patch; its convolution is stored but never called"),
    ("clip_hidden_size", "channels", "width of CLIP, and channels that SAM hands to it"),
    ("clip_num_hidden_layers", "layers", "CLIP blocks"),
    ("clip_num_attention_heads", "heads", "heads of a CLIP block"),
    ("clip_intermediate_size", "channels", "MLP width of a CLIP block"),
)

LOCAL_SIZES = define_sizes(
    "local",
    "num_tokens",
    ("num_queries", "tokens", "query positions of one sequence"),
    ("num_keys", "tokens", "key positions of one sequence, cached ones included"),
    ("num_views", "views", "square images that go through the tower side by side"),
    ("num_windows", "windows", "attention windows side by side, over all views"),
    ("view_size", "pixels", "side of one square view"),
    ("grid_size", "patches", "side of the square patch grid"),
    ("window_size", "patches", "side of an attention window; the whole grid where attention is global"),
    ("pretrain_grid_size", "patches", "grid side that the position embeddings were trained at"),
    ("head_dim", "channels", "channels of one attention head"),
    ("num_heads", "heads", "attention heads"),
    "in_features",
    "out_features",
    "in_channels",
    "out_channels",
    "kernel_size",
    "stride",
    "padding",
    "height",
    "width",
    "num_embeddings",
    "embedding_dim",
    ("num_layers", "layers", "layers of a stack"),
    ("num_global_layers", "layers", "layers of a stack with global attention", 0),
    ("neck_channels", "channels", "channels of SAM's neck"),
    ("downsample_channels", "channels", "channels between the two stride-2 convolutions"),
    ("patch_size", "pixels", "side of a patch"),
    ("image_channels", "channels", "colour channels of an image"),
    ("decode_step", "steps", "the index t of a decode step, from 1"),
    ("cached_tokens", "tokens", "positions of each sequence that are cached before a chunk of its prompt"),
    ("context_tokens", "tokens", "cached positions of all sequences of a step"),
)

DIMENSIONS: Final = Dimensions(workload=WORKLOAD, architecture=ARCHITECTURE, local=LOCAL_SIZES, latex=LATEX_NAMES)

symbol: Final = DIMENSIONS.symbol
"""Returns the symbol of a size."""
