"""The tables of a report, by hand."""

from __future__ import annotations

from fractions import Fraction

import pytest
from attrs import evolve
from predictions import make_hardware, make_operator, make_prediction, make_stage
from records import make_report, make_snapshot

from llm_perf_opt.data import MemoryReserve
from llm_perf_opt.reporting.memory import MemoryNeed
from llm_perf_opt.visualize import report_tables as tables

# 400 ms twice in decode, by tensor cores; 400 ms in vision, by memory.
DECODE = {"tensor_core_flops": 1500, "cuda_core_flops": 11, "io_bytes": 24}
REQUEST = {"tensor_core_flops": 1513, "cuda_core_flops": 13, "io_bytes": 35}
PREDICTION = make_prediction(
    stages=[
        make_stage("decode", time_ms=800.0, share_of_model_time=2 / 3, **DECODE),
        make_stage("request", time_ms=1200.0, share_of_model_time=1.0, **REQUEST),
    ]
)


def test_stages() -> None:
    assert tables.stage_table(PREDICTION).rows == (
        ("decode", "800.0", "66.7 %", "1.50 kFLOP", "11 FLOP", "24 B", "tensor-core-bound for 100.0 % of the time"),
        ("request", "1,200", "100.0 %", "1.51 kFLOP", "13 FLOP", "35 B", "tensor-core-bound for 66.7 % of the time"),
    )


def test_top_modules() -> None:
    report = make_report(
        module_metrics=[
            make_snapshot("leaf", total_time_ms=800.0, share_of_model_time=0.6),
            make_snapshot("right", total_time_ms=400.0, share_of_model_time=0.4),
            make_snapshot("left", total_time_ms=0.0, share_of_model_time=0.0),
        ],
        prediction=PREDICTION,
    )
    table = tables.top_table(report, 2, link=lambda identity: f"<{identity}>")
    assert table.rows == (
        ("<leaf>", "leaf", "800.0", "60.0 %", "tensor-core-bound for 100.0 % of the time"),
        ("<right>", "right", "400.0", "40.0 %", "memory-bound for 100.0 % of the time"),
    )
    assert tables.own_operators(report) == {
        "root": [], "left": [], "leaf": list(PREDICTION.operators[:2]), "right": [PREDICTION.operators[2]]
    }  # fmt: skip


def test_memory_has_a_column_for_each_choice_of_logits() -> None:
    """In 2^30 bytes: 3 + 0.5 + 1.25 of 7 less 2, and 3 + 0.5 + 2.75 of the same."""
    few = MemoryNeed(
        logits_tokens=1, seq_len=1009, weight_bytes=3 * 2**30, kv_cache_bytes=2**29, activation_bytes=2**40,
        peak_activation_bytes=5 * 2**28, memory_bytes=7 * 2**30, reserve=MemoryReserve(reserve_gib=2.0, reason="two"),
    )  # fmt: skip
    table = tables.memory_table([evolve(few, logits_tokens=1009, peak_activation_bytes=11 * 2**28), few])
    assert table.headers == ("in memory, in GiB", "logits of all 1,009 positions", "logits of the last position")
    assert table.rows == (
        ("weights", "3.00", "3.00"),
        ("KV cache at the end", "0.50", "0.50"),
        ("activations at their peak", "2.75", "1.25"),
        ("together", "6.25", "4.75"),
        ("the card", "7.00", "7.00"),
        ("reserve", "2.00", "2.00"),
        ("usable: the card less the reserve", "5.00", "5.00"),
        ("headroom, below 0 where memory is missing", "-1.25", "0.25"),
    )


