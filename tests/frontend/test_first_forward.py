"""What modules keep in their first forward, and every later one reads: formulas are those of later forwards."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from torch import nn

from modelmeter.frontend.compile import TracedCompilation, compile_config
from modelmeter.frontend.configs.config import make_config
from modelmeter.frontend.modules import build_modules, choose_depth
from modelmeter.frontend.shallow import build_shallow, learn_once, run_prompt
from modelmeter.model.registry import forget_model
from modelmeter.verify.counting import count_forward

HALF = 13  # frequencies: half the channels of a head

CONFIG: dict[str, Any] = {
    "model_type": "phi3", "hidden_size": 78, "intermediate_size": 53, "num_hidden_layers": 3, "vocab_size": 97,
    "num_attention_heads": 3, "num_key_value_heads": 3, "max_position_embeddings": 2048, "pad_token_id": 0,
    "original_max_position_embeddings": 64, "rope_parameters": {
        "rope_type": "longrope", "rope_theta": 10000.0, "short_factor": [1.0] * HALF, "long_factor": [1.5] * HALF,
        "original_max_position_embeddings": 64,
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def compiled() -> Iterator[TracedCompilation]:
    yield compile_config(CONFIG, name="long-phi", points=2)
    forget_model("long-phi")


def build() -> nn.Module:
    return build_modules(make_config(CONFIG, "long-phi", place="here").config)


def test_a_rotation_is_that_of_every_forward_but_the_first(compiled: TracedCompilation) -> None:
    # Of one position: angles, and of both halves cosines, sines, and each of these scaled.
    by_hand = HALF + 2 * HALF + 2 * HALF + 2 * HALF + 2 * HALF
    for forward in compiled.traced.runs["decode"].forwards:
        counted = [each.operator for each in forward.operators if each.path == "model.rotary_emb"]
        assert sum(each.cuda_core_flops for each in counted) == by_hand
    assert "those of later forwards" in compiled.traced.conventions["First forward"]


def test_a_first_forward_does_more() -> None:
    model = build()
    first, second = (count_forward(model, lambda: run_prompt(model)).by_path() for _ in range(2))
    rotation = "model.rotary_emb"
    # For each frequency a quotient, a power, a product with its factor, and a reciprocal that is multiplied by 1.
    assert first[rotation].cuda_core_flops - second[rotation].cuda_core_flops == 5 * HALF
    assert {path for path in first if first[path] != second[path]} == {rotation, "model", ""}


def test_a_model_that_keeps_nothing_is_traced_as_it_is_built() -> None:
    fields = {**CONFIG, "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0}}
    config = make_config(fields, "short-phi", place="here").config
    depth, _ = learn_once(choose_depth(config, build_modules(config)), run_prompt)
    assert not depth.keeps_once
    assert not hasattr(build_shallow(depth).get_submodule("model.rotary_emb"), "long_inv_freq")


def test_a_model_of_few_layers_is_built_with_what_it_keeps() -> None:
    config = make_config(CONFIG, "long-phi", place="here").config
    depth, _ = learn_once(choose_depth(config, build_modules(config)), run_prompt)
    assert depth.keeps_once
    for model in (build_shallow(depth), depth.whole):
        assert model.get_submodule("model.rotary_emb").long_inv_freq.shape == (HALF,)  # type: ignore[union-attr]
