"""Models whose code spells out their attention move what they move whose code calls the fused operator of PyTorch.

What is expected is the trace of the same model with that operator, and arithmetic at sizes that are all distinct.
"""

from __future__ import annotations

from typing import Any

import pytest
import sympy
from transformers import AutoConfig

from modelmeter.frontend import recording
from modelmeter.frontend.assemble import trace_model
from modelmeter.frontend.eager_attention import EAGER_ATTENTION_RULE as RULE
from modelmeter.frontend.records import TracedModel
from modelmeter.metrics.cost import Elements, Precision, Work
from modelmeter.metrics.fusion import keep_unfused
from modelmeter.metrics.operator_table import EAGER_ATTENTION

SIZES: dict[str, Any] = {
    "hidden_size": 60, "intermediate_size": 92, "num_hidden_layers": 2, "num_attention_heads": 6,
    "num_key_value_heads": 2, "head_dim": 10, "vocab_size": 97,
}  # fmt: skip
WIDTHS = Precision(
    weight_bits=sympy.Symbol("weights"), activation_bits=sympy.Symbol("activations"), kv_bits=sympy.Symbol("kv")
)


def trace(model_type: str, implementation: str | None, **fields: Any) -> TracedModel:
    config = AutoConfig.for_model(model_type, **(SIZES | fields))
    if implementation is not None:
        config._attn_implementation = implementation
    return trace_model(config, model_type)[0]


def count_bits(traced: TracedModel, *, fused: bool) -> dict[tuple[str, int], sympy.Expr]:
    """Return the traffic of each forward of each stage."""
    found = {}
    for name, run in traced.runs.items():
        for place, forward in enumerate(run.forwards):
            operators = [each.operator for each in forward.operators]
            work = Work.of(map(keep_unfused, operators)) if fused else Work.of(operators)
            bits = sympy.expand((work.reads + work.writes).to_bits(WIDTHS))
            found[name, place] = bits.xreplace({each: sympy.Symbol(each.name) for each in bits.free_symbols})
    return found


def test_eager_llama_moves_what_llama_moves_whose_code_calls_the_fused_operator() -> None:
    eager, fused = (trace("llama", name) for name in ("eager", "sdpa"))
    assert RULE in eager.conventions
    assert RULE not in fused.conventions
    assert count_bits(eager, fused=True) == count_bits(fused, fused=True)
    # Not so without fusion, where scores are stored.
    ours, theirs = count_bits(eager, fused=False), count_bits(fused, fused=False)
    assert all(sympy.degree(ours[key] - theirs[key], sympy.Symbol("seq_len")) >= 1 for key in ours)


def test_the_fused_operator_of_pytorch_reads_a_mask_where_a_window_fills() -> None:
    """It has no window. transformers hands it a mask, and keys and values that were copied: a kernel reads neither."""
    eager, fused = (count_bits(trace("mistral", name, sliding_window=23), fused=True) for name in ("eager", "sdpa"))
    tokens, sequences = sympy.symbols("seq_len batch_size")
    # In each of 2 layers: a byte for each pair of positions, and keys and values of 6 heads of 10, not of 2.
    copies = 2 * 2 * tokens * 10 * (6 * WIDTHS.activation_bits - 2 * WIDTHS.kv_bits)
    masks = 2 * 8 * tokens**2
    apart = {key: sympy.expand(fused[key] - eager[key]) for key in eager}
    assert apart["prefill", 0] == apart["prefill", 1] == apart["decode", 0] == 0
    assert apart["prefill", 2] == sympy.expand(masks + sequences * copies)
    assert apart["prefill", 3] == sympy.expand(masks + copies)
    assert apart["decode", 1] == 2 * 8 * 23  # one row of a mask


def test_gpt_oss_reads_its_keys_once_and_its_sinks() -> None:
    traced = trace(
        "gpt_oss", None, num_local_experts=5, num_experts_per_tok=2, sliding_window=23,
        layer_types=["sliding_attention", "full_attention"],
    )  # fmt: skip
    assert "is not read" in traced.conventions[RULE]
    tokens, sequences, step = sympy.symbols("seq_len batch_size decode_step")
    # In each of 2 layers: queries of 6 heads of 10, keys and values of 2 heads of 10, 6 sinks, and the output.
    for place, count in ((0, sequences), (1, 1), (2, sequences), (3, 1)):
        expect_attention(
            traced, "prefill", place, activation=2 * 60 * count * tokens, kv=2 * 40 * count * tokens,
            output=2 * 60 * count * tokens,
        )  # fmt: skip
    # A step: one query. A layer sees all positions, or those of its window of 23.
    seen = tokens + step
    expect_attention(traced, "decode", 0, activation=120 * sequences, kv=80 * sequences * seen, output=120 * sequences)
    expect_attention(
        traced, "decode", 1, activation=120 * sequences, kv=40 * sequences * (seen + 23), output=120 * sequences
    )  # fmt: skip


def expect_attention(traced: TracedModel, stage: str, place: int, *, activation: Any, kv: Any, output: Any) -> None:
    operators = [each.operator for each in traced.runs[stage].forwards[place].operators]
    kernels = [each for each in operators if each.name == EAGER_ATTENTION]
    reads = Elements.total(each.reads for each in kernels)
    writes = Elements.total(each.writes for each in kernels)

    def named(size: Any) -> sympy.Expr:
        size = sympy.expand(size)
        return size.xreplace({each: sympy.Symbol(each.name) for each in size.free_symbols})

    assert len(kernels) == 2
    assert (named(reads.activation), reads.weight) == (sympy.expand(activation), 2 * 6)
    assert named(reads.kv) == sympy.expand(kv)
    assert named(writes.activation) == sympy.expand(output)
    assert writes.kv == reads.float32 == reads.index == reads.byte == 0


def test_what_was_not_found_is_said_to_be_in_all_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording.AttentionFinder, "list_found", lambda self: [])
    traced = trace("llama", "eager")
    assert "they are no lower bounds" in traced.conventions[RULE]
