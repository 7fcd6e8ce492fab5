"""A mixture of experts that was traced: its formulas against arithmetic by hand."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import pytest
import sympy

from modelmeter.model.registry import forget_model

# 46 channels, 2 heads of 14 channels, 1 for keys and values; 5 experts of 34 channels, 2 a token; 3 layers, 97 tokens.
CONFIG: dict[str, Any] = {
    "model_type": "qwen3_moe", "hidden_size": 46, "intermediate_size": 38, "moe_intermediate_size": 34,
    "num_hidden_layers": 3, "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 14, "vocab_size": 97,
    "num_experts": 5, "num_experts_per_tok": 2, "tie_word_embeddings": False,
}  # fmt: skip
ATTENTION = 46 * 28 + 2 * 46 * 14 + 28 * 46
EXPERT = 3 * 46 * 34


@pytest.fixture(scope="module")
def experts() -> Iterator[Any]:
    pytest.importorskip("transformers")
    from modelmeter.frontend.compile import compile_config

    yield compile_config(CONFIG, name="Tiny-Experts", points=1)
    forget_model("tiny-experts")


def test_each_token_goes_through_as_many_experts_as_it_chooses(experts: Any) -> None:
    batch, prompt = (experts.compiled.symbol(name) for name in ("batch_size", "seq_len"))
    each = 2 * (ATTENTION + 46 * 5 + 2 * EXPERT)  # the router has a column for each expert
    expected = batch * (3 * (prompt * each + 4 * prompt**2 * 28) + 2 * 46 * 97)
    assert sympy.expand(experts.compiled.formula("prefill", "tensor_core_flops") - expected) == 0


def test_weights_are_read_of_the_experts_that_are_expected_to_be_chosen(experts: Any) -> None:
    expected = 5 * (1 - Fraction(3, 5) ** 7)  # distinct experts of 7 tokens that choose 2 of 5 each
    path = "model.layers.0-2.mlp.experts"
    rows = [row for row in experts.compiled.operators("prefill") if row.path == path]
    sizes = {"batch_size": 1, "seq_len": 7, "weight_bits": 8, "activation_bits": 0, "kv_bits": 0}
    moved = sum(row.cost.io_bytes for row in rows if row.operator == "mm")
    values = {experts.compiled.symbol(name): size for name, size in sizes.items()}
    # In each of 3 layers, rounded to whole parameters.
    assert abs(sympy.sympify(moved).xreplace(values) - 3 * expected * EXPERT) <= 3


def test_the_loop_was_counted_with_experts_drawn_by_chance(experts: Any) -> None:
    assert "bilinear in the tokens and in the distinct experts" in experts.traced.conventions["Expert weights"]


def test_a_loop_that_is_not_bilinear_is_refused() -> None:
    pytest.importorskip("transformers")
    from modelmeter.frontend.bilinear import Bilinear

    formula = Bilinear(constant=3, tokens=5, experts=7, both=11)
    assert formula.at(2, 13) == 3 + 5 * 2 + 7 * 13 + 11 * 2 * 13
    assert formula.expect(2, lambda weight: 13 * weight) == formula.at(2, 13)


def test_loops_of_equal_shapes_with_other_activations_are_told_apart() -> None:
    pytest.importorskip("transformers")
    from modelmeter.frontend.compile import compile_config

    found = {}
    for activation in ("silu", "relu"):
        compiled = compile_config({**CONFIG, "hidden_act": activation}, name=f"Tiny-{activation}", points=0).compiled
        found[activation] = compiled.formula("prefill", "cuda_core_flops")
        batch, prompt = (compiled.symbol(name) for name in ("batch_size", "seq_len"))
        forget_model(f"tiny-{activation}")
    # SiLU is 4 FLOPs and ReLU 1, of 34 channels of 2 experts a token in each of 3 layers.
    assert sympy.expand(found["silu"] - found["relu"] - 3 * batch * prompt * 3 * 2 * 34) == 0


def test_one_expert_is_a_loop_of_one_turn() -> None:
    pytest.importorskip("transformers")
    from modelmeter.frontend.compile import compile_config

    fields = {**CONFIG, "num_experts": 1, "num_experts_per_tok": 1}
    compiled = compile_config(fields, name="Tiny-One", points=1).compiled
    forget_model("tiny-one")
    batch, prompt = (compiled.symbol(name) for name in ("batch_size", "seq_len"))
    each = 2 * (ATTENTION + 46 + EXPERT)
    expected = batch * (3 * (prompt * each + 4 * prompt**2 * 28) + 2 * 46 * 97)
    assert sympy.expand(compiled.formula("prefill", "tensor_core_flops") - expected) == 0
