"""A decoder that was traced: its formulas against arithmetic by hand, and the evaluators made of them."""

from __future__ import annotations

from typing import Any

import pytest
import sympy

import modelmeter
from modelmeter.frontend.definition import name_model
from modelmeter.frontend.names_of_layers import name_evaluator
from modelmeter.model.registry import list_models

# 39 channels, 3 query heads and 1 key/value head of 14 channels, 59 channels in the MLP, 5 layers, 101 tokens.
Q, KV, LAYERS, VOCABULARY = 3 * 14, 14, 5, 101
MATRICES = 39 * Q + 2 * 39 * KV + Q * 39 + 3 * 39 * 59
"""Parameters of the matrices of one layer: queries, keys and values, output, and the three of the MLP."""


def test_matrix_products_are_those_of_the_matrices_and_of_the_attention(tiny_llama: Any) -> None:
    batch, prompt = (tiny_llama.compiled.symbol(name) for name in ("batch_size", "seq_len"))
    # Each position goes through each matrix; two products over S x S for Q channels; logits of one position.
    expected = batch * (LAYERS * (2 * prompt * MATRICES + 4 * prompt**2 * Q) + 2 * 39 * VOCABULARY)
    assert sympy.expand(tiny_llama.compiled.formula("prefill", "tensor_core_flops") - expected) == 0


def test_a_step_sees_all_keys_before_it_and_its_own(tiny_costs: Any) -> None:
    # Steps 1 and 2 after 11 tokens see 12 and 13 keys.
    keys = 12 + 13
    expected = 3 * (2 * LAYERS * 2 * MATRICES + LAYERS * 4 * keys * Q + 2 * 2 * 39 * VOCABULARY)
    found = tiny_costs.decode(batch_size=3, seq_len=11, decode_steps=2)
    assert found.tensor_core_flops == expected
    # One key and one value of KV channels for each of 13 positions.
    assert found.kv_cache_bytes == 3 * LAYERS * 13 * 2 * KV * 2


def test_the_parameters_are_those_of_the_model(tiny_costs: Any) -> None:
    # Two norms a layer and one at the end; embedding and LM head apart.
    parameters = LAYERS * (MATRICES + 2 * 39) + 39 + 2 * VOCABULARY * 39
    assert tiny_costs.request(weight_bits=8).weight_bytes == parameters
    assert tiny_costs.decode(weight_bits=8, decode_steps=0).weight_bytes == parameters


def test_one_linear_layer_costs_what_it_does(tiny_costs: Any) -> None:
    found = tiny_costs.layers.linear_down_proj(batch_size=3, seq_len=7)
    assert found.tensor_core_flops == 2 * 21 * 59 * 39
    # 21 rows of 59 in and 39 out, and the matrix, of 2 bytes each.
    assert found.io_bytes == 2 * (21 * 59 + 59 * 39 + 21 * 39)


def test_the_slow_way_and_the_evaluators_agree(tiny_llama: Any, tiny_costs: Any) -> None:
    sizes = {"batch_size": 5, "seq_len": 23, "max_new_tokens": 8}
    assert tiny_llama.compiled.evaluate("request", **sizes) == tiny_costs.request(**sizes)
    with pytest.raises(
        tiny_costs.CostError,
        match="seq_len must be at least 2, not 1: with less, the code of the model does something else",
    ):
        tiny_costs.prefill(seq_len=1)


def test_every_metric_of_every_module_was_counted_at_full_depth(tiny_llama: Any) -> None:
    whole = [each for each in tiny_llama.checked if each.layers == LAYERS]
    assert {each.stage for each in whole} == {"prefill", "decode"}
    # A layer is itself, its attention with 4 matrices, its MLP with 3 and an activation, and 2 norms; then the model,
    # decoder, embedding, list of layers, last norm, rotation and LM head.
    assert all(each.modules == 7 + 13 * LAYERS for each in whole)
    assert {each.dtype for each in tiny_llama.checked} == {"bfloat16", "float32"}
    assert all("peak_activation_bytes" in each.metrics for each in tiny_llama.checked)


def test_it_is_registered_in_this_process(tiny_llama: Any) -> None:
    assert "tiny-llama" in list_models()
    assert modelmeter.symbol("seq_len", "tiny-llama").is_positive


def test_pages_say_how_it_was_checked(tiny_llama: Any) -> None:
    pages = tiny_llama.compiled.pages()
    assert "FlopCounterMode" in pages["layers/llama_attention.md"]
    assert "appended to the cache in place" in pages["README.md"]


@pytest.mark.parametrize(
    ("title", "expected"),
    [("Qwen/Qwen3-0.6B", "qwen3-0-6b"), ("Llama-3.1-8B", "llama-3-1-8b"), ("7B", "model-7b"), ("...", "model")],
)
def test_models_are_named_as_ids_of_formulas_allow(title: str, expected: str) -> None:
    assert name_model(title) == expected


@pytest.mark.parametrize(
    ("class_name", "expected"),
    [
        ("LlamaRMSNorm", "llama_rms_norm"),
        ("Linear", "linear"),
        ("Qwen3MoeMLP", "qwen3_moe_mlp"),
        ("DeepseekV3MoE", "deepseek_v3_moe"),
        ("SiLUActivation", "silu_activation"),
        ("ViTMLP", "vit_mlp"),
    ],
)
def test_evaluators_are_named_like_the_classes(class_name: str, expected: str) -> None:
    assert name_evaluator(class_name) == expected
