"""A config of a model whose sizes are pairwise different, and changes of it."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from modelmeter.models.deepseek_ocr.architecture import DeepSeekOCRArchitecture
from modelmeter.support.errors import ArchitectureError

ABSENT = object()

# Pairwise different, so that no size can stand in for another. 60 / 6 = 10 channels a head, 69 / 23 = 3, 85 / 17 = 5.
DECODER = {
    "hidden_size": 60,
    "intermediate_size": 61,
    "moe_intermediate_size": 37,
    "num_hidden_layers": 7,
    "first_k_dense_replace": 2,
    "num_attention_heads": 6,
    "num_key_value_heads": 3,
    "n_routed_experts": 11,
    "n_shared_experts": 5,
    "num_experts_per_tok": 4,
    "vocab_size": 101,
}
SAM = "vision_config.width.sam_vit_b"
CLIP = "vision_config.width.clip-l-14-224"

EXPECTED = DeepSeekOCRArchitecture(
    **DECODER,
    sam_image_size=208,
    sam_hidden_size=69,
    sam_num_hidden_layers=9,
    sam_global_attn_indexes=(1, 8),
    sam_num_attention_heads=23,
    sam_intermediate_size=276,  # 4 x 69
    sam_downsample_channels=47,
    clip_image_size=29,
    clip_patch_size=13,
    clip_hidden_size=85,
    clip_num_hidden_layers=10,
    clip_num_attention_heads=17,
    clip_intermediate_size=340,  # 4 x 85
)


def make_config() -> dict[str, Any]:
    """Return the least config that describes ``EXPECTED``."""
    return {
        "architectures": ["DeepseekOCRForCausalLM"],
        "model_type": "deepseek_vl_v2",
        "language_config": {"use_mla": False, "topk_method": "greedy", **DECODER},
        "projector_config": {"projector_type": "linear", "input_dim": 170, "n_embed": 60},  # 85 + 85 channels in
        "vision_config": {
            "image_size": 208,
            "width": {
                "sam_vit_b": {
                    "width": 69,
                    "layers": 9,
                    "heads": 23,
                    "global_attn_indexes": [1, 8],
                    "downsample_channels": [47, 85],
                },
                "clip-l-14-224": {"width": 85, "layers": 10, "heads": 17, "image_size": 29, "patch_size": 13},
            },
        },
    }


def change(config: dict[str, Any], path: str, value: object) -> dict[str, Any]:
    """Return a copy with the key at ``path`` set, or removed where ``value`` is ``ABSENT``."""
    changed = copy.deepcopy(config)
    *parents, last = [int(key) if key.isdigit() else key for key in path.split(".")]
    holder: Any = changed
    for key in parents:
        holder = holder[key]
    if value is ABSENT:
        del holder[last]
    else:
        holder[last] = value
    return changed


def read(folder: Path, config: object) -> DeepSeekOCRArchitecture:
    file = folder / "config.json"
    file.write_text(json.dumps(config), encoding="utf-8")
    return DeepSeekOCRArchitecture.from_hf_config(file)


def refuse(folder: Path, config: object) -> str:
    """Return the message that refuses ``config``: one line that begins with the file."""
    with pytest.raises(ArchitectureError) as caught:
        read(folder, config)
    message = str(caught.value)
    assert message.startswith(f"{folder / 'config.json'}: ")
    assert len(message.splitlines()) == 1
    assert len(message) < 1000
    return message
