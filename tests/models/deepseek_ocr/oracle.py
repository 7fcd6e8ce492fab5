"""The independent implementation of the same model in transformers, and tiny sizes and pages to compare it on.

``build_oracle`` builds it, ``copy_weights`` gives it the weights of a reference model.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import torch
from model_inputs import Page
from torch import Tensor
from transformers import UnlimitedOcrConfig, UnlimitedOcrForConditionalGeneration

from modelmeter.models.deepseek_ocr.architecture import DeepSeekOCRArchitecture
from modelmeter.models.deepseek_ocr.reference import DeepseekOCRForCausalLM

TINY = DeepSeekOCRArchitecture(
    hidden_size=24,
    intermediate_size=37,
    moe_intermediate_size=11,
    num_hidden_layers=4,
    first_k_dense_replace=2,
    num_attention_heads=6,
    num_key_value_heads=2,
    n_routed_experts=7,
    n_shared_experts=3,
    num_experts_per_tok=2,
    vocab_size=53,
    sam_image_size=65,  # 13 patches a side
    sam_patch_size=5,
    sam_hidden_size=15,
    sam_num_hidden_layers=5,
    sam_global_attn_indexes=(1, 4),
    sam_num_attention_heads=3,
    sam_intermediate_size=29,
    sam_window_size=3,
    sam_neck_channels=9,
    sam_downsample_channels=13,
    clip_image_size=16,  # 4 positions a side
    clip_patch_size=4,
    clip_hidden_size=20,
    clip_num_hidden_layers=3,
    clip_num_attention_heads=5,
    clip_intermediate_size=31,
)

IMAGE_TOKEN = 51


# Grids of 11 and 7 patches: every table of positions is resized, and windows of 3 need padding.
RESIZED = Page(55, 35, 2, 3, batch_size=2)
# A global view of 13 patches, as in pretraining: no table is resized. Tiles of 14: only SAM's tables are.
NATIVE = Page(65, 70, 3, 1, batch_size=2)
UNTILED = Page(50, 50, batch_size=2)

SAM, CLIP, DECODER = "vision_tower.sam_encoder", "vision_tower.vision_encoder", "language_model"

RENAMED = (
    (r"^model\.sam_model\.patch_embed\.proj\b", rf"model.{SAM}.patch_embed.projection"),
    (r"^model\.sam_model\.blocks\.(\d+)\.norm(\d)\b", rf"model.{SAM}.layers.\1.layer_norm\2"),
    (r"^model\.sam_model\.blocks\b", rf"model.{SAM}.layers"),
    (r"^model\.sam_model\.neck\.0\b", rf"model.{SAM}.neck.conv1"),
    (r"^model\.sam_model\.neck\.1\b", rf"model.{SAM}.neck.layer_norm1"),
    (r"^model\.sam_model\.neck\.2\b", rf"model.{SAM}.neck.conv2"),
    (r"^model\.sam_model\.neck\.3\b", rf"model.{SAM}.neck.layer_norm2"),
    (r"^model\.sam_model\.net_2\b", rf"model.{SAM}.proj.conv1"),
    (r"^model\.sam_model\.net_3\b", rf"model.{SAM}.proj.conv2"),
    (r"^model\.sam_model\b", rf"model.{SAM}"),
    (r"^model\.vision_model\.transformer\b", rf"model.{CLIP}.encoder"),
    (r"^model\.vision_model\b", rf"model.{CLIP}"),
    (r"^model\.projector\.layers\b", "model.multi_modal_projector"),
    (r"^model\.view_seperator\b", "model.view_separator"),
    (r"^model\.(embed_tokens|layers|norm)\b", rf"model.{DECODER}.\1"),
)
"""What the oracle calls the modules; the first pattern that matches counts."""


def build_oracle(
    architecture: DeepSeekOCRArchitecture,
    *,
    image_token_id: int,
    experts_implementation: str,
    device: torch.device | str,
    dtype: torch.dtype,
) -> UnlimitedOcrForConditionalGeneration:
    """Build the oracle of the same sizes, with full attention in every layer."""
    sizes = architecture
    config = UnlimitedOcrConfig(
        image_token_id=image_token_id,
        vision_config={
            "sam_config": {
                "hidden_size": sizes.sam_hidden_size,
                "output_channels": sizes.sam_neck_channels,
                "num_hidden_layers": sizes.sam_num_hidden_layers,
                "num_attention_heads": sizes.sam_num_attention_heads,
                "image_size": sizes.sam_image_size,
                "patch_size": sizes.sam_patch_size,
                "window_size": sizes.sam_window_size,
                "global_attn_indexes": list(sizes.sam_global_attn_indexes),
                "mlp_dim": sizes.sam_intermediate_size,
                "downsample_channels": [sizes.sam_downsample_channels, sizes.clip_hidden_size],
            },
            "encoder_config": {
                "hidden_size": sizes.clip_hidden_size,
                "intermediate_size": sizes.clip_intermediate_size,
                "num_hidden_layers": sizes.clip_num_hidden_layers,
                "num_attention_heads": sizes.clip_num_attention_heads,
                "image_size": sizes.clip_image_size,
                "patch_size": sizes.clip_patch_size,
            },
        },
        text_config={
            "vocab_size": sizes.vocab_size,
            "hidden_size": sizes.hidden_size,
            "intermediate_size": sizes.intermediate_size,
            "moe_intermediate_size": sizes.moe_intermediate_size,
            "num_hidden_layers": sizes.num_hidden_layers,
            "first_k_dense_replace": sizes.first_k_dense_replace,
            "num_attention_heads": sizes.num_attention_heads,
            "num_key_value_heads": sizes.num_key_value_heads,
            "n_routed_experts": sizes.n_routed_experts,
            "n_shared_experts": sizes.n_shared_experts,
            "num_experts_per_tok": sizes.num_experts_per_tok,
            "layer_types": ["full_attention"] * sizes.num_hidden_layers,
        },
    )
    with torch.device(device):
        oracle = UnlimitedOcrForConditionalGeneration._from_config(
            config, attn_implementation="sdpa", experts_implementation=experts_implementation, dtype=dtype
        )
    return oracle.eval()


def copy_weights(reference: DeepseekOCRForCausalLM, oracle: UnlimitedOcrForConditionalGeneration) -> None:
    """Give ``oracle`` the weights of ``reference``; every tensor of both must have its counterpart."""
    oracle.load_state_dict(dict(_rename(dict(reference.state_dict()), reference.architecture)), strict=True)


def _rename(weights: dict[str, Tensor], architecture: DeepSeekOCRArchitecture) -> Iterator[tuple[str, Tensor]]:
    # Stored in the checkpoint, never used: the oracle leaves it out.
    del weights["model.vision_model.embeddings.patch_embedding.weight"]
    for index in range(architecture.first_k_dense_replace, architecture.num_hidden_layers):
        layer = f"model.layers.{index}.mlp.experts"
        gate, up, down = (
            torch.stack(
                [weights.pop(f"{layer}.{expert}.{name}_proj.weight") for expert in range(architecture.n_routed_experts)]
            )
            for name in ("gate", "up", "down")
        )
        yield f"model.{DECODER}.layers.{index}.mlp.experts.gate_up_proj", torch.cat((gate, up), dim=1)
        yield f"model.{DECODER}.layers.{index}.mlp.experts.down_proj", down
    for name, weight in weights.items():
        renamed = next((re.sub(old, new, name) for old, new in RENAMED if re.match(old, name)), name)
        if ".qkv_proj." in renamed:
            for letter, part in zip("qkv", weight.chunk(3), strict=True):
                yield renamed.replace(".qkv_proj.", f".{letter}_proj."), part
        else:
            yield renamed, weight
