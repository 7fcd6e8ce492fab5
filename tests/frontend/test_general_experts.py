"""A DeepSeek decoder with sizes of its config as symbols: latent attention and experts, against numbers by hand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import sympy

from modelmeter.model.registry import forget_model

DEEPSEEK: dict[str, Any] = {
    "model_type": "deepseek_v3", "hidden_size": 46, "intermediate_size": 38, "moe_intermediate_size": 34,
    "num_hidden_layers": 4, "first_k_dense_replace": 1, "num_attention_heads": 6, "num_key_value_heads": 6,
    "vocab_size": 97, "n_routed_experts": 8, "num_experts_per_tok": 2, "n_shared_experts": 2, "n_group": 2,
    "topk_group": 1, "q_lora_rank": 18, "kv_lora_rank": 14, "qk_rope_head_dim": 10, "qk_nope_head_dim": 22,
    "v_head_dim": 26, "tie_word_embeddings": False,
}  # fmt: skip

OTHER: dict[str, int] = {
    "hidden_size": 62, "intermediate_size": 58, "moe_intermediate_size": 42, "num_hidden_layers": 5,
    "first_k_dense_replace": 2, "num_attention_heads": 5, "vocab_size": 131, "n_routed_experts": 10,
    "num_experts_per_tok": 3, "n_shared_experts": 3, "q_lora_rank": 26, "kv_lora_rank": 34, "qk_rope_head_dim": 14,
    "qk_nope_head_dim": 30, "v_head_dim": 38,
}  # fmt: skip
"""Sizes of another config of the family; none is that of the model."""

# A token in an attention: to 26 channels and on to 5 heads of 44, 2 * 62 * 26 + 2 * 26 * 220 = 14,664; to 34 + 14
# channels, and 34 of them on to 5 heads of 30 + 38, 2 * 62 * 48 + 2 * 34 * 340 = 29,072; back, 2 * 190 * 62 = 23,560:
# 67,296 together. Scores and values over 11 x 11 positions: 2 * 121 * 5 * (44 + 38) = 99,220.
# A dense MLP: 6 * 62 * 58 = 21,576. Router, 3 experts and 3 shared ones: 2 * 62 * 10 + 2 * 3 * 6 * 62 * 42 = 94,984.
# 5 * (11 * 67,296 + 99,220) + 2 * 11 * 21,576 + 3 * 11 * 94,984, and the head, 2 * 62 * 131: 7,822,768 a sequence.
PREFILL_FLOPS = 3 * 7_822_768

# An attention: 62 * 26 + 26 + 26 * 220 + 62 * 48 + 34 + 34 * 340 + 190 * 62 = 33,708, and 2 norms of 62: 33,832.
# A dense MLP: 3 * 62 * 58 = 10,788. Experts: 62 * 10 + (10 + 3) * 3 * 62 * 42 = 102,176. The table and the head:
# 131 * 62 each. 5 * 33,832 + 2 * 10,788 + 3 * 102,176 + 2 * 8,122 + 62 = 513,570 parameters of two bytes.
WEIGHT_BYTES = 2 * 513_570

# 34 + 14 channels are kept of each of 11 positions of 3 sequences in 5 layers, two bytes each.
CACHE_BYTES = 2 * 5 * 3 * 11 * 48


@pytest.fixture(scope="module")
def deepseek() -> Iterator[Any]:
    pytest.importorskip("transformers")
    from modelmeter.frontend.compile import compile_config

    yield compile_config(DEEPSEEK, name="General-DeepSeek", points=0, general=True)
    forget_model("general-deepseek")


def test_other_sizes_cost_what_they_do_by_hand(deepseek: Any) -> None:
    model = deepseek.compiled
    assert deepseek.traced.general_refused == ""
    sizes = {**OTHER, "batch_size": 3, "seq_len": 11, "weight_bits": 16, "kv_bits": 16}
    values = {model.symbol(name): sympy.Integer(size) for name, size in sizes.items()}
    found = {
        metric: model.formula("prefill", metric, symbolic=True).xreplace(values)
        for metric in ("tensor_core_flops", "weight_bytes", "kv_cache_bytes")
    }
    assert found == {
        "tensor_core_flops": PREFILL_FLOPS, "weight_bytes": WEIGHT_BYTES, "kv_cache_bytes": CACHE_BYTES,
    }  # fmt: skip


def test_sizes_are_those_of_the_config_and_what_ties_them_is_named(deepseek: Any) -> None:
    form = deepseek.traced.general
    assert form.sizes == {name: DEEPSEEK[name] for name in OTHER}
    assert "num_key_value_heads = num_attention_heads" in form.fixed
    rules = {(rule.a, rule.relation, rule.b) for rule in form.rules}
    assert {
        ("num_experts_per_tok", "at_most", "n_routed_experts"),
        ("first_k_dense_replace", "at_most", "num_hidden_layers"),
        (2, "divides", "qk_rope_head_dim"),
        (2, "divides", "n_routed_experts"),  # groups of experts
    } <= rules


def test_expected_experts_are_those_of_the_sizes(deepseek: Any) -> None:
    """Of 10 experts, 7 tokens that choose 3 each are expected to choose 10 (1 - 0.7^7), whose weights are read."""
    model = deepseek.compiled
    sizes = {**OTHER, "batch_size": 1, "seq_len": 7, "weight_bits": 8, "activation_bits": 0, "kv_bits": 0}
    rows = [row for row in model.operators("prefill") if row.path.endswith("mlp.experts") and row.operator == "mm"]
    values = {model.symbol(name): sympy.Integer(size) for name, size in sizes.items()}
    moved = sum(sympy.sympify(row.cost.io_bytes).xreplace(values) for row in rows)
    expected = 10 * (1 - sympy.Rational(7, 10) ** 7) * 3 * 62 * 42
    assert abs(moved - 3 * expected) <= 3  # in each of 3 layers, rounded to whole parameters
