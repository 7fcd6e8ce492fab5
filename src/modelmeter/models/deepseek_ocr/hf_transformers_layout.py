"""The layout of transformers' own configs of this family (``unlimited_ocr``), with ``text_config``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from modelmeter.models.deepseek_ocr import hf_keys
from modelmeter.models.deepseek_ocr.hf_keys import KeyRule
from modelmeter.models.deepseek_ocr.hf_layout import (
    DECODER_SIZES,
    LAYER_KEYS,
    UNLIMITED,
    Group,
    Layout,
    general_groups,
    only,
)

_TEXT: Final = "text_config"
_SAM_CONFIG: Final = "vision_config.sam_config"
_CLIP_CONFIG: Final = "vision_config.encoder_config"
_SAM_SIZES: Final[Mapping[str, str]] = {
    "sam_image_size": "image_size",
    "sam_patch_size": "patch_size",
    "sam_hidden_size": "hidden_size",
    "sam_num_hidden_layers": "num_hidden_layers",
    "sam_global_attn_indexes": "global_attn_indexes",
    "sam_num_attention_heads": "num_attention_heads",
    "sam_intermediate_size": "mlp_dim",
    "sam_window_size": "window_size",
    "sam_neck_channels": "output_channels",
    "sam_downsample_channels": "downsample_channels",
}
_CLIP_SIZES: Final[Mapping[str, str]] = {
    "clip_image_size": "image_size",
    "clip_patch_size": "patch_size",
    "clip_hidden_size": "hidden_size",
    "clip_num_hidden_layers": "num_hidden_layers",
    "clip_num_attention_heads": "num_attention_heads",
    "clip_intermediate_size": "intermediate_size",
}

TRANSFORMERS: Final = Layout(
    groups=(
        *general_groups("", _TEXT, "vision_config", _SAM_CONFIG, _CLIP_CONFIG),
        Group(
            sections=("",),
            rules={
                "architectures": KeyRule(
                    allowed=(["UnlimitedOcrForConditionalGeneration"], ["UnlimitedOcrModel"], None),
                    reason="the layers are of this class",
                ),
                "model_type": KeyRule(allowed=UNLIMITED, reason="the layers are of this family", is_required=True),
                **{key: rule for key, rule in hf_keys.DECODER_RULES.items() if not rule.is_required},
            },
            read=(_TEXT, "vision_config"),
        ),
        Group(sections=(_TEXT,), rules={"model_type": only("unlimited_ocr_text", "the layers are of this family")}),
        Group(
            sections=(_TEXT,),
            # The class has no latent attention, and chooses greedily by default.
            rules={
                key: KeyRule(allowed=rule.allowed, reason=rule.reason) for key, rule in hf_keys.DECODER_RULES.items()
            },
            costless=hf_keys.DECODER_COSTLESS,
            read=(*DECODER_SIZES, *LAYER_KEYS, "num_experts", "mlp_layer_types"),
        ),
        Group(
            sections=("vision_config",),
            rules={"model_type": only("unlimited_ocr_vision", "the layers are of this family")},
            read=("sam_config", "encoder_config"),
        ),
        Group(sections=(_SAM_CONFIG,), rules=hf_keys.SAM_RULES, read=_SAM_SIZES.values()),
        Group(sections=(_CLIP_CONFIG,), rules=hf_keys.CLIP_RULES, read=_CLIP_SIZES.values()),
    ),
    paths={
        **{name: (f"{_TEXT}.{name}",) for name in DECODER_SIZES},
        "n_routed_experts": (f"{_TEXT}.n_routed_experts", f"{_TEXT}.num_experts"),
        **{name: (f"{_SAM_CONFIG}.{key}",) for name, key in _SAM_SIZES.items()},
        **{name: (f"{_CLIP_CONFIG}.{key}",) for name, key in _CLIP_SIZES.items()},
    },
    defaults={
        "hidden_size": 1280,
        "intermediate_size": 6848,
        "moe_intermediate_size": 896,
        "num_hidden_layers": 12,
        "num_attention_heads": 10,
        "num_key_value_heads": 10,
        "n_routed_experts": 64,
        "n_shared_experts": 2,
        "num_experts_per_tok": 6,
        "vocab_size": 129280,
        "sam_image_size": 1024,
        "sam_patch_size": 16,
        "sam_hidden_size": 768,
        "sam_num_hidden_layers": 12,
        "sam_global_attn_indexes": [2, 5, 8, 11],
        "sam_num_attention_heads": 12,
        "sam_intermediate_size": 3072,
        "sam_window_size": 14,
        "sam_neck_channels": 256,
        "sam_downsample_channels": [512, 1024],
        "clip_image_size": 224,
        "clip_patch_size": 14,
        "clip_hidden_size": 1024,
        "clip_num_hidden_layers": 24,
        "clip_num_attention_heads": 16,
        "clip_intermediate_size": 4096,
    },
    decoder=(_TEXT,),
    has_projector=False,
)
