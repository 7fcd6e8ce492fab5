"""Every key of a config is one of: read, ruled, costless; and the classes that write configs have no other keys."""

from __future__ import annotations

import pytest
from transformers import DeepseekV2Config, UnlimitedOcrConfig

from modelmeter.models.deepseek_ocr import hf_keys
from modelmeter.models.deepseek_ocr.hf_keys import KeyRule, find_suspicion
from modelmeter.models.deepseek_ocr.hf_layout import Layout
from modelmeter.models.deepseek_ocr.hf_transformers_layout import TRANSFORMERS
from modelmeter.models.deepseek_ocr.hf_vendor_layout import VENDOR

# The parameters of the vendor's own configuration class, DeepseekV2Config.
VENDOR_PARAMETERS = {
    "vocab_size", "hidden_size", "intermediate_size", "moe_intermediate_size", "num_hidden_layers",
    "num_attention_heads", "num_key_value_heads", "n_shared_experts", "n_routed_experts", "ep_size",
    "routed_scaling_factor", "kv_lora_rank", "q_lora_rank", "qk_rope_head_dim", "v_head_dim", "qk_nope_head_dim",
    "topk_method", "n_group", "topk_group", "num_experts_per_tok", "moe_layer_freq", "first_k_dense_replace",
    "norm_topk_prob", "scoring_func", "aux_loss_alpha", "seq_aux", "hidden_act", "max_position_embeddings",
    "initializer_range", "rms_norm_eps", "use_cache", "pad_token_id", "bos_token_id", "eos_token_id",
    "pretraining_tp", "tie_word_embeddings", "rope_theta", "rope_scaling", "attention_bias", "attention_dropout",
    "use_mla",
}  # fmt: skip


def list_tables(layout: Layout, section: str) -> list[str]:
    """Return all keys of a section, as often as tables have them."""
    groups = [group for group in layout.groups if section in group.sections]
    return [key for group in groups for key in (*group.rules, *group.costless, *group.read)]


@pytest.mark.parametrize("layout", [VENDOR, TRANSFORMERS], ids=["vendor", "transformers"])
def test_a_key_is_in_one_table(layout: Layout) -> None:
    """But for two names: of the class and the family, which have a rule where there is one for them."""
    for section in {section for group in layout.groups for section in group.sections}:
        keys = [key for key in list_tables(layout, section) if key not in ("architectures", "model_type")]
        assert len(keys) == len(set(keys)), section


def test_every_key_that_costs_nothing_has_a_reason() -> None:
    tables = (
        hf_keys.GENERAL_COSTLESS, hf_keys.DECODER_COSTLESS, hf_keys.MODEL_COSTLESS, hf_keys.PROJECTOR_COSTLESS,
        hf_keys.VISION_COSTLESS,
    )  # fmt: skip
    assert all(reason for table in tables for reason in table.values())


def test_the_vendors_class_has_no_other_keys() -> None:
    for section in ("language_config", ""):
        assert set(list_tables(VENDOR, section)) >= VENDOR_PARAMETERS


def test_transformers_decoder_has_no_other_keys() -> None:
    assert set(DeepseekV2Config().to_dict()) <= set(list_tables(VENDOR, "language_config"))


def test_transformers_own_config_has_no_other_keys() -> None:
    config = UnlimitedOcrConfig().to_dict()
    sections = {
        "": config, "text_config": config["text_config"], "vision_config": config["vision_config"],
        "vision_config.sam_config": config["vision_config"]["sam_config"],
        "vision_config.encoder_config": config["vision_config"]["encoder_config"],
    }  # fmt: skip
    for section, keys in sections.items():
        assert set(keys) <= set(list_tables(TRANSFORMERS, section)), section


@pytest.mark.parametrize(
    "key", ["num_nextn_predict_layers", "mtp_num_layers", "quantization_config", "sliding-window", "lora_rank", "sinks"]
)
def test_a_word_of_its_name_makes_a_key_suspicious(key: str) -> None:
    assert find_suspicion(key)


@pytest.mark.parametrize("key", ["exploration", "prompt_template", "frobnicate", "", "_", "seqlora"])
def test_a_part_of_a_word_does_not(key: str) -> None:
    assert find_suspicion(key) == ""


def test_a_rule_compares_types_too() -> None:
    rule = KeyRule(allowed=(1, None), reason="because")
    assert [rule.allows(value) for value in (1, None, True, 1.0, "1", 0)] == [True, True, False, False, False, False]
