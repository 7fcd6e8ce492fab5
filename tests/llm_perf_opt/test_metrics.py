"""The snapshots of the modules, in the units of the report."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from evaluations import make_evaluation
from predictions import make_hardware, make_operator

from llm_perf_opt.data import ModuleMetricsSnapshot
from llm_perf_opt.reporting.metrics import break_down, measure_modules, to_bytes
from llm_perf_opt.reporting.roofline import Roofline
from llm_perf_opt.reporting.work import predict


@pytest.fixture
def snapshots() -> dict[str, ModuleMetricsSnapshot]:
    evaluation = make_evaluation()
    prediction = predict(evaluation, Roofline(hardware=make_hardware(), dtype="bfloat16"))
    return {snapshot.module_id: snapshot for snapshot in measure_modules(evaluation, prediction, "p")}


def test_a_module_has_its_own_work_in_the_published_units(snapshots: dict[str, ModuleMetricsSnapshot]) -> None:
    linear = snapshots["prefill.block.0-4.fc"]
    assert (linear.profile_id, linear.calls) == ("p", 5)
    assert linear.total_flops_tflops == 14000 / 10**12
    assert linear.total_io_tb == 3200 / 10**12  # terabits
    assert linear.memory_weights_gb == 1.0  # 2^30 bytes
    assert linear.memory_activations_gb == 12 / 2**30
    assert snapshots["decode.block.0-4"].memory_kvcache_gb == 11 / 2**30
    assert linear.total_time_ms == pytest.approx(2000)


def test_the_same_is_there_exactly_and_in_plain_units(snapshots: dict[str, ModuleMetricsSnapshot]) -> None:
    """14,000 FLOPs, 3200 bits, which are 400 bytes, 2^30 bytes of weights, and 96 bits of outputs, which are 12."""
    linear = snapshots["prefill.block.0-4.fc"]
    assert (linear.flops, linear.io_bytes, linear.weight_bytes, linear.activation_bytes) == (14000, 400, 2**30, 12)
    assert snapshots["decode.block.0-4"].kv_cache_bytes == 11
    (operators,) = linear.operator_breakdown
    assert (operators.flops, operators.io_bytes) == (14000, 400)
    # 12 bits of outputs are a byte and a half.
    assert snapshots["decode.block.0-4.fc"].activation_bytes == 2


def test_what_is_held_but_never_called_has_a_snapshot_too(snapshots: dict[str, ModuleMetricsSnapshot]) -> None:
    unused = snapshots["vision.unused"]
    assert (unused.calls, unused.total_time_ms, unused.operator_breakdown) == (0, 0.0, ())
    assert unused.memory_weights_gb == 0.5


def test_all_snapshots_together_are_the_model(snapshots: dict[str, ModuleMetricsSnapshot]) -> None:
    assert set(snapshots) == {
        "vision.eye", "vision.unused", "prefill.block.0-4", "prefill.block.0-4.fc", "decode.block.0-4",
        "decode.block.0-4.fc",
    }  # fmt: skip
    assert math.fsum(each.share_of_model_time for each in snapshots.values()) == pytest.approx(1, abs=1e-15)
    assert math.fsum(each.total_flops_tflops for each in snapshots.values()) * 10**12 == pytest.approx(21803)


def test_operators_are_gathered_by_category() -> None:
    rows = [
        make_operator(category_id="a", calls=2, tensor_core_flops=300, cuda_core_flops=40, io_bits=7),
        make_operator(category_id="b", calls=3, tensor_core_flops=0, cuda_core_flops=60, io_bits=11),
        make_operator(category_id="a", calls=5, tensor_core_flops=0, cuda_core_flops=0, io_bits=13),
    ]
    first, second = break_down(rows)
    assert (first.category_id, first.calls, first.flops_tflops) == ("a", 7, 340 / 10**12)
    assert (first.io_tb, first.share_of_module_flops) == (20 / 10**12, 340 / 400)
    assert (second.category_id, second.share_of_module_flops) == ("b", 60 / 400)


def test_fractions_of_bits_are_rounded_up_to_bytes_at_the_end_only() -> None:
    """5 elements of 11/2 bits and 3 of them: 27.5 and 16.5 bits, 44 together, which is 5.5 bytes."""
    rows = [
        make_operator(category_id="a", io_bits=Fraction(55, 2)),
        make_operator(category_id="a", io_bits=Fraction(33, 2)),
    ]
    (operators,) = break_down(rows)
    assert (operators.io_bytes, operators.io_tb) == (6, 44 / 10**12)
    assert to_bytes(Fraction(11, 2)) == 1


def test_without_flops_the_bits_have_the_shares() -> None:
    rows = [
        make_operator(category_id=name, tensor_core_flops=0, cuda_core_flops=0, io_bits=bits)
        for name, bits in (("a", 30), ("b", 10))
    ]
    assert [each.share_of_module_flops for each in break_down(rows)] == [0.75, 0.25]
    assert [each.flops_tflops for each in break_down(rows)] == [0.0, 0.0]
    assert break_down([]) == ()
