"""Configs whose keys contradict each other: refused in one line that names the keys, and never compiled."""

from __future__ import annotations

import copy
import logging
from typing import Any

import pytest

from modelmeter.support.errors import ArchitectureError, CountError, ModelMeterError

pytest.importorskip("transformers")
from modelmeter.frontend.cards.shipped import CARDS
from modelmeter.frontend.compile import compile_config
from modelmeter.frontend.configs.config import make_config, read_model_config
from modelmeter.frontend.configs.suspects import blaming_config

_TEXT: dict[str, Any] = {
    "num_hidden_layers": 2, "hidden_size": 64, "intermediate_size": 101, "num_attention_heads": 4,
    "num_key_value_heads": 2, "vocab_size": 97, "head_dim": 16,
}  # fmt: skip
_WINDOWS: dict[str, Any] = {"sliding_window": 32, "layer_types": ["sliding_attention", "full_attention"]}
_ROPE: dict[str, Any] = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 3, 3]}
CONFIGS: dict[str, dict[str, Any]] = {
    "llama": _TEXT,
    "qwen3_moe": _TEXT | {"num_experts": 6, "num_experts_per_tok": 2, "moe_intermediate_size": 37},
    "deepseek_v3": _TEXT
    | {
        "num_key_value_heads": 4, "head_dim": None, "q_lora_rank": 24, "kv_lora_rank": 20, "qk_rope_head_dim": 8,
        "qk_nope_head_dim": 12, "v_head_dim": 10, "n_routed_experts": 8, "n_shared_experts": 1, "n_group": 4,
        "num_experts_per_tok": 2, "topk_group": 2, "moe_intermediate_size": 37, "first_k_dense_replace": 1,
    },
    "mixtral": _TEXT | {"num_local_experts": 5, "num_experts_per_tok": 2},
    "qwen2_5_vl": {
        "text_config": _TEXT | {"rope_parameters": _ROPE},
        "vision_config": {
            "depth": 5, "hidden_size": 40, "intermediate_size": 53, "num_heads": 2, "out_hidden_size": 64,
            "fullatt_block_indexes": [1, 3], "patch_size": 14, "window_size": 112,
        },
    },
    "gemma3_text": _TEXT | _WINDOWS,
    "gemma3": {"text_config": _TEXT | _WINDOWS},
    "gpt_oss": _TEXT | _WINDOWS | {"num_local_experts": 6, "num_experts_per_tok": 2},
    "phi3": _TEXT | {"pad_token_id": 0, "head_dim": None},
    "glm4": _TEXT | {"pad_token_id": 0},
    "qwen3_next": _TEXT
    | {
        "num_hidden_layers": 4, "linear_num_key_heads": 2, "linear_num_value_heads": 4, "linear_key_head_dim": 8,
        "linear_value_head_dim": 6, "linear_conv_kernel_dim": 4, "num_experts": 4, "num_experts_per_tok": 2,
        "moe_intermediate_size": 17, "shared_expert_intermediate_size": 19,
    },
}  # fmt: skip


def make_fields(model_type: str, changes: dict[str, Any]) -> dict[str, Any]:
    """Return a sound config of a type, with changes; those of a section are changes to it."""
    fields = {"model_type": model_type, **copy.deepcopy(CONFIGS[model_type])}
    fields = {key: value for key, value in fields.items() if value is not None}
    for key, value in changes.items():
        inside = isinstance(fields.get(key), dict) and isinstance(value, dict)
        fields[key] = fields[key] | value if inside else value
    return fields


def refuse(model_type: str, changes: dict[str, Any]) -> str:
    """Return the line that refuses a config."""
    with pytest.raises(ModelMeterError) as caught:
        compile_config(make_fields(model_type, changes), name="Contradictory", points=0)
    line = str(caught.value)
    assert "\n" not in line
    assert len(line) < 900
    return line


@pytest.mark.parametrize("model_type", CONFIGS)
def test_without_a_contradiction_each_is_taken(model_type: str) -> None:
    assert read_model_config(make_fields(model_type, {})).config.model_type == model_type


def test_the_defaults_of_all_types_contradict_nothing() -> None:
    """Of the types that are not refused for another reason, such as an encoder beside the decoder."""
    from modelmeter.frontend.configs.classes import COMPILED_TYPES

    contradictory, taken = [], 0
    for model_type in sorted(COMPILED_TYPES):
        try:
            taken += read_model_config(model_type).config is not None
        except ModelMeterError as error:
            contradictory += [str(error)] if "contradict" in str(error) or "out of range" in str(error) else []
    assert not contradictory
    assert taken > 200  # of 272


