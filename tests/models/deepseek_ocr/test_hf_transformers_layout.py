"""Configs that transformers itself writes for this family: its class says which defaults there are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hf_configs import ABSENT, change, refuse
from transformers import UnlimitedOcrConfig
from transformers.models.unlimited_ocr.modeling_unlimited_ocr import UnlimitedOcrVisionModel

from modelmeter.models.deepseek_ocr.architecture import (
    ConfigKeyWarning,
    DeepSeekOCRArchitecture,
    HFConfig,
    read_hf_config,
)
from modelmeter.models.deepseek_ocr.hf_transformers_layout import TRANSFORMERS
from modelmeter.models.deepseek_ocr.reference import build_reference

FULL = ["full_attention"] * 12


def make_config(**text_config: object) -> dict[str, Any]:
    """Return what transformers writes, with full attention."""
    config = UnlimitedOcrConfig(text_config={"layer_types": FULL, **text_config})
    return json.loads(config.to_json_string())  # type: ignore[no-any-return]  # its text is an object


def read_found(folder: Path, config: object) -> HFConfig:
    file = folder / "config.json"
    file.write_text(json.dumps(config), encoding="utf-8")
    return read_hf_config(file)


def test_with_full_attention_it_has_the_sizes_of_the_published_model(tmp_path: Path) -> None:
    found = read_found(tmp_path, make_config())
    assert found.architecture == DeepSeekOCRArchitecture()
    assert found.names == ("unlimited_ocr",)


def test_the_defaults_are_those_of_the_class(tmp_path: Path) -> None:
    """All keys but the window left out, and all defaults against those of the class."""
    least = {"model_type": "unlimited_ocr", "text_config": {"layer_types": FULL}}
    assert read_found(tmp_path, least).architecture == DeepSeekOCRArchitecture()
    written = make_config()
    for name, value in TRANSFORMERS.defaults.items():
        holder: Any = written
        for key in TRANSFORMERS.paths[name][0].split("."):
            holder = holder[key]
        assert holder == value, name


def test_its_own_default_is_refused_by_the_kind_of_its_layers(tmp_path: Path) -> None:
    message = refuse(tmp_path, json.loads(UnlimitedOcrConfig().to_json_string()))
    assert "config.json: text_config.layer_types: " in message
    assert "reference_sliding_attention" in message
    assert "config.json: text_config.sliding_window: " in refuse(tmp_path, {"model_type": "unlimited_ocr"})


def test_every_size_is_read(tmp_path: Path) -> None:
    """Sizes that no default has."""
    config = UnlimitedOcrConfig(
        text_config={
            "hidden_size": 84, "intermediate_size": 103, "moe_intermediate_size": 17, "num_hidden_layers": 5,
            "num_attention_heads": 6, "num_key_value_heads": 3, "n_routed_experts": 11, "n_shared_experts": 1,
            "num_experts_per_tok": 4, "vocab_size": 211, "layer_types": ["full_attention"] * 5,
            "mlp_layer_types": ["dense"] * 3 + ["sparse"] * 2,
        },
        vision_config={
            "sam_config": {
                "image_size": 13 * 19, "patch_size": 13, "hidden_size": 65, "num_hidden_layers": 8,
                "global_attn_indexes": [0, 4, 7], "num_attention_heads": 5, "mlp_dim": 73, "window_size": 9,
                "output_channels": 23, "downsample_channels": [29, 77],
            },
            "encoder_config": {
                "image_size": 75, "patch_size": 15, "hidden_size": 77, "num_hidden_layers": 14,
                "num_attention_heads": 7, "intermediate_size": 59,
            },
        },
    )  # fmt: skip
    assert read_found(tmp_path, json.loads(config.to_json_string())).architecture == DeepSeekOCRArchitecture(
        hidden_size=84, intermediate_size=103, moe_intermediate_size=17, num_hidden_layers=5, first_k_dense_replace=3,
        num_attention_heads=6, num_key_value_heads=3, n_routed_experts=11, n_shared_experts=1, num_experts_per_tok=4,
        vocab_size=211, sam_image_size=247, sam_patch_size=13, sam_hidden_size=65, sam_num_hidden_layers=8,
        sam_global_attn_indexes=(0, 4, 7), sam_num_attention_heads=5, sam_intermediate_size=73, sam_window_size=9,
        sam_neck_channels=23, sam_downsample_channels=29, clip_image_size=75, clip_patch_size=15,
        clip_hidden_size=77, clip_num_hidden_layers=14, clip_num_attention_heads=7, clip_intermediate_size=59,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        ("text_config.mlp_layer_types", ["sparse"] * 11 + ["dense"], "text_config.mlp_layer_types"),
        ("text_config.mlp_layer_types", ["dense", "sparse"], "text_config.mlp_layer_types"),
        ("text_config.mlp_layer_types", 1, "text_config.mlp_layer_types"),
        ("text_config.first_k_dense_replace", 2, "text_config.first_k_dense_replace"),  # the list has one
        ("text_config.num_experts", 63, "text_config.num_experts"),
        ("text_config.n_shared_experts", 0, "text_config.n_shared_experts"),
        ("text_config.topk_method", "group_limited_greedy", "text_config.topk_method"),
        ("text_config.attention_bias", True, "text_config.attention_bias"),
        ("text_config.use_mla", True, "text_config.use_mla"),
        ("tie_word_embeddings", True, "tie_word_embeddings"),
        ("quantization_config", {"quant_method": "bitsandbytes"}, "quantization_config"),
        ("vision_config.sam_config.use_rel_pos", False, "vision_config.sam_config.use_rel_pos"),
        ("vision_config.encoder_config.hidden_act", "gelu", "vision_config.encoder_config.hidden_act"),
        ("language_config", {}, "text_config"),
        ("model_type", "deepseek_ocr2", "model_type"),
    ],
)
def test_what_the_layers_do_not_do_is_refused_by_its_key(tmp_path: Path, path: str, value: object, named: str) -> None:
    assert f"config.json: {named}: " in refuse(tmp_path, change(make_config(), path, value))


@pytest.mark.parametrize(("value", "dense"), [(ABSENT, 1), (0, 0), (3, 3)])
def test_the_dense_layers_may_be_a_number(tmp_path: Path, value: object, dense: int) -> None:
    config = change(make_config(), "text_config.mlp_layer_types", ABSENT)
    if value is not ABSENT:
        config = change(config, "text_config.first_k_dense_replace", value)
    assert read_found(tmp_path, config).architecture.first_k_dense_replace == dense


def test_the_patches_of_clip_that_transformers_leaves_out_are_named(tmp_path: Path) -> None:
    """As many parameters as ours have more: torch's modules count them."""
    (warning,) = read_found(tmp_path, make_config()).warnings
    assert warning.keys == ("vision_config.encoder_config.patch_size",)
    towers = build_reference(DeepSeekOCRArchitecture(), expert_routing="even").model
    ours = sum(
        parameter.numel() for tower in (towers.sam_model, towers.vision_model) for parameter in tower.parameters()
    )
    with torch.device("meta"):
        theirs = UnlimitedOcrVisionModel(UnlimitedOcrConfig().vision_config)
    difference = ours - sum(parameter.numel() for parameter in theirs.parameters())
    assert warning.problem.startswith(f"{difference} parameters")
    with pytest.warns(ConfigKeyWarning, match="patch_size"):
        DeepSeekOCRArchitecture.from_hf_config(tmp_path / "config.json")
