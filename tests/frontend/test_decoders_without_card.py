"""Decoders that need no card, each for what its code does unlike others: counted again where no compilation counts."""

from __future__ import annotations

from typing import Any

import pytest
import sympy

from modelmeter.model.registry import forget_model
from modelmeter.support.errors import ModelMeterError

SIZES = {"hidden_size": 48, "num_attention_heads": 3, "vocab_size": 101}
DEEP = {**SIZES, "num_hidden_layers": 2, "intermediate_size": 59}
POSITIONS = 131

CONFIGS: dict[str, dict[str, Any]] = {
    # attention in float32 on keys that are cached in the type of the model
    "gptj": {"n_embd": 48, "n_head": 3, "n_layer": 2, "n_inner": 59, "rotary_dim": 8, "vocab_size": 101},
    # a mask of positions in the default type of torch
    "opt": {**SIZES, "num_hidden_layers": 2, "ffn_dim": 59, "word_embed_proj_dim": 48, "max_position_embeddings": 512},
    # softmax by a module that is made on the fly
    "codegen": {"n_embd": 48, "n_head": 4, "n_layer": 2, "n_inner": 59, "rotary_dim": 8, "vocab_size": 101},
    # numbers that code writes down as tensors, and a mask of as many positions as there are
    "gpt_neo": {
        "hidden_size": 48, "num_heads": 3, "num_layers": 2, "attention_types": [[["global", "local"], 1]],
        "intermediate_size": 59, "vocab_size": 101, "max_position_embeddings": POSITIONS, "window_size": 67,
    },
    # experts of which a token chooses more than half
    "flex_olmo": {**DEEP, "pad_token_id": 0, "num_key_value_heads": 1, "num_experts": 7, "num_experts_per_tok": 5},
    # an activation of expm1 and log1p
    "apertus": {**DEEP, "num_key_value_heads": 1},
}  # fmt: skip


@pytest.mark.parametrize("model_type", CONFIGS)
def test_flops_are_those_of_flop_counter_mode_at_a_fresh_point(model_type: str) -> None:
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    from modelmeter.frontend.compile import compile_config

    fields = {"model_type": model_type, **CONFIGS[model_type]}
    compiled = compile_config(fields, name=f"Tiny-{model_type}", points=1).compiled
    try:
        config = transformers.CONFIG_MAPPING[model_type].from_dict(fields)
        with torch.device("meta"), torch.no_grad():
            model = transformers.AutoModelForCausalLM.from_config(config, experts_implementation="batched_mm").eval()
            tokens = torch.empty(3, 29, dtype=torch.int64)
            with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
                cache = model(input_ids=tokens, use_cache=True, logits_to_keep=1).past_key_values
        cost = compiled.evaluate("prefill", batch_size=3, seq_len=29)
        assert cost.tensor_core_flops == counter.get_total_flops() > 0
        kept = sum(tensor.numel() for layer in cache.layers for tensor in (layer.keys, layer.values))
        assert cost.kv_cache_bytes == 2 * kept  # of 16 bits
        assert cost.weight_bytes == 2 * sum(parameter.numel() for parameter in model.parameters())
        if model_type == "gpt_neo":  # as many positions as its masks have, less the one where they are taken whole
            with pytest.raises(ModelMeterError, match="seq_len: two sizes contradict"):
                compiled.evaluate("prefill", seq_len=POSITIONS)
    finally:
        forget_model(f"tiny-{model_type.replace('_', '-')}")


@pytest.mark.parametrize(
    ("condition", "last"),
    [("seq_len <= 512", 512), ("seq_len < 512", 511), ("-seq_len + 512 > 0", 511), ("seq_len >= 100", 99)],
)
def test_a_trace_is_made_again_within_the_positions_that_a_guard_names(condition: str, last: int) -> None:
    pytest.importorskip("transformers")
    from transformers import LlamaConfig

    from modelmeter.frontend.borders import trace_within
    from modelmeter.verify.guards import GuardError

    symbol = sympy.Symbol("seq_len", integer=True, positive=True)
    left, relation, right = condition.rsplit(" ", 2)
    sides = {"seq_len": symbol, "-seq_len + 512": 512 - symbol}[left], sympy.Integer(right)
    guard = sympy.Rel(*sides, relation)
    asked: list[int | None] = []

    def trace(longest: int | None) -> str:
        asked.append(longest)
        if longest is None:
            raise GuardError("a guard", condition=guard)
        return "traced"

    assert trace_within(LlamaConfig(), {symbol: 0}, trace) == (last, "traced")
    assert asked == [None, last]


def test_what_positions_are_not_to_blame_for_is_refused_at_once() -> None:
    pytest.importorskip("transformers")
    from transformers import LlamaConfig

    from modelmeter.frontend.borders import trace_within
    from modelmeter.support.errors import CountError

    asked: list[int | None] = []

    def trace(longest: int | None) -> str:
        asked.append(longest)
        raise CountError("an operator that nothing accounts for")

    with pytest.raises(CountError, match="nothing accounts for"):
        trace_within(LlamaConfig(), {}, trace)
    assert asked == [None]