@pytest.mark.parametrize(
    ("model_type", "changes", "parts"),
    [
        ("llama", {"num_key_value_heads": 3}, ("num_attention_heads", "num_key_value_heads = 3", "found 4")),
        ("llama", {"num_key_value_heads": 8}, ("num_attention_heads", "num_key_value_heads = 8", "found 4")),
        ("llama", {"head_dim": None, "hidden_size": 66}, ("hidden_size", "num_attention_heads = 4", "found 66")),
        ("llama", {"head_dim": 15}, ("`head_dim`=15",)),
        ("llama", {"layer_types": ["full_attention"]}, ("`num_hidden_layers` (2)", "`layer_types` (1)")),
        ("llama", {"max_position_embeddings": -3}, ("max_position_embeddings", "at least 1", "found -3")),
        ("llama", {"hidden_size": "64"}, ("hidden_size", 'found "64"')),
        ("qwen3_moe", {"num_experts_per_tok": 7}, ("num_experts_per_tok", "num_experts = 6", "found 7")),
        ("qwen3_moe", {"num_local_experts": 9}, ("num_experts", "num_local_experts = 9", "found 6")),
        ("qwen3_moe", {"mlp_only_layers": [1, 5]}, ("mlp_only_layers", "0 to 1", "num_hidden_layers = 2", "[1, 5]")),
        ("qwen3_moe", {"decoder_sparse_step": 0}, ("decoder_sparse_step", "at least 1", "found 0")),
        ("qwen3_moe", {"layer_types": ["full_attention"] * 3}, ("`num_hidden_layers` (2)", "`layer_types` (3)")),
        ("deepseek_v3", {"num_experts_per_tok": 9}, ("num_experts_per_tok", "n_routed_experts = 8", "found 9")),
        # 2 of 4 groups of 8 experts are 4 experts.
        ("deepseek_v3", {"num_experts_per_tok": 6}, ("num_experts_per_tok", "the 4 experts", "n_group = 4", "found 6")),
        ("deepseek_v3", {"n_group": 3}, ("n_group", "n_routed_experts = 8", "found 3")),
        ("deepseek_v3", {"n_group": 0}, ("n_group", "n_routed_experts = 8", "found 0")),
        ("deepseek_v3", {"topk_group": 5}, ("topk_group", "n_group = 4", "found 5")),
        ("deepseek_v3", {"topk_group": 0}, ("topk_group", "n_group = 4", "found 0")),
        ("deepseek_v3", {"first_k_dense_replace": 3}, ("first_k_dense_replace", "num_hidden_layers = 2", "found 3")),
        ("deepseek_v3", {"first_k_dense_replace": -1}, ("first_k_dense_replace", "found -1")),
        ("deepseek_v3", {"qk_head_dim": 99}, ("qk_head_dim", "qk_nope_head_dim and qk_rope_head_dim", "found 99")),
        ("mixtral", {"num_experts_per_tok": 6}, ("num_experts_per_tok", "num_local_experts = 5", "found 6")),
        ("mixtral", {"sliding_window": 0}, ("sliding_window", "at least 1", "found 0")),
        ("gemma3_text", {"sliding_window": None}, ("sliding_window", "layer_types", "sliding_attention")),
        ("gemma3_text", {"num_attention_heads": 6}, ("hidden_size", "num_attention_heads = 6", "found 64")),
        ("gemma3", {"text_config": {"model_type": "llama"}}, ("text_config: model_type", "gemma3_text", "found llama")),
        ("gpt_oss", {"num_experts_per_tok": 7}, ("num_experts_per_tok", "num_local_experts = 6", "found 7")),
        ("gpt_oss", {"experts_per_token": 3}, ("experts_per_token", "num_experts_per_tok = 2", "found 3")),
        ("phi3", {"hidden_size": 66}, ("hidden_size", "num_attention_heads = 4", "found 66")),
        ("phi3", {"sliding_window": -1}, ("sliding_window", "at least 1", "found -1")),
        ("phi3", {"sliding_window": 8}, ("sliding_window", "at least 16", "found 8")),
        ("qwen3_next", {"full_attention_interval": 0}, ("full_attention_interval", "at least 1", "found 0")),
        # Half of a head of 16 is 8.
        (
            "qwen2_5_vl",
            {"text_config": {"rope_parameters": _ROPE | {"mrope_section": [2, 3, 4]}}},
            ("mrope_section", "half of the 16 numbers", "[2, 3, 4], whose sum is 9"),
        ),
        (
            "qwen2_5_vl",
            {"text_config": {"rope_parameters": _ROPE | {"mrope_section": [8]}}},
            ("mrope_section", "three whole numbers", "found [8]"),
        ),
        ("qwen2_5_vl", {"vision_config": {"out_hidden_size": 63}}, ("out_hidden_size", "hidden_size = 64", "found 63")),
        ("qwen2_5_vl", {"vision_config": {"depth": 0}}, ("vision_config: depth", "at least 1", "found 0")),
        (
            "qwen2_5_vl",
            {"vision_config": {"fullatt_block_indexes": [1, 9]}},
            ("fullatt_block_indexes", "0 to 4", "depth = 5", "found [1, 9]"),
        ),
    ],
)
def test_two_keys_that_contradict_each_other_are_named(
    model_type: str, changes: dict[str, Any], parts: tuple[str, ...]
) -> None:
    line = refuse(model_type, changes)
    assert [part for part in parts if part not in line] == [], line
    assert "Error:" not in line, "the words are ours, or those of transformers alone"


