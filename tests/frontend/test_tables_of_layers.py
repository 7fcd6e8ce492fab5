"""A table outside of the layers that has a column for each of them, and heads that differ from layer to layer."""

from __future__ import annotations

from typing import Any

import pytest

from modelmeter.model.registry import forget_model

CONFIG: dict[str, Any] = {
    "model_type": "gemma4_text", "hidden_size": 48, "intermediate_size": 59, "num_hidden_layers": 6, "vocab_size": 101,
    "num_attention_heads": 3, "num_key_value_heads": 1, "head_dim": 10, "global_head_dim": 14, "sliding_window": 19,
    "vocab_size_per_layer_input": 97, "hidden_size_per_layer_input": 7, "num_kv_shared_layers": 0,
    "layer_types": ["sliding_attention", "sliding_attention", "full_attention"] * 2,
}  # fmt: skip


def test_the_whole_model_is_traced_where_few_layers_have_another_table() -> None:
    pytest.importorskip("transformers")
    from modelmeter.frontend.compile import compile_config

    found = compile_config(CONFIG, name="Tiny-Tables", points=1)
    try:
        assert {each.layers for each in found.checked} == {6}, "no layer is left out"
        prefill = found.compiled.formula("prefill", "tensor_core_flops")
        batch_size, seq_len = map(found.compiled.symbol, ("batch_size", "seq_len"))
        # Scores and values of 3 heads: 10 wide in 4 layers, 14 in 2; each is 2 FLOPs per product.
        assert prefill.coeff(batch_size).coeff(seq_len, 2) == 2 * 2 * 3 * (4 * 10 + 2 * 14)
        table = found.traced.graph.node("model.embed_tokens_per_layer")
        assert table.parameter_count == 97 * 6 * 7
    finally:
        forget_model("tiny-tables")


def test_few_layers_stand_for_a_model_whose_tables_do_not_know_their_number() -> None:
    pytest.importorskip("transformers")
    from modelmeter.frontend.configs.config import make_config
    from modelmeter.frontend.prepared import prepare_model

    config = make_config({**CONFIG, "hidden_size_per_layer_input": 0}, "Tiny", place="here").config
    (stack,) = prepare_model(config).depth.stacks
    assert (stack.kinds, stack.traced) == ((0, 0, 1, 0, 0, 1), (0, 0, 1, 0, 1))
