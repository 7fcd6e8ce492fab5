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
from modelmeter.frontend.attention_rest import ATTENTION_REST_RULE
from modelmeter.frontend.eager_attention import EAGER_ATTENTION_RULE as RULE
from modelmeter.frontend.prepared import prepare_model
from modelmeter.frontend.records import TracedModel
from modelmeter.metrics.cost import Elements, Precision, Work
from modelmeter.metrics.fusion import keep_unfused
from modelmeter.metrics.operator_table import ATTENTION, EAGER_ATTENTION
from modelmeter.metrics.operator_table import ATTENTION_REST as REST

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
    return trace_model(prepare_model(config), model_type)


def count_bits(traced: TracedModel, *, fused: bool) -> dict[tuple[str, int], sympy.Expr]:
    """Return the traffic of each forward of each stage."""
    found = {}
    for name, run in traced.runs.items():
        for place, forward in enumerate(run.forwards):
            operators = [each.operator for each in forward.operators]
            work = Work.of(map(keep_unfused, operators)) if fused else Work.of(operators)
            found[name, place] = name_symbols((work.reads + work.writes).to_bits(WIDTHS))
    return found


def test_eager_llama_moves_what_llama_moves_whose_code_calls_the_fused_operator() -> None:
    eager, fused = (trace("llama", name) for name in ("eager", "sdpa"))
    assert RULE in eager.conventions
    assert RULE not in fused.conventions
    assert count_bits(eager, fused=True) == count_bits(fused, fused=True)
    # Not so without fusion, where scores are stored.
    ours, theirs = count_bits(eager, fused=False), count_bits(fused, fused=False)
    assert all(sympy.degree(ours[key] - theirs[key], sympy.Symbol("seq_len")) >= 1 for key in ours)


def list_attention(traced: TracedModel, stage: str, name: str) -> list[tuple[Elements, Elements]]:
    """Return what the attention of the first layer reads and writes in each forward."""
    return [
        (Elements.total(each.reads for each in found), Elements.total(each.writes for each in found))
        for forward in traced.runs[stage].forwards
        for found in [
            [each.operator for each in forward.operators if each.operator.name == name and ".0." in each.path]
        ]
    ]


def name_symbols(size: Any) -> sympy.Expr:
    size = sympy.expand(size)
    return size.xreplace({each: sympy.Symbol(each.name) for each in size.free_symbols})


def count_kernel(traced: TracedModel, stage: str) -> list[sympy.Expr]:
    return [
        name_symbols((reads + writes).to_bits(WIDTHS)) for reads, writes in list_attention(traced, stage, ATTENTION)
    ]


def test_a_kernel_that_knows_windows_reads_no_mask_and_no_copies() -> None:
    """Three kinds of heads, channels and a window of different sizes: 15 heads of 14, 5 of keys, 23 positions."""
    traced = trace("mistral", "sdpa", sliding_window=23, num_attention_heads=15, num_key_value_heads=5, head_dim=14)
    tokens, sequences, step = sympy.symbols("seq_len batch_size decode_step")
    activation, kv = WIDTHS.activation_bits, WIDTHS.kv_bits
    # Queries and the output: 15 * 14 = 210 each of a position. Keys and values of one: 2 * 5 * 14 = 140.
    prompt = tokens * (2 * 210 * activation + 140 * kv)
    # Below the window and from it on, each of several sequences and of one: every position of a prompt is seen by some.
    assert count_kernel(traced, "prefill") == [
        sympy.expand(sequences * prompt), sympy.expand(prompt), sympy.expand(sequences * prompt), sympy.expand(prompt)
    ]  # fmt: skip
    # A step sees all positions up to its own, or 23 of them.
    assert count_kernel(traced, "decode") == [
        sympy.expand(sequences * (2 * 210 * activation + 140 * keys * kv)) for keys in (tokens + step, 23)
    ]
    # What is left is in ``io_bytes`` alone: a byte for each pair of positions; keys and values of 15 heads,
    # 2 * 15 * 14 = 420 of a position. A step has one row of a mask.
    rest = [name_symbols((reads + writes).to_bits(WIDTHS)) for reads, writes in list_attention(traced, "prefill", REST)]
    copies = 420 * tokens * activation
    assert rest == [0, 0, sympy.expand(8 * tokens**2 + sequences * copies), sympy.expand(8 * tokens**2 + copies)]
    assert [each.byte for each, _ in list_attention(traced, "decode", REST)] == [0, 23]
    assert "A mask that is made of positions alone is not read" in traced.conventions[ATTENTION_REST_RULE]


def test_a_window_takes_no_traffic_from_a_prompt() -> None:
    """A model without a window is counted as PyTorch's operator reads it, which then shares keys among heads."""
    windowed, whole = (trace("mistral", "sdpa", sliding_window=window) for window in (23, None))
    assert ATTENTION_REST_RULE not in whole.conventions
    ours, theirs = (count_bits(each, fused=True) for each in (windowed, whole))
    assert [ours["prefill", place] for place in range(4)] == [theirs["prefill", place] for place in (0, 1, 0, 1)]
    assert ours["decode", 0] == theirs["decode", 0]
    # From the window on, a step is that behind as many positions as the window holds.
    behind = theirs["decode", 0].subs(sympy.Symbol("decode_step"), 23 - sympy.Symbol("seq_len"))
    assert ours["decode", 1] == sympy.expand(behind)


def test_eager_code_and_the_fused_operator_move_the_same_where_a_window_is_full() -> None:
    """Both were split: a mask and copies are read by neither."""
    eager, fused = (count_bits(trace("mistral", name, sliding_window=23), fused=True) for name in ("eager", "sdpa"))
    assert eager == fused


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
    assert len(kernels) == 2
    assert (name_symbols(reads.activation), reads.weight) == (sympy.expand(activation), 2 * 6)
    assert name_symbols(reads.kv) == sympy.expand(kv)
    assert name_symbols(writes.activation) == sympy.expand(output)
    assert writes.kv == reads.float32 == reads.index == reads.byte == 0


def test_what_was_not_found_is_said_to_be_in_all_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording.AttentionFinder, "list_found", lambda self: [])
    traced = trace("llama", "eager")
    assert "they are no lower bounds" in traced.conventions[RULE]
