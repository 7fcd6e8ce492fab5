"""The tables of a report, by hand."""

from __future__ import annotations

from fractions import Fraction

import pytest
from predictions import make_hardware, make_operator, make_prediction, make_stage
from records import make_report, make_snapshot

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
