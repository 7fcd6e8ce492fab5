"""Which modules are of one kind, so that few of them are traced for all."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from torch import nn

from modelmeter.frontend.configs.config import make_config
from modelmeter.frontend.kinds import describe_kind, leave_out_turns
from modelmeter.frontend.modules import build_modules, choose_depth
from modelmeter.frontend.shallow import learn_once, run_prompt


class Scaled(nn.Module):
    def __init__(self, scale: Any) -> None:
        super().__init__()
        self.projection = nn.Linear(3, 5)
        self.scale = scale


def test_a_fraction_is_as_good_as_any_other() -> None:
    assert describe_kind(Scaled(0.25)) == describe_kind(Scaled(1.4 / 7**0.5))


@pytest.mark.parametrize(
    ("scale", "other"), [(0.0, 0.1), (1.0, 0.9), (1.0, 2.0), (1, 2), (float("inf"), 0.5), (None, 0.5)]
)
def test_what_code_asks_for_tells_kinds_apart(scale: Any, other: Any) -> None:
    assert describe_kind(Scaled(scale)) != describe_kind(Scaled(other))


def test_a_scale_of_all_layers_leaves_few_of_them() -> None:
    fields = {
        "model_type": "minicpm3", "hidden_size": 33, "intermediate_size": 53, "num_hidden_layers": 7, "vocab_size": 97,
        "num_attention_heads": 3, "num_key_value_heads": 3, "q_lora_rank": 19, "kv_lora_rank": 17,
        "qk_nope_head_dim": 5, "qk_rope_head_dim": 6, "v_head_dim": 11, "scale_depth": 1.4,
    }  # fmt: skip
    config = make_config(fields, "scaled", place="here").config
    (stack,) = choose_depth(config, build_modules(config)).stacks
    assert (stack.kinds, stack.traced) == ((0,) * 7, (0, 0))


@pytest.mark.parametrize(
    ("kinds", "left"),
    [
        ([0] * 61, [0, 0]),
        ([0] * 3 + [1] * 58, [0, 0, 1, 1]),
        ([2, 0, 1, 0, 1], [2, 0, 1, 0, 1]),
        (([0] * 5 + [1]) * 7, [0, 1, 0, 0, 1]),
        # Scans, MLPs and attention in turns: 21 layers have both attentions, and nine say as much.
        ([0, 1, 0, 1, 0, 1, 0, 0, 1, 0, 1, 0, 1, 0, 2, 1, 0, 1, 0, 1, 0, 2, 1, 0, 1], [0, 0, 2, 1, 0, 1, 0, 2, 1]),
    ],
)
def test_turns_of_layers_are_left_out(kinds: list[int], left: list[int]) -> None:
    chosen = leave_out_turns(kinds)
    assert list(chosen) == sorted(chosen)
    found = [kinds[place] for place in chosen]
    assert set(pairwise(found)) == set(pairwise(kinds))
    assert all(found.count(kind) >= min(2, kinds.count(kind)) for kind in kinds)
    assert len(found) == len(left)


def test_a_first_layer_that_is_given_another_type_is_of_its_own_kind() -> None:
    fields = {
        "model_type": "mamba2", "hidden_size": 22, "num_hidden_layers": 5, "vocab_size": 97, "num_heads": 11,
        "head_dim": 4, "state_size": 7, "n_groups": 1, "chunk_size": 16,
    }  # fmt: skip
    config = make_config(fields, "residual", place="here").config
    depth, _ = learn_once(choose_depth(config, build_modules(config)), run_prompt)
    # Embeddings are in bfloat16, and what is added up from then on in float32.
    assert (depth.stacks[0].kinds, depth.stacks[0].traced) == ((0, 1, 1, 1, 1), (0, 1, 1))
