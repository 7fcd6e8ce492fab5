"""The work of stages and steps by operator adds up to what the evaluators say, to the digit."""

from __future__ import annotations

from fractions import Fraction

import pytest

import deepseek_ocr_costs as costs
from llm_perf_opt.planning import work
from llm_perf_opt.planning.evaluation import ServedModel
from modelmeter.metrics import operator_table

MODEL = ServedModel()


def test_the_kinds_are_those_of_the_published_table() -> None:
    assert work.MATRIX_OPERATORS == operator_table.MATRIX_OPERATORS
    assert work.UNFUSED_OPERATORS == operator_table.UNFUSED_OPERATORS
    for name in ("ATTENTION", "ATTENTION_REST", "EAGER_ATTENTION"):
        assert getattr(work, name) == getattr(operator_table, name)
    assert [work.find_kind(name) for name in ("addmm", work.ATTENTION, "silu")] == [
        "matrix product", "attention", "other",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("stage", "sizes"),
    [
        ("vision", {"num_width_tiles": 3, "num_height_tiles": 2, "batch_size": 5}),
        ("projector", {"num_width_tiles": 3, "num_height_tiles": 2}),
        ("prefill", {"seq_len": 1021, "logits_tokens": 1, "batch_size": 3}),
    ],
)
def test_a_stage_is_the_sum_of_its_operators(stage: str, sizes: dict[str, int]) -> None:
    found, cost = MODEL.list_stage_work(stage, **sizes), getattr(costs, stage)(**sizes)
    assert (found.tensor_core_flops, found.cuda_core_flops, found.io_bytes) == cost[:3]
    assert found.fused_io_bytes == getattr(costs, f"{stage}_fused_io_bytes")(**sizes)
    assert found.host_pages == (5 if stage == "vision" else 0)


@pytest.mark.parametrize("contexts", [[913], [7, 1021, 4099], list(range(11, 311, 3))])
@pytest.mark.parametrize(("weight_bits", "kv_bits"), [(16, 16), (Fraction(11, 2), 8)])
def test_a_step_of_mixed_contexts_is_exact(contexts: list[int], weight_bits: int, kv_bits: int) -> None:
    bits = {"weight_bits": weight_bits, "kv_bits": kv_bits}
    found = ServedModel(bits=bits).list_step_work(len(contexts), sum(contexts))
    cost = costs.step(contexts=contexts, **bits)
    assert (found.tensor_core_flops, found.cuda_core_flops, found.io_bytes) == cost[:3]


def test_experts_are_launched_as_often_as_tokens_choose_them() -> None:
    """One token takes 6 of 64 experts in 11 layers, each of three products, a silu and a product of elements."""
    one, all_calls = MODEL.list_step_work(1, 913).launches, 4318
    # 5 launches an expert; views and what has nothing to read are no work: a copy of no elements is one call less.
    assert one == pytest.approx(all_calls - 1 - 11 * (64 - 6) * 5)
    # Two tokens choose 64 (1 - (58/64)^2) = 11.4375 distinct ones.
    two = MODEL.list_step_work(2, 913).launches
    assert two == pytest.approx(all_calls - 1 - 11 * (64 - 11.4375) * 5)


def test_launches_of_a_prompt_are_those_of_all_experts() -> None:
    """913 tokens leave out no expert, but for a chance of (58/64)^913; 12 caches have no keys or values to copy yet."""
    assert MODEL.list_stage_work("prefill").launches == pytest.approx(4318 - 1 - 2 * 12)
