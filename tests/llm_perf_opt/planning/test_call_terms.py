"""The time of a call, with every term worked out by hand on the abacus: 7000, 30 and 200 a second."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from attrs import evolve
from predictions import make_hardware

from llm_perf_opt.errors import RecordError
from llm_perf_opt.planning.time import Calibration, CalibrationPoint, Coefficients, estimate_seconds
from llm_perf_opt.planning.time.records import COEFFICIENTS
from llm_perf_opt.planning.time.roofline import find_terms
from llm_perf_opt.planning.work import OperatorWork, StageWork

WORK = StageWork(
    stage="counting",
    operators=(
        # 14000 / 7000 + 15 / 30 = 2.5 s of arithmetic; 300 / 200 = 1.5 s of bytes, alone or fused.
        OperatorWork(
            kind="matrix product", tensor_core_flops=14000, cuda_core_flops=15, io_bytes=300, fused_io_bytes=300,
            launches=3.0,
        ),
        # 0.5 s of arithmetic; 1300 / 200 = 6.5 s alone, 500 / 200 = 2.5 s fused.
        OperatorWork(
            kind="attention", tensor_core_flops=3500, cuda_core_flops=0, io_bytes=1300, fused_io_bytes=500, launches=1.0
        ),
        # 4.5 / 200 = 0.0225 s alone; in its neighbours where it is fused.
        OperatorWork(
            kind="other", tensor_core_flops=0, cuda_core_flops=0, io_bytes=Fraction(9, 2), fused_io_bytes=0,
            launches=6.5,
        ),
        # A look-up stays: 700 / 200 = 3.5 s either way.
        OperatorWork(
            kind="other", tensor_core_flops=0, cuda_core_flops=0, io_bytes=700, fused_io_bytes=700, launches=2.0
        ),
    ),
    host_pages=5,
    sequences=11,
)  # fmt: skip


def make_coefficients(**changes: Any) -> Coefficients:
    """Coefficients of eager traffic without any time beside the roofline."""
    fields: dict[str, Any] = {
        "traffic": "eager", "matrix_product_efficiency": 0.5, "attention_efficiency": 0.25, "other_efficiency": 0.125,
    }  # fmt: skip
    return Coefficients(**(fields | changes))


def make_calibration(coefficients: Coefficients, **changes: Any) -> Calibration:
    """A calibration of these coefficients, with a point that is a quarter too long."""
    point = CalibrationPoint(measurement_id="a", role="checked", measured_seconds=4.0, predicted_seconds=5.0)
    fields: dict[str, Any] = {
        "name": "beads", "engine": "eager", "cards": ["abacus"], "source": "counted", "coefficients": coefficients,
        "origins": dict.fromkeys(COEFFICIENTS, "assumed"), "points": [point],
    }  # fmt: skip
    return Calibration(**(fields | changes))


def test_the_terms_of_eager_traffic() -> None:
    terms = find_terms(WORK, make_hardware(), "eager")
    assert (terms.matrix_product_seconds, terms.attention_seconds) == (2.5, 6.5)
    assert terms.other_seconds == pytest.approx(3.5225, abs=1e-12)
    assert (terms.launches, terms.sequences, terms.host_pages) == (12.5, 11, 5)
    assert terms.bound_seconds == pytest.approx(12.5225, abs=1e-12)


def test_what_is_fused_is_neither_run_nor_launched() -> None:
    terms = find_terms(WORK, make_hardware(), "fused")
    assert (terms.matrix_product_seconds, terms.attention_seconds, terms.other_seconds) == (2.5, 2.5, 3.5)
    assert terms.launches == 6


def test_each_kind_has_its_efficiency_and_each_launch_its_time() -> None:
    coefficients = make_coefficients(launch_device_seconds=0.5)
    # 2.5 / 0.5 + 6.5 / 0.25 + 3.5225 / 0.125 + 0.5 x 12.5 = 5 + 26 + 28.18 + 6.25
    terms = find_terms(WORK, make_hardware(), "eager")
    assert terms.device_seconds(coefficients) == pytest.approx(65.43, abs=1e-9)
    # and 7 of the step and 0.25 of each of 11 sequences
    steps = coefficients.replace({"step_seconds": 7.0, "sequence_seconds": 0.25})
    assert terms.wall_seconds(steps) == pytest.approx(75.18, abs=1e-9)
    # A host that takes 6 s a launch is the slower one, 75 < 75.18; with 6.5 it is 81.25.
    assert terms.wall_seconds(steps.replace({"launch_host_seconds": 6.0})) == pytest.approx(75.18, abs=1e-9)
    assert terms.wall_seconds(steps.replace({"launch_host_seconds": 6.5})) == 81.25


def test_an_estimate_has_its_bound_its_error_and_its_source_beside_it() -> None:
    calibration = make_calibration(make_coefficients(page_host_seconds=3.0))
    estimate = estimate_seconds(calibration, make_hardware(), WORK)
    assert estimate.seconds == pytest.approx(59.18, abs=1e-9)
    assert estimate.bound_seconds == pytest.approx(12.5225, abs=1e-12)
    assert estimate.host_seconds == 15
    assert (estimate.provenance, estimate.relative_error, estimate.calibration) == ("calibrated", 0.25, "beads")


def test_calls_that_look_at_pages_may_have_coefficients_of_their_own() -> None:
    fused = make_coefficients(traffic="fused", page_host_seconds=3.0, step_seconds=1.0)
    calibration = make_calibration(fused, page_coefficients=make_coefficients())
    # 2.5 / 0.5 + 6.5 / 0.25 + 3.5225 / 0.125, as every operator runs alone; the host's 3 s for each of 5 pages stay.
    estimate = estimate_seconds(calibration, make_hardware(), evolve(WORK, looks_at_pages=True))
    assert estimate.seconds == pytest.approx(59.18, abs=1e-9)
    assert (estimate.bound_seconds, estimate.host_seconds) == (pytest.approx(12.5225, abs=1e-12), 15)
    # Without pages: 1 + 2.5 / 0.5 + 2.5 / 0.25 + 3.5 / 0.125.
    estimate = estimate_seconds(calibration, make_hardware(), evolve(WORK, host_pages=0))
    assert (estimate.seconds, estimate.bound_seconds, estimate.host_seconds) == (44, 8.5, 0)


def test_without_a_calibration_there_is_the_bound_alone() -> None:
    estimate = estimate_seconds(None, make_hardware(), WORK)
    assert estimate.seconds == estimate.bound_seconds == pytest.approx(12.5225, abs=1e-12)
    assert (estimate.provenance, estimate.relative_error, estimate.calibration) == ("bound", None, None)


def test_the_type_chooses_the_rate() -> None:
    # 14000 / 11000 + 0.5 of arithmetic, where bytes take 1.5
    terms = find_terms(WORK, make_hardware(), "eager", dtype="int8")
    assert terms.matrix_product_seconds == pytest.approx(14 / 11 + 0.5, abs=1e-12)
    with pytest.raises(RecordError, match="found float16"):
        estimate_seconds(None, make_hardware(), WORK, dtype="float16")


def test_no_estimate_is_below_its_bound() -> None:
    """Whatever the coefficients: efficiencies are at most 1, and times not negative."""
    best = make_coefficients(matrix_product_efficiency=1, attention_efficiency=1, other_efficiency=1)
    terms = find_terms(WORK, make_hardware(), "eager")
    assert terms.wall_seconds(best) == terms.bound_seconds
    for name in ("matrix_product_efficiency", "other_efficiency"):
        with pytest.raises(RecordError, match=f"{name}: wrong value; expected a number above 0, at most 1"):
            best.replace({name: 1.0625})
    with pytest.raises(RecordError, match="step_seconds: wrong value; expected a finite number of at least 0"):
        best.replace({"step_seconds": -0.5})