def test_memory_of_a_small_model_has_units() -> None:
    """1,536 bytes are 1.5 KiB; 3 MiB and 102 KiB are 3.10 MiB, less than a tenth of a GiB; 8 GiB are 8."""
    small = MemoryNeed(
        logits_tokens=1, seq_len=1009, weight_bytes=3 * 2**20, kv_cache_bytes=1536, activation_bytes=2**40,
        peak_activation_bytes=101 * 2**10 - 512, memory_bytes=9 * 2**30,
        reserve=MemoryReserve(reserve_gib=1.0, reason="one"),
    )  # fmt: skip
    table = tables.memory_table([small])
    assert table.headers == ("in memory", "logits of the last position")
    assert [row[1] for row in table.rows[:6]] == [
        "3.00 MiB",
        "1.50 KiB",
        "100.50 KiB",
        "3.10 MiB",
        "9.00 GiB",
        "1.00 GiB",
    ]
    assert tables.format_memory(102) == "102 B"
    assert tables.format_memory(-(2**27)) == "-0.12 GiB"


def test_categories_are_the_slowest_first() -> None:
    rows = [make_operator(), make_operator(category_id="other", io_bits=9, time_ms=1000.0, bound_by="memory")]
    table = tables.category_table(rows, {"linear": "Linear", "other": "Others"}, 2000.0)
    assert table.rows == (
        ("Others", "3", "1.40 kFLOP", "6 FLOP", "2 B", "1,000", "50.0 %", "memory-bound for 100.0 % of the time"),
        ("Linear", "3", "1.40 kFLOP", "6 FLOP", "21 B", "400.0", "20.0 %", "tensor-core-bound for 100.0 % of the time"),
    )
    assert [row[:3] for row in tables.operator_table(rows, {"linear": "Linear", "other": "Others"}, 2000.0).rows] == [
        ("Linear", "Linear", "3"), ("Linear", "Others", "3")
    ]  # fmt: skip


def test_exact_totals_have_every_digit() -> None:
    big = make_prediction(stages=[make_stage("vision", weight_bytes=1234567890123)], operators=[])
    assert tables.exact_table(big).rows[3] == ("weight_bytes", "1,234,567,890,123")


@pytest.mark.parametrize(
    ("sizes", "dtype", "text"),
    [
        ({}, "bfloat16", "bfloat16"),
        ({"weight_bits": 16, "activation_bits": 16, "kv_bits": 16}, "bfloat16", "bfloat16"),
        (
            {"weight_bits": 8, "activation_bits": 16, "kv_bits": 8},
            "bfloat16",
            "bfloat16, weights of 8 bits, cache of 8 bits",
        ),
        (
            {"weight_bits": Fraction(11, 2), "activation_bits": 7},
            "int8",
            "int8, weights of 5.5 bits, activations of 7 bits",
        ),
        ({"kv_bits": Fraction(16, 3)}, "int8", "int8, cache of 16/3 bits"),
    ],
)
def test_what_is_stored_otherwise_is_said(sizes: dict[str, Fraction | int], dtype: str, text: str) -> None:
    prediction = make_prediction(sizes={"batch_size": 1, **sizes}, dtype=dtype)
    assert tables.describe_types(prediction) == text


def test_rounding_to_tf32_is_said() -> None:
    hardware = make_hardware(tensor_flops_per_second={"tf32": 7.0})
    prediction = make_prediction(hardware=hardware, dtype="float32", float32_matmul_precision="high")
    assert tables.describe_types(prediction) == "float32, matrices in TF32"


def test_nothing_is_bound_by_nothing() -> None:
    assert tables.describe_limit([]) == "-"


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.0, "0 %"), (3e-7, "< 0.001 %"), (0.000123, "0.01 %"), (0.001, "0.1 %"), (0.1234, "12.3 %"), (1.0, "100.0 %")],
)
def test_a_small_share_is_not_nothing(share: float, text: str) -> None:
    assert tables.format_share(share) == text


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (0.0, "0"),
        (0.0112349, "0.01123"),
        (3.36, "3.360"),
        (379.0, "379.0"),
        (999.94, "999.9"),
        (999.96, "1,000"),
        (366042.4, "366,042"),
    ],
)
def test_a_time_has_four_digits_or_all_whole_ones(milliseconds: float, text: str) -> None:
    """So that times of a column are as exact as each other, and a long one is not in powers of ten."""
    assert tables.format_time(milliseconds) == text
