"""The breakdown over arrays: the rows of the breakdown, each number an array."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

import deepseek_ocr_costs as costs

numpy = pytest.importorskip("numpy")

SIZES = {
    "vision": {"base_size": [513, 1024, 1009], "num_width_tiles": [1, 2, 5], "weight_bits": [7, 16, 5]},
    "projector": {"base_size": [513, 1024, 1009], "batch_size": [3, 1, 7], "weight_bits": [7, 16, 5]},
    "prefill": {"seq_len": [5, 913, 1009], "batch_size": [3, 1, 7], "kv_bits": [3, 16, 11]},
    "decode": {"decode_steps": [0, 1023, 7], "batch_size": [3, 1, 7], "kv_bits": [3, 16, 11]},
}


@pytest.mark.parametrize("stage", SIZES)
@pytest.mark.parametrize("kind", ["operators", "states"])
def test_every_row_is_that_of_single_sizes(stage: str, kind: str) -> None:
    sizes = SIZES[stage]
    on_integers = getattr(costs.breakdown, kind)
    taken = {name: column for name, column in sizes.items() if name in _arguments(kind, stage)}
    rows = getattr(costs.arrays.breakdown, kind)(stage, **taken)
    for place in range(3):
        expected = on_integers(stage, **{name: column[place] for name, column in taken.items()})
        found = [tuple(each if isinstance(each, str) else int(each[place]) for each in row) for row in rows]
        assert found == [tuple(row) for row in expected]
    assert rows[0]._fields == expected[0]._fields


def test_rows_add_up_to_the_stage() -> None:
    lengths = [1, 914, 2003]
    rows = costs.arrays.breakdown.operators("prefill", seq_len=lengths)
    stage = costs.arrays.prefill(seq_len=lengths)
    assert sum(row.tensor_core_flops for row in rows).tolist() == stage.tensor_core_flops.tolist()
    assert (-(-sum(row.io_bits for row in rows) // 8)).tolist() == stage.io_bytes.tolist()


def test_routing_and_overflow_are_chosen() -> None:
    even = costs.arrays.breakdown.operators("prefill", seq_len=[3, 5], expert_routing="even")
    single = costs.breakdown.operators("prefill", seq_len=3, expert_routing="even")
    assert [int(row.io_bits[0]) for row in even] == [row.io_bits for row in single]
    assert even[-1].io_bits.dtype == numpy.int64
    with pytest.raises(OverflowError):
        costs.arrays.breakdown.operators("prefill", seq_len=[2**60])
    rows = costs.arrays.breakdown.operators("prefill", seq_len=[2**60], overflow="exact")
    assert [row.io_bits[0] for row in rows] == [
        row.io_bits for row in costs.breakdown.operators("prefill", seq_len=2**60)
    ]


@pytest.mark.parametrize(
    ("stage", "sizes", "error", "message"),
    [
        ("request", {}, costs.CostError, "there is no stage 'request', only vision"),
        ("prefill", {"prompt_tokens": 5}, TypeError, "prefill_operators has no size 'prompt_tokens'"),
        ("prefill", {"weight_bits": Fraction(11, 2)}, TypeError, "the bits of rows are not rounded"),
        ("prefill", {"seq_len": [5], "logits_tokens": [6]}, costs.CostError, "at most seq_len: 6 > 5"),
    ],
)
def test_wrong_arguments_are_named(stage: str, sizes: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        costs.arrays.breakdown.operators(stage, **sizes)


def _arguments(kind: str, stage: str) -> tuple[str, ...]:
    if kind == "operators":
        return tuple(SIZES[stage])
    return (
        ("weight_bits",) if stage in ("vision", "projector") else ("seq_len", "decode_steps", "batch_size", "kv_bits")
    )
