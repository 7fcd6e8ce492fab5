"""Attention to positions that an indexer chooses: its keys are cached, and it chooses all of a short prompt."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
import transformers
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from modelmeter.compiled_model import CompiledModel
from modelmeter.frontend.compile import compile_config
from modelmeter.frontend.configs.config import make_config
from modelmeter.frontend.modules import build_modules, choose_depth
from modelmeter.frontend.shallow import learn_once, run_prompt
from modelmeter.model.registry import forget_model

CONFIG: dict[str, Any] = {
    "model_type": "deepseek_v32", "hidden_size": 33, "intermediate_size": 53, "num_hidden_layers": 3, "vocab_size": 97,
    "num_attention_heads": 3, "num_key_value_heads": 3, "first_k_dense_replace": 3, "q_lora_rank": 19,
    "kv_lora_rank": 13, "qk_nope_head_dim": 7, "qk_rope_head_dim": 6, "v_head_dim": 11, "index_n_heads": 5,
    "index_head_dim": 9, "index_topk": 17,
}  # fmt: skip

INDEXED = 19 * 5 * 9 + 33 * 9 + 33 * 5  # queries of five heads from the latent; a key; a weight for each head


def count_prefill(batch_size: int, tokens: int) -> int:
    """FLOPs of the matrix products of a prompt: those of attention, of all positions, are masked and not left out."""
    latent = 33 * 19 + 19 * 3 * 13 + 33 * (13 + 6) + 13 * 3 * (7 + 11) + 3 * 11 * 33
    scores = 3 * (13 + 11)
    chosen = 5 * 9 + 5  # of the indexer: a product of each head, and their weighted sum
    layer = tokens * (latent + INDEXED + 3 * 33 * 53) + tokens * tokens * (scores + chosen)
    return 2 * batch_size * (3 * layer + 33 * 97)


@pytest.fixture(scope="module")
def compiled() -> Iterator[CompiledModel]:
    yield compile_config(CONFIG, name="tiny-indexed", points=1).compiled
    forget_model("tiny-indexed")


@pytest.mark.parametrize("tokens", [11, 17, 29])
def test_products_and_the_cache_are_those_by_hand_and_of_transformers(compiled: CompiledModel, tokens: int) -> None:
    with torch.device("meta"), torch.no_grad():
        config = transformers.CONFIG_MAPPING["deepseek_v32"].from_dict(CONFIG)
        model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16).eval()
        with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
            cache = model(
                input_ids=torch.empty(5, tokens, dtype=torch.int64), use_cache=True, logits_to_keep=1
            ).past_key_values
    cost = compiled.evaluate("prefill", batch_size=5, seq_len=tokens)
    assert cost.tensor_core_flops == counter.get_total_flops() == count_prefill(5, tokens)
    kept = [tensor for layer in cache.layers for tensor in (layer.keys, layer.values, layer.indexer_keys)]
    # A latent of 13 channels, a rotated key of 6, and a key of the indexer of 9.
    assert cost.kv_cache_bytes == sum(tensor.nbytes for tensor in kept) == 5 * tokens * 3 * (13 + 6 + 9) * 2


def test_the_rule_says_how_many_are_chosen(compiled: CompiledModel) -> None:
    rules = compiled.definition.conventions
    assert "an indexer chooses 17 positions" in rules["Chosen positions"]
    assert "Windows" not in rules


def test_a_first_layer_that_is_given_less_is_of_its_own_kind() -> None:
    fields = {**CONFIG, "model_type": "glm_moe_dsa", "num_hidden_layers": 5, "mlp_layer_types": ["dense"] * 5}
    config = make_config(fields, "tiny-shared", place="here").config
    model = build_modules(config)
    assert choose_depth(config, model).stacks[0].kinds == (0,) * 5
    depth, _ = learn_once(choose_depth(config, model), run_prompt)
    # Later layers are given what the first chose.
    assert (depth.stacks[0].kinds, depth.stacks[0].traced) == ((0, 1, 1, 1, 1), (0, 1, 1))