@pytest.mark.parametrize(
    ("model_type", "changes", "parts"),
    [
        ("glm4", {"partial_rotary_factor": 2.5}, ("partial_rotary_factor", "from 0 to 1", "found 2.5")),
        ("glm4", {"partial_rotary_factor": -1}, ("partial_rotary_factor", "from 0 to 1", "found -1")),
        ("phi3", {"partial_rotary_factor": 2}, ("partial_rotary_factor", "from 0 to 1", "found 2")),
        ("llama", {"rope_parameters": {"rope_type": "yarm", "rope_theta": 1e4}}, ("rope_type", "yarn", "found yarm")),
        ("llama", {"rope_scaling": {"rope_type": "yarm", "factor": 2.0}}, ("rope_type", "yarn", "found yarm")),
        (
            "llama",
            {"rope_parameters": {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0}},
            ("rope_parameters: rope_type", "length of a prompt", "found dynamic"),
        ),
        ("llama", {"hidden_act": "sillu"}, ("hidden_act", "silu", "found sillu")),
        ("llama", {"hidden_act": "nope"}, ("hidden_act", "gelu", "found nope")),
        ("gemma3_text", {"hidden_activation": "nope"}, ("hidden_activation", "gelu", "found nope")),
        (
            "qwen2_5_vl",
            {"vision_config": {"hidden_act": "nope"}},
            ("vision_config: hidden_act", "gelu", "found nope"),
        ),
        (
            "qwen3_next",
            {"linear_num_value_heads": 3},
            ("linear_num_value_heads", "a multiple of linear_num_key_heads = 2", "found 3"),
        ),
        ("qwen3_next", {"linear_conv_kernel_dim": 0}, ("linear_conv_kernel_dim", "at least 1", "found 0")),
        (
            "qwen3_next",
            {"full_attention_interval": 9},
            ("layer_types", "full_attention", "num_hidden_layers = 4", "found linear_attention alone"),
        ),
        # 4 heads of 16; the code has sections of 128 channels where the config has none.
        (
            "qwen2_5_vl",
            {"text_config": {"rope_parameters": {"rope_type": "default", "rope_theta": 1e4}}},
            ("mrope_section", "half of the numbers", "found none", "[16, 24, 24]"),
        ),
    ],
)
def test_where_the_code_fails_the_key_in_the_way_is_named_and_no_words_of_torch(
    model_type: str, changes: dict[str, Any], parts: tuple[str, ...]
) -> None:
    began: list[str] = []
    with pytest.raises(ModelMeterError) as caught:
        compile_config(make_fields(model_type, changes), name="Contradictory", points=0, begin=began.append)
    line = str(caught.value)
    assert [part for part in parts if part not in line] == [], line
    assert not [word for word in ("Error", "torch.", ".py", "dimension", "\n") if word in line], line
    assert began == ["read the config", "build the modules"], "a tower or a stage is not traced before"


