"""Configs of models that the layers do not describe are refused by name; what states that they do is accepted."""

from __future__ import annotations

from pathlib import Path

import pytest
from hf_configs import ABSENT, EXPECTED, change, make_config, read, refuse

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
    ("language_config.kv_lora_rank", 512),
    ("language_config.q_lora_rank", 1536),
    ("language_config.qk_nope_head_dim", 128),
    ("language_config.qk_rope_head_dim", 64),
    ("language_config.v_head_dim", 128),
    ("language_config.topk_method", "group_limited_greedy"),
    ("language_config.topk_method", ABSENT),
    ("language_config.n_group", 8),
    ("language_config.topk_group", 3),
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
    ("language_config.sliding_window", 4096),
    ("language_config.use_sliding_window", True),
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
        ("tile_tag", "2D"),
        ("global_view_pos", "head"),
        ("use_mla", False),
        ("language_config.kv_lora_rank", None),
        ("language_config.v_head_dim", 0),
        ("language_config.n_group", 1),
        ("language_config.n_group", None),
        ("language_config.scoring_func", "softmax"),
        ("language_config.moe_layer_freq", 1),
        ("language_config.head_dim", 10),
        ("language_config.lm_head", True),
        ("language_config.layer_types", ["full_attention"] * 7),
        ("language_config.sliding_window", None),
    ],
)
def test_keys_that_state_what_the_layers_do_are_accepted(tmp_path: Path, path: str, value: object) -> None:
    assert read(tmp_path, change(make_config(), path, value)) == EXPECTED
