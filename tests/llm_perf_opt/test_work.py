"""The operators of a report with their times."""

from __future__ import annotations

import pytest
from evaluations import make_evaluation
from predictions import make_hardware

from llm_perf_opt.data import ActivationMemory, Prediction
from llm_perf_opt.reporting.roofline import Roofline
from llm_perf_opt.reporting.work import module_id, predict, total_time

# The card does 7000 tensor FLOP, 30 other FLOP and 200 bytes (1600 bits) a second, at half of its peaks.
SECONDS = {
    ("vision", "Conv2d"): (2 * 10.0, "memory"),
    ("prefill", "add"): (2 * 70 / 30, "cuda_cores"),
    ("prefill", "Linear"): (2 * 2.0, "memory"),
    ("decode", "add"): (2 * 1.0, "cuda_cores"),
    ("decode", "Linear"): (2 * 3.0, "memory"),
}


@pytest.fixture
def prediction() -> Prediction:
    return predict(make_evaluation(), Roofline(hardware=make_hardware(), dtype="bfloat16", efficiency=0.5))


def test_every_operator_has_its_time(prediction: Prediction) -> None:
    seen = {(row.stage, row.operator): (row.time_ms / 1000, row.bound_by) for row in prediction.operators}
    assert seen == {key: (pytest.approx(time), limit) for key, (time, limit) in SECONDS.items()}


def test_every_operator_is_in_the_category_of_what_it_does(prediction: Prediction) -> None:
    assert {row.operator: row.category_id for row in prediction.operators} == {
        "Conv2d": "convolution", "add": "elementwise", "Linear": "linear"
    }  # fmt: skip


def test_what_does_nothing_is_left_out(prediction: Prediction) -> None:
    """An uncalled module, and a padding of no rows."""
    assert {row.module_id for row in prediction.operators} == {
        "vision.eye", "prefill.block.0-4", "prefill.block.0-4.fc", "decode.block.0-4", "decode.block.0-4.fc"
    }  # fmt: skip


def test_stages_have_their_exact_costs_and_shares(prediction: Prediction) -> None:
    total = 20 + 140 / 30 + 4 + 2 + 6
    times = {"vision": 20, "projector": 0, "prefill": 140 / 30 + 4, "decode": 8, "request": total}
    assert [stage.stage for stage in prediction.stages] == list(times)
    for stage in prediction.stages:
        assert stage.time_ms == pytest.approx(1000 * times[stage.stage])
        assert stage.share_of_model_time == pytest.approx(times[stage.stage] / total)
    decode = prediction.stage("decode")
    assert (decode.tensor_core_flops, decode.cuda_core_flops, decode.io_bytes) == (7000, 30, 700)
    assert (decode.weight_bytes, decode.activation_bytes, decode.kv_cache_bytes) == (2**30, 3, 11)
    assert [stage.peak_activation_bytes for stage in prediction.stages] == [61, 0, 17, 2, 61]


def test_the_basis_is_kept(prediction: Prediction) -> None:
    assert (prediction.hardware, prediction.dtype, prediction.efficiency) == (make_hardware(), "bfloat16", 0.5)
    assert prediction.sizes == {"batch_size": 1, "seq_len": 513}
    assert prediction.last_logits == ActivationMemory(logits_tokens=1, activation_bytes=89, peak_activation_bytes=59)


def test_the_total_does_not_depend_on_the_order(prediction: Prediction) -> None:
    assert (
        total_time(prediction.operators) == total_time(reversed(prediction.operators)) == prediction.stages[-1].time_ms
    )


def test_the_root_of_a_stage_has_the_name_of_the_stage() -> None:
    assert [module_id("decode", path) for path in ("", "block.0-4")] == ["decode", "decode.block.0-4"]
