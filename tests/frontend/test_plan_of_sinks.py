"""A compiled model whose attention has no fused operator: its rows, its traffic and its bounds are those of one kernel.

What is expected is arithmetic: 2 layers, 6 heads of 10 channels that share 2 of keys and values, a hidden size of 60.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from compiled_llama import open_compiled

from llm_perf_opt.evaluators import load_costs
from llm_perf_opt.planning.evaluation import ServedModel
from llm_perf_opt.planning.work import OperatorWork, StageWork

NAME, PACKAGE = "tiny-sinks", "tiny_sinks_costs"
CONFIG: dict[str, Any] = {
    "model_type": "gpt_oss", "hidden_size": 60, "intermediate_size": 92, "num_hidden_layers": 2,
    "num_attention_heads": 6, "num_key_value_heads": 2, "head_dim": 10, "vocab_size": 97, "num_local_experts": 5,
    "num_experts_per_tok": 2, "sliding_window": 23, "layer_types": ["sliding_attention", "full_attention"],
    "max_position_embeddings": 4096,
}  # fmt: skip

SEQUENCES, PROMPT = 3, 41
SINKS = 2 * 6


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    pytest.importorskip("transformers")
    with open_compiled(CONFIG, NAME, PACKAGE, tmp_path_factory.mktemp("sinks")) as said:
        yield said


@pytest.fixture
def served(told: str) -> ServedModel:
    return ServedModel(model=NAME, bits={"weight_bits": 16, "activation_bits": 16, "kv_bits": 8})


def list_kernels(work: StageWork) -> list[OperatorWork]:
    return [row for row in work.operators if row.kind == "attention"]


def test_compile_says_what_the_fused_traffic_has(told: str) -> None:
    assert "eager_attention reads queries, keys and values before they are copied" in told
    assert "no lower bounds" not in told


def test_the_attention_of_a_prompt_is_one_operator(served: ServedModel) -> None:
    kernels = list_kernels(served.list_stage_work("prefill", batch_size=SEQUENCES, seq_len=PROMPT))
    tokens, pairs = SEQUENCES * PROMPT, SEQUENCES * PROMPT**2
    # Queries and the output of 60 channels, in 16 bits; keys and values of 20, in 8 bits; and sinks in 16.
    assert sum(row.fused_io_bytes for row in kernels) == 2 * (2 * 2 * 60 * tokens + 2 * 20 * tokens) + 2 * SINKS
    assert [row.fused_io_bytes for row in kernels] == [row.io_bytes for row in kernels]
    # Both products; a scale and a mask, and a comparison, a difference and a softmax with the column of sinks.
    assert sum(row.tensor_core_flops for row in kernels) == 2 * 4 * pairs * 60
    assert sum(row.cuda_core_flops for row in kernels) == 2 * 6 * (2 * pairs + 7 * (pairs + tokens))


def test_the_attention_of_a_step_reads_the_cache_once(served: ServedModel) -> None:
    kernels = list_kernels(served.list_stage_work("decode", batch_size=SEQUENCES, seq_len=PROMPT, decode_steps=1))
    # A query, an output and its own key and value; one layer sees its window of 23, the other all positions.
    seen = SEQUENCES * (23 + PROMPT + 1)
    assert sum(row.fused_io_bytes for row in kernels) == 2 * 2 * 2 * 60 * SEQUENCES + 2 * 20 * seen + 2 * SINKS


@pytest.mark.parametrize(("stage", "sizes"), [("prefill", {}), ("decode", {"decode_steps": 1})])
def test_rows_have_the_traffic_that_evaluators_say(served: ServedModel, stage: str, sizes: dict[str, int]) -> None:
    sizes = {"batch_size": SEQUENCES, "seq_len": PROMPT, **sizes}
    work = served.list_stage_work(stage, **sizes)
    fused = served.evaluate(f"{stage}_fused_io_bytes", **sizes)
    assert work.fused_io_bytes == fused < served.evaluate(stage, **sizes).io_bytes == work.io_bytes


def test_a_table_has_both_rows(told: str) -> None:
    rows = load_costs(NAME).breakdown.operators("prefill", batch_size=SEQUENCES, seq_len=PROMPT)
    rest = [row for row in rows if row.operator == "eager_attention_rest"]
    assert rest
    assert {(row.tensor_core_flops, row.cuda_core_flops) for row in rest} == {(0, 0)}
    # Scores alone, of 6 heads, are written by the product and by the softmax.
    assert sum(row.io_bits for row in rest) > 2 * 16 * 2 * 6 * SEQUENCES * PROMPT**2