def test_only_errors_that_begin_elsewhere_are_blamed_on_the_config() -> None:
    """What is too strict for code that does not read a key is never asked where that code runs."""
    config = read_model_config(make_fields("llama", {"partial_rotary_factor": 2.5})).config
    with blaming_config(config):
        pass
    ours = CountError("two counts differ")
    with pytest.raises(CountError) as caught, blaming_config(config):
        raise ours
    assert caught.value is ours
    with pytest.raises(ArchitectureError, match=r"partial_rotary_factor.*found 2\.5"), blaming_config(config):
        raise CountError("a forward fails") from RuntimeError("sizes")
    sound = read_model_config(make_fields("llama", {})).config
    with pytest.raises(CountError, match="a forward fails"), blaming_config(sound):
        raise CountError("a forward fails") from RuntimeError("sizes")


@pytest.mark.parametrize(
    ("model_type", "changes", "parts"),
    [
        # One expert in a group, of which the code of this model takes two.
        ("deepseek_v3", {"n_group": 8}, ("model.layers.1.mlp.gate", "n_group = 8", "n_routed_experts = 8")),
        ("deepseek_v3", {"num_key_value_heads": 2}, ("model.layers.0.self_attn", "num_key_value_heads = 2")),
        ("qwen2_5_vl", {"vision_config": {"num_heads": 3}}, ("blocks.0.attn", "hidden_size = 40", "num_heads = 3")),
        # While they are built, modules have no paths.
        ("llama", {"pad_token_id": 100}, ("LlamaModel", "pad_token_id = 100", "vocab_size = 97")),
        ("deepseek_v3", {"n_shared_experts": -1}, ("DeepseekV3MLP", "-37")),
        ("gemma3_text", {"query_pre_attn_scalar": 0}, ("Gemma3Attention", "query_pre_attn_scalar = 0")),
    ],
)
def test_where_no_rule_knows_it_the_module_and_what_it_reads_are_named(
    model_type: str, changes: dict[str, Any], parts: tuple[str, ...]
) -> None:
    line = refuse(model_type, changes)
    assert [part for part in parts if part not in line] == [], line


@pytest.mark.parametrize(
    ("model_type", "named", "expected"),
    [
        ("qwen3_moe", ["LlamaForCausalLM"], "Qwen3MoeForCausalLM"),
        ("llama", ["LlamaForSequenceClassification"], "LlamaForCausalLM"),
        ("llama", ["LlamaForCausalLM", "Qwen3ForCausalLM"], "LlamaForCausalLM"),
        ("llama", "LlamaForCausalLM", "LlamaForCausalLM"),
        ("llama", [5], "LlamaForCausalLM"),
        ("gemma3", ["Gemma3ForCausalLM"], "Gemma3ForConditionalGeneration"),
    ],
)
def test_classes_of_another_type_are_refused(model_type: str, named: object, expected: str) -> None:
    line = refuse(model_type, {"architectures": named})
    assert f"expected {expected}, of model_type = {model_type}" in line
    assert "leave it out" in line


@pytest.mark.parametrize(
    ("model_type", "named"),
    [
        ("llama", ["LlamaForCausalLM"]), ("llama", []), ("llama", None), ("gemma3_text", ["Gemma3ForCausalLM"]),
        ("qwen2_5_vl", ["Qwen2_5_VLForConditionalGeneration"]), ("phi3", ["Phi3ForCausalLM"]),
    ],
)  # fmt: skip
def test_classes_of_the_type_are_taken(model_type: str, named: object) -> None:
    assert read_model_config(make_fields(model_type, {"architectures": named})).config.model_type == model_type


def test_nothing_is_said_of_old_keys(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor of tokens beside the vocabulary, which cost nothing: transformers warns of them at every config."""
    from transformers.utils import logging as transformers_logging

    transformers_logging.enable_propagation()
    monkeypatch.setattr(transformers_logging.get_logger("transformers"), "level", logging.WARNING)
    try:
        text = {"torch_dtype": "bfloat16"}
        read_model_config(
            make_fields("qwen2_5_vl", {"torch_dtype": "bfloat16", "text_config": text, "eos_token_id": 151645})
        )
        assert caplog.messages == []
    finally:
        transformers_logging.disable_propagation()
    assert transformers_logging.get_logger("transformers").level == logging.WARNING, "as it was"


@pytest.mark.parametrize("name", sorted(CARDS))
def test_no_card_contradicts_itself(name: str) -> None:
    card = CARDS[name]
    made = make_config({**card.config, "model_type": card.model_type}, card.title, place=name, is_carded=True)
    assert made.config.model_type == card.model_type
