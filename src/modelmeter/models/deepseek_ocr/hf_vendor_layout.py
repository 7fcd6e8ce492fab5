"""The layout of the vendor's configs, with ``language_config``: the top level may have the decoder's keys, too."""

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

_SAM: Final = "vision_config.width.sam_vit_b"
_CLIP: Final = "vision_config.width.clip-l-14-224"
_VENDOR_PATHS: Final[Mapping[str, tuple[str, ...]]] = {
    **{name: (f"language_config.{name}", name) for name in DECODER_SIZES},
    "sam_image_size": ("vision_config.image_size",),
    "sam_hidden_size": (f"{_SAM}.width",),
    "sam_num_hidden_layers": (f"{_SAM}.layers",),
    "sam_num_attention_heads": (f"{_SAM}.heads",),
    "sam_global_attn_indexes": (f"{_SAM}.global_attn_indexes",),
    "sam_downsample_channels": (f"{_SAM}.downsample_channels",),
    "clip_image_size": (f"{_CLIP}.image_size",),
    "clip_patch_size": (f"{_CLIP}.patch_size",),
    "clip_hidden_size": (f"{_CLIP}.width",),
    "clip_num_hidden_layers": (f"{_CLIP}.layers",),
    "clip_num_attention_heads": (f"{_CLIP}.heads",),
}
"""The other sizes of the towers are constants of the vendor's code."""

VENDOR: Final = Layout(
    groups=(
        *general_groups("", "language_config", "projector_config", "vision_config", "vision_config.width", _SAM, _CLIP),
        Group(
            sections=("",),
            rules={
                "architectures": KeyRule(
                    allowed=(["DeepseekOCRForCausalLM"], ["UnlimitedOCRForCausalLM"]),
                    reason="the layers are of this class",
                    is_required=True,
                ),
                # The published file has the first; classes of the vendor and of forks write the others.
                "model_type": KeyRule(
                    allowed=(
                        "deepseek_vl_v2",
                        "DeepseekOCR",
                        "deepseekocr",
                        "deepseek_ocr",
                        "deepseek-ocr",
                        *UNLIMITED,
                    ),
                    reason="the layers are of this family",
                    is_required=True,
                ),
                "tile_tag": only("2D", "rows of image tokens end with a newline"),
                "global_view_pos": only("head", "the vendor has one order of views"),
            },
            costless=hf_keys.MODEL_COSTLESS,
            read=("language_config", "projector_config", "vision_config"),
        ),
        Group(
            sections=("language_config",),
            rules={
                "architectures": only(["DeepseekV2ForCausalLM"], "the layers are of this class"),
                "model_type": only("deepseek_v2", "the layers are of this family"),
            },
        ),
        Group(
            sections=("language_config", ""),
            rules=hf_keys.DECODER_RULES,
            costless=hf_keys.DECODER_COSTLESS,
            read=(*DECODER_SIZES, *LAYER_KEYS),
        ),
        Group(
            sections=("projector_config",),
            rules=hf_keys.PROJECTOR_RULES,
            costless=hf_keys.PROJECTOR_COSTLESS,
            read=("input_dim", "n_embed"),
        ),
        Group(sections=("vision_config",), costless=hf_keys.VISION_COSTLESS, read=("image_size", "width")),
        Group(
            sections=("vision_config.width",),
            read=("sam_vit_b", "clip-l-14-224"),
            others="there are two towers, SAM and CLIP",
        ),
        Group(
            sections=(_SAM,),
            # Constants of the vendor's code, which forks may write down.
            rules={
                **hf_keys.SAM_RULES,
                "patch_size": only(16, "the vendor's code has this patch size"),
                "window_size": only(14, "the vendor's code has this window"),
            },
            read=("width", "layers", "heads", "global_attn_indexes", "downsample_channels"),
        ),
        Group(
            sections=(_CLIP,), rules=hf_keys.CLIP_RULES, read=("width", "layers", "heads", "image_size", "patch_size")
        ),
    ),
    paths=_VENDOR_PATHS,
    # The heads of keys are those of queries by default. The vendor's class has more defaults, of another model.
    defaults={},
    decoder=("language_config", ""),
    has_projector=True,
)
