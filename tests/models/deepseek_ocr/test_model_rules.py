"""The rules between sizes speak of sizes that exist, and the layers of the published package check theirs."""

from __future__ import annotations

import pytest

import deepseek_ocr_costs as costs
from modelmeter.models.deepseek_ocr.dimensions import DIMENSIONS
from modelmeter.models.deepseek_ocr.model_rules import RULES


def test_rules_are_between_known_sizes() -> None:
    names = {name for rule in RULES for name in rule.names}
    assert names - {"image_tokens"} <= DIMENSIONS.ranks.keys()
    assert len(set(RULES)) == len(RULES)


@pytest.mark.parametrize(
    ("layer", "sizes", "message"),
    [
        # The rotary embedding turns pairs of channels: of 127, torch would make 128.
        ("llama_rotary_embedding", {"head_dim": 127}, "head_dim must be a multiple of 2: 127 and 2"),
        # The keys are those of all queries, and of what was cached before.
        ("llama_flash_attention2", {"num_queries": 5, "num_keys": 4}, "num_queries must be at most num_keys: 5 > 4"),
        ("deepseek_v2_decoder_layer", {"num_keys": 912}, "num_queries must be at most num_keys: 913 > 912"),
        # A page in gundam mode with 2 x 3 tiles: 16 x 17 + 1 + 30 x (20 + 1) = 903.
        ("deepseek_ocr_model", {"seq_len": 902}, "seq_len must be at least image_tokens: 902 < 903"),
        ("deepseek_ocr_for_causal_lm", {"seq_len": 902, "logits_tokens": 1}, "at least image_tokens: 902 < 903"),
    ],
)  # fmt: skip
def test_layers_refuse_sizes_that_contradict_each_other(layer: str, sizes: dict[str, int], message: str) -> None:
    with pytest.raises(costs.CostError, match=message):
        getattr(costs.layers, layer)(**sizes)


def test_layers_take_sizes_at_the_edge_of_a_rule() -> None:
    # 63 pairs of channels at 7 positions, 2 FLOPs each; keys and values of 1280 channels in 2 bytes.
    assert costs.layers.llama_rotary_embedding(head_dim=126, num_queries=7).tensor_core_flops == 7 * 63 * 2
    assert costs.layers.llama_flash_attention2(num_queries=5, num_keys=5).kv_cache_bytes == 2 * 5 * 1280 * 2
    assert costs.layers.deepseek_ocr_model(seq_len=903).kv_cache_bytes == 12 * 2 * 903 * 1280 * 2
