"""Keys that say what the layers do not do are refused by name, others are accepted; what nobody knows is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hf_configs import ABSENT, CLIP, EXPECTED, SAM, change, make_config, read, refuse

from modelmeter.models.deepseek_ocr.architecture import read_hf_config

UNMODELLED = [
    ("architectures", ["DeepseekVLV2ForCausalLM"]),
    ("architectures", "DeepseekOCRForCausalLM"),
    ("architectures", []),
    ("architectures", ABSENT),
    ("model_type", "qwen2_vl"),
    ("model_type", ABSENT),
    ("tile_tag", "1D"),
    ("global_view_pos", "tail"),
    ("language_config.architectures", ["LlamaForCausalLM"]),
    ("language_config.model_type", "deepseek_v3"),
    ("projector_config.projector_type", "downsample_mlp_gelu"),
    ("projector_config.projector_type", ABSENT),
    ("projector_config.token_pooling", True),
    ("projector_config.conv_fusion_high_low_features", True),
    ("language_config.use_mla", True),
    ("language_config.use_mla", 0),
    ("language_config.use_mla", None),
    ("language_config.use_mla", ABSENT),
    ("language_config.topk_method", "group_limited_greedy"),
    ("language_config.topk_method", ABSENT),
    ("language_config.scoring_func", "sigmoid"),
    ("language_config.norm_topk_prob", True),
    ("language_config.moe_layer_freq", 2),
    ("language_config.moe_layer_freq", True),
    ("language_config.hidden_act", "gelu"),
    ("language_config.attention_bias", True),
    ("language_config.mlp_bias", True),
    ("language_config.tie_word_embeddings", True),
    ("language_config.lm_head", False),
    ("language_config.rm_head", True),
    ("language_config.rope_scaling", {"type": "dynamic", "factor": 2.0}),
    ("language_config.rope_scaling", {"rope_type": "default", "partial_rotary_factor": 0.5}),
    ("language_config.rope_parameters", {"rope_type": "yarn", "factor": 4.0}),
    ("language_config.rope_parameters", "default"),
    ("language_config.sliding_window", 4096),
    ("language_config.sliding_window_size", 128),
    ("language_config.use_sliding_window", True),
    ("language_config.qk_norm", True),
    ("language_config.ep_size", 2),
    ("language_config.pretraining_tp", 2),
    ("language_config.num_beams", 4),
    ("language_config.pruned_heads", {"3": [1]}),
    ("language_config.quantization_config", {"quant_method": "fp8"}),
    ("language_config.num_nextn_predict_layers", 1),
    ("language_config.num_mtp_layers", 1),
    ("language_config.medusa_num_heads", 3),
    ("language_config.peft_config", {"r": 8}),
    ("language_config._ring_window", 128),
    ("quantization", {"bits": 4, "group_size": 64}),
    ("compression_config", {"format": "pack-quantized"}),
    ("vision_config.quantization_config", {"bits": 8}),
    ("vision_config.width.siglip", {"layers": 27}),
    (f"{SAM}.patch_size", 8),
    (f"{SAM}.window_size", 7),
    (f"{SAM}.use_rel_pos", False),
    (f"{CLIP}.hidden_act", "gelu"),
    ("language_config.layer_types", ["full_attention"] * 6 + ["sliding_attention"]),
    ("language_config.layer_types", "full_attention"),
]


@pytest.mark.parametrize(("path", "value"), UNMODELLED)
def test_a_model_that_the_layers_do_not_describe_is_refused_by_name(tmp_path: Path, path: str, value: object) -> None:
    assert f"config.json: {path}: " in refuse(tmp_path, change(make_config(), path, value))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (path.removeprefix("language_config."), value)
        for path, value in UNMODELLED
        if path.startswith("language_config.")
        and value is not ABSENT
        and path.rpartition(".")[2] not in ("architectures", "model_type")
    ],
)
def test_the_same_at_the_top_level_is_refused_too(tmp_path: Path, path: str, value: object) -> None:
    assert f"config.json: {path}: " in refuse(tmp_path, make_config() | {path: value})


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("model_type", "DeepseekOCR"),
        ("model_type", "deepseekocr"),
        ("model_type", "deepseek_ocr"),
        ("model_type", "deepseek-ocr"),
        ("tile_tag", "2D"),
        ("global_view_pos", "head"),
        ("use_mla", False),
        # Nothing reads these without latent attention, and these with a gate that chooses greedily.
        ("language_config.kv_lora_rank", None),
        ("language_config.kv_lora_rank", 512),
        ("language_config.q_lora_rank", 1536),
        ("language_config.qk_nope_head_dim", 128),
        ("language_config.qk_rope_head_dim", 64),
        ("language_config.v_head_dim", 0),
        ("language_config.v_head_dim", 128),
        ("v_head_dim", 128),
        ("language_config.n_group", 1),
        ("language_config.n_group", None),
        ("language_config.n_group", 8),
        ("language_config.topk_group", 3),
        ("language_config.scoring_func", "softmax"),
        ("language_config.moe_layer_freq", 1),
        ("language_config.head_dim", 10),
        ("language_config.lm_head", True),
        ("language_config.layer_types", ["full_attention"] * 7),
        ("language_config.sliding_window", None),
        ("language_config.rope_scaling", {"type": "default"}),
        ("language_config.rope_parameters", {"rope_type": "default", "rope_theta": 10000.0}),
        # What would change costs, and is off.
        ("quantization_config", None),
        ("language_config.num_nextn_predict_layers", 0),
        ("use_mtp", False),
        ("language_config.pruned_heads", {}),
    ],
)
def test_keys_that_state_what_the_layers_do_are_accepted(tmp_path: Path, path: str, value: object) -> None:
    assert read(tmp_path, change(make_config(), path, value)) == EXPECTED


def test_all_layers_with_full_attention_have_no_window(tmp_path: Path) -> None:
    config = change(make_config(), "language_config.layer_types", ["full_attention"] * 7)
    assert read(tmp_path, config | {"sliding_window": 128}) == EXPECTED


def test_the_family_of_windows_has_one_unless_its_config_says_otherwise(tmp_path: Path) -> None:
    config = make_config() | {"model_type": "unlimited-ocr", "architectures": ["UnlimitedOCRForCausalLM"]}
    assert "config.json: language_config.sliding_window: " in refuse(tmp_path, config)
    assert "config.json: sliding_window_size: " in refuse(tmp_path, config | {"sliding_window_size": 128})
    assert read(tmp_path, config | {"sliding_window": None}) == EXPECTED


@pytest.mark.parametrize("key", ["use_mla", "topk_method"])
def test_a_key_without_a_usable_default_may_be_at_the_top_level_only(tmp_path: Path, key: str) -> None:
    config = make_config()
    value = config["language_config"].pop(key)
    assert read(tmp_path, config | {key: value}) == EXPECTED
    assert f"config.json: language_config.{key}: the key is missing" in refuse(tmp_path, config)


def test_a_refusal_gives_the_reason_and_what_is_modelled(tmp_path: Path) -> None:
    message = refuse(tmp_path, change(make_config(), "language_config.norm_topk_prob", True))
    assert "a sum and a division" in message
    assert message.endswith("expected false or null; found true")


def test_keys_that_nobody_knows_are_named(tmp_path: Path) -> None:
    config = make_config() | {"frobnicate": 3}
    config = change(config, "language_config.zap", None)
    config = change(config, f"{SAM}.out_of_here", {"inner": [1]})
    config = change(config, "projector_config.other", "x")
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    found = read_hf_config(tmp_path / "config.json")
    assert found.architecture == EXPECTED
    (warning,) = found.warnings
    assert set(warning.keys) == {"frobnicate", "language_config.zap", f"{SAM}.out_of_here", "projector_config.other"}
    assert str(warning).startswith(f"{tmp_path / 'config.json'}: unknown keys, on which costs may depend: frobnicate, ")


def test_keys_that_are_known_give_no_warning(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(make_config()), encoding="utf-8")
    assert read_hf_config(tmp_path / "config.json").warnings == ()
