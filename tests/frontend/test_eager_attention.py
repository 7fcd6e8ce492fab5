"""Models are told apart by whether their code calls one fused operator for attention, as their operators show."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import AutoConfig, AutoModelForCausalLM

from modelmeter.frontend.assemble import trace_model
from modelmeter.frontend.eager_attention import EAGER_ATTENTION_RULE
from modelmeter.frontend.prepared import prepare_model

SIZES = {
    "hidden_size": 60, "intermediate_size": 92, "num_hidden_layers": 2, "num_attention_heads": 6,
    "num_key_value_heads": 2, "head_dim": 10, "vocab_size": 97,
}  # fmt: skip


class Names(TorchDispatchMode):
    """Notes what is called."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: object, args: Any = (), kwargs: Any = None) -> Any:
        self.found.add(func._schema.name)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize(
    ("model_type", "fields", "is_eager"),
    [
        ("qwen3", {}, False),
        ("bloom", {"n_layer": 2, "n_head": 3}, True),
        ("gemma2", {"query_pre_attn_scalar": 10}, True),
        ("mpt", {"d_model": 60, "n_layers": 2, "n_heads": 6}, True),
        ("xglm", {"d_model": 60, "ffn_dim": 92, "num_layers": 2, "attention_heads": 6}, True),
    ],
)
def test_the_rule_is_there_where_no_fused_operator_is_called(
    model_type: str, fields: dict[str, int], is_eager: bool
) -> None:
    config = AutoConfig.for_model(model_type, **(SIZES | fields))
    model = AutoModelForCausalLM.from_config(config).eval()
    with torch.inference_mode(), Names() as names:
        model(torch.zeros(3, 17, dtype=torch.int64), use_cache=False)
    assert any("scaled_dot_product" in name for name in names.found) == (not is_eager)
    rules = trace_model(prepare_model(config), model_type).conventions
    assert (EAGER_ATTENTION_RULE in rules) == is_eager
    # What one kernel moves is told apart in all of these: a softcap, slopes of heads, and comparisons are no hindrance.
    assert ("``fused_io_bytes``, and the bounds of times" in rules.get(EAGER_ATTENTION_RULE, "")) == is_eager
