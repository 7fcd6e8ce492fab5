"""Sizes of the config as symbols where kinds of layers take turns: their number is that of the model."""

from __future__ import annotations

from typing import Any

import pytest

from modelmeter.model.registry import forget_model

pytest.importorskip("transformers")
from modelmeter.frontend.kinds import repeat

GEMMA: dict[str, Any] = {
    "model_type": "gemma2", "hidden_size": 64, "intermediate_size": 48, "num_hidden_layers": 3,
    "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16, "vocab_size": 97, "sliding_window": 64,
}  # fmt: skip

OTHER = {"hidden_size": 72, "intermediate_size": 40, "num_attention_heads": 6, "head_dim": 10, "vocab_size": 131}


def test_layers_beyond_those_of_a_model_go_on_in_turn() -> None:
    assert repeat(["a", "b", "a"], 6) == ["a", "b", "a", "b", "a", "b"]
    assert repeat(["a", "a", "b"], 7) == ["a", "a", "b", "a", "a", "b", "a"]
    assert repeat(["a", "a"], 3) == ["a"] * 3
    assert repeat([0, 1, 1, 1], 2) == [0, 1]


def test_a_decoder_with_windows_in_turn_and_attention_in_its_code_has_general_formulas() -> None:
    from modelmeter.frontend.compile import compile_config

    found = compile_config(GEMMA, name="General-Turns", points=0, general=True)
    forget_model("general-turns")
    assert found.traced.general_refused == ""
    general = found.traced.general
    assert general is not None
    assert general.sizes.keys() == OTHER.keys(), "two heads of keys and three layers, as in the model"
    cost = found.compiled.evaluate("prefill", seq_len=11, **OTHER)
    # A layer: q and o 2 * 60 * 72, k and v 2 * 20 * 72, three matrices of 72 * 40: 20,160; and four norms of 72.
    # The table of 131 * 72, which is the head, too, and the last norm.
    assert cost.weight_bytes == 2 * (3 * (20_160 + 4 * 72) + 131 * 72 + 72)
    # Eleven tokens, scores and values of 6 heads of 10 channels over 11 x 11 positions, and the head over the last one.
    assert cost.tensor_core_flops == 3 * (2 * 11 * 20_160 + 2 * 2 * 60 * 121) + 2 * 72 * 131
