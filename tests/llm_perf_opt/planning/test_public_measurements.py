"""Public measurements against what is predicted of them: the gate, the memory, and that the page is current."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from llm_perf_opt.planning.measured.memory import predict_memory
from llm_perf_opt.planning.measured.predict import find_condition_terms
from llm_perf_opt.planning.measured.records import read_conditions, read_measurements
from llm_perf_opt.planning.time import list_calibrations, load_calibration
from llm_perf_opt.runners import write_measured_page
from llm_perf_opt.visualize.measured_page import render_measured_page

PAGE = Path(__file__).parents[3] / "codegen" / "formulas" / "measured.md"
CONDITIONS = {each.measurement_id: each for each in read_conditions()}
TIMES = [each.measurement_id for each in read_conditions() if each.is_time]
WITHOUT_POINTS = "eager-hbm"


@pytest.mark.parametrize("name", [each for each in list_calibrations() if each != WITHOUT_POINTS])
def test_what_was_not_fitted_is_predicted(name: str) -> None:
    calibration = load_calibration(name)
    assert len(calibration.checked) >= 2, "one point more would be luck"
    assert {point.role for point in calibration.points} == {"fitted", "checked"}
    assert calibration.median_error is not None
    assert calibration.median_error <= 0.15
    assert calibration.worst_error is not None
    assert calibration.worst_error <= 0.35


def test_a_class_without_points_says_so() -> None:
    calibration = load_calibration(WITHOUT_POINTS)
    assert calibration.points == ()
    assert calibration.worst_error is None
    assert "no public measurement" in calibration.source


@pytest.mark.parametrize("measurement_id", TIMES)
def test_the_points_of_a_calibration_are_what_its_coefficients_say(measurement_id: str) -> None:
    """A formula, a card or a condition that changes makes the shipped calibrations stale: run make calibrations."""
    condition = CONDITIONS[measurement_id]
    assert condition.calibration is not None
    calibration = load_calibration(condition.calibration)
    point = {each.measurement_id: each for each in calibration.points}[measurement_id]
    terms = find_condition_terms(condition, calibration.coefficients.traffic, calibration.page_coefficients)
    predicted = terms.predict_seconds(calibration.coefficients)
    assert predicted == pytest.approx(point.predicted_seconds, rel=1e-5)
    assert point.measured_seconds == pytest.approx(read_measurements()[measurement_id].value / 1000, rel=1e-5)
    assert point.role == condition.role
    assert predicted > terms.bound_seconds


def test_far_off_is_what_has_a_reason() -> None:
    """Beyond the gate are two fitted kernels only, and each says why."""
    far = {
        point.measurement_id
        for name in list_calibrations()
        for point in load_calibration(name).points
        if abs(point.relative_error) > 0.35
    }
    assert far == {each.measurement_id for each in read_conditions() if each.failure}
    assert far == {"5090-projector-tiles-gpu", "5090-expert-gemm-prefill-gpu"}


def test_the_head_takes_its_bytes_and_its_flops() -> None:
    """Written out: 1280 x 129280 weights of 2 bytes at 1.792 TB/s; 2 x 913 products of each at 209.5 TFLOP/s."""
    decode = find_condition_terms(CONDITIONS["5090-lm-head-decode-gpu"], "eager")
    assert decode.bound_seconds == pytest.approx(1280 * 129280 * 2 / 1.792e12, rel=2e-3)  # and 0.1 % of activations
    prefill = find_condition_terms(CONDITIONS["5090-lm-head-prefill-gpu"], "eager")
    assert prefill.bound_seconds == pytest.approx(2 * 913 * 1280 * 129280 / 209.5e12, rel=1e-9)


def test_a_step_launches_the_experts_that_its_token_takes() -> None:
    """6 of 64 in each of 11 layers: three products, an activation and a product of the two for each."""
    terms = find_condition_terms(CONDITIONS["5090-decode-wall"], "eager")
    ((call, count),) = terms.calls
    assert count == 1
    # A profiler saw 1,219 kernels: sorting is several of them, which we count as one.
    assert 1219 * 0.9 < call.launches < 1219
    assert call.launches == pytest.approx(round(call.launches), abs=1e-9)


def test_weights_and_cache_are_those_that_engines_report() -> None:
    """Cache tokens within 1 %, weights within 0.3 %, and of one of two ranks within 0.6 %."""
    measured = read_measurements()
    for condition in read_conditions():
        if condition.quantity == "cache tokens":
            ratio = predict_memory(condition) / measured[condition.measurement_id].value
            assert ratio == pytest.approx(1, abs=0.01), condition.measurement_id
        if condition.quantity == "weight bytes":
            ratio = predict_memory(condition) / measured[condition.measurement_id].value
            # Buffers that an engine adds to every rank are twice as much of a half.
            tolerance = 0.003 if condition.tensor_parallel == 1 else 0.006
            assert ratio == pytest.approx(1, abs=tolerance), condition.measurement_id


def test_every_measurement_is_predicted_or_says_why_not() -> None:
    assert len(CONDITIONS) == len(read_measurements()) >= 30
    for condition in read_conditions():
        assert condition.is_time == (condition.role is not None) == bool(condition.parts)
        assert condition.is_time or condition.quantity in ("weight bytes", "cache tokens", "not predicted")
        assert all(each.source and each.locator for each in read_measurements().values())


def test_the_page_is_current() -> None:
    """Otherwise run make measured."""
    assert PAGE.read_text(encoding="utf-8") == render_measured_page()


def test_the_page_shows_every_measurement_and_what_is_not_met() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for measurement in read_measurements().values():
        assert f"| {measurement.id} |" in text
    lines = text.splitlines()
    assert any(line.startswith("| eager | HBM | not known: no point | 0 | 0 |") for line in lines)
    assert any("5090-lm-head-prefill-gpu" in line and "| checked | 1.444 |" in line for line in lines)
    assert "product of few tiles" in text


def test_the_page_is_written_and_checked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "measured.md"
    assert write_measured_page.main(["--out", str(page)]) == 0
    assert write_measured_page.main(["--out", str(page), "--check"]) == 0
    page.write_text(page.read_text(encoding="utf-8").replace("| met |", "| missed |"), encoding="utf-8")
    assert write_measured_page.main(["--out", str(page), "--check"]) == 1
    assert "is stale; run python -m llm_perf_opt.runners.write_measured_page" in capsys.readouterr().err


def test_facts_are_plain_data() -> None:
    """Values are numbers, as published; nothing was rounded to fit."""
    values = {each.id: each.value for each in read_measurements().values()}
    assert json.loads(json.dumps(values)) == values
    assert values["5090-decode-wall"] == 9.8225
    assert values["l4-kv-tokens"] == 215680
