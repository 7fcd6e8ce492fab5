"""The fit: it finds what made the data, says what the data does not tell, and makes the shipped calibrations again."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from test_call_terms import make_coefficients

from llm_perf_opt.planning.calibrate.fit import FitError, FitPoint, fit_coefficients, leave_one_out
from llm_perf_opt.planning.calibrate.shipped import make_calibrations
from llm_perf_opt.planning.time import Coefficients, load_calibration
from llm_perf_opt.planning.time.records import COEFFICIENTS
from llm_perf_opt.planning.time.roofline import CallTerms

TRUTH = make_coefficients(
    traffic="fused",
    matrix_product_efficiency=0.7,
    attention_efficiency=0.4,
    step_seconds=3.5e-4,
    sequence_seconds=1.7e-5,
)
FREE = [("matrix_product_efficiency",), ("attention_efficiency",), ("step_seconds",), ("sequence_seconds",)]
START = make_coefficients(traffic="fused", matrix_product_efficiency=0.5, attention_efficiency=0.5)


def make_call(products: float, attention: float, sequences: int) -> CallTerms:
    return CallTerms(
        matrix_product_seconds=products, attention_seconds=attention, other_seconds=0.0, launches=7.0,
        sequences=sequences, host_pages=0,
    )  # fmt: skip


CALLS = {
    "one": make_call(6e-4, 3e-5, 1), "some": make_call(2.5e-3, 7e-4, 17), "many": make_call(3e-3, 4e-3, 101),
    "long": make_call(7e-4, 5e-3, 3), "wide": make_call(9e-3, 1e-4, 211),
}  # fmt: skip


def make_points(calls: Mapping[str, CallTerms], truth: Coefficients, **factors: float) -> list[FitPoint]:
    return [
        FitPoint(
            measurement_id=name,
            measured_seconds=call.wall_seconds(truth) * factors.get(name, 1.0),
            predict=call.wall_seconds,
        )
        for name, call in calls.items()
    ]


def test_it_finds_what_made_the_data() -> None:
    fit = fit_coefficients(make_points(CALLS, TRUTH), START, FREE)
    for name in COEFFICIENTS:
        assert getattr(fit.coefficients, name) == pytest.approx(getattr(TRUTH, name), rel=1e-3, abs=1e-12), name
    assert fit.undetermined == ()


def test_one_wrong_measurement_moves_little() -> None:
    calls = {**CALLS, "more": make_call(1.5e-3, 2e-3, 37), "less": make_call(1e-3, 1e-3, 71)}
    fit = fit_coefficients(make_points(calls, TRUTH, more=5.0), START, FREE)
    assert fit.coefficients.matrix_product_efficiency == pytest.approx(0.7, rel=0.05)
    assert fit.coefficients.sequence_seconds == pytest.approx(1.7e-5, rel=0.15)


def test_coefficients_stay_within_their_bounds() -> None:
    """Times that are shorter than the roofline give an efficiency of 1, and no step below 0."""
    fit = fit_coefficients(
        make_points({"one": CALLS["one"], "long": CALLS["long"]}, TRUTH, one=0.2, long=0.1), START, FREE[:2]
    )
    assert 1 - 1e-6 < fit.coefficients.matrix_product_efficiency <= 1
    assert 1 - 1e-6 < fit.coefficients.attention_efficiency <= 1


def test_what_the_data_does_not_tell_is_named() -> None:
    """With one number of sequences throughout, their time and that of the step are one."""
    calls = {name: make_call(call.matrix_product_seconds, call.attention_seconds, 7) for name, call in CALLS.items()}
    fit = fit_coefficients(make_points(calls, TRUTH), START, FREE)
    assert set(fit.undetermined) == {"step_seconds", "sequence_seconds"}
    # Without any attention, nothing is known of it.
    without = {name: make_call(call.matrix_product_seconds, 0.0, call.sequences) for name, call in CALLS.items()}
    assert fit_coefficients(make_points(without, TRUTH), START, FREE).undetermined == ("attention_efficiency",)


def test_coefficients_of_a_group_share_a_number() -> None:
    group = [("matrix_product_efficiency", "attention_efficiency"), ("step_seconds",)]
    truth = TRUTH.replace({"attention_efficiency": 0.7, "sequence_seconds": 0.0})
    fit = fit_coefficients(make_points(CALLS, truth), START, group)
    assert fit.coefficients.attention_efficiency == fit.coefficients.matrix_product_efficiency
    assert fit.coefficients.attention_efficiency == pytest.approx(0.7, rel=1e-3)


def test_leaving_one_out_predicts_it_from_the_others() -> None:
    points = make_points(CALLS, TRUTH)
    for point, predicted in zip(points, leave_one_out(points, START, FREE), strict=True):
        assert predicted is None or predicted == pytest.approx(point.measured_seconds, rel=1e-3)
    assert leave_one_out(points[:4], START, FREE) == [None] * 4


def test_a_point_that_alone_tells_a_coefficient_is_not_predicted_by_the_others() -> None:
    """Only one of these has any attention, and it has hardly anything else."""
    calls = {name: make_call(call.matrix_product_seconds, 0.0, call.sequences) for name, call in CALLS.items()}
    points = make_points({**calls, "alone": make_call(1e-5, 9e-3, 1)}, TRUTH)
    predicted = leave_one_out(points, START, FREE)
    assert predicted[-1] is None
    assert all(each is not None for each in predicted[:-1])


def test_too_few_points_are_refused() -> None:
    points = make_points(CALLS, TRUTH)[:3]
    with pytest.raises(FitError, match="too few measurements for these coefficients; expected at least 4; found 3"):
        fit_coefficients(points, START, FREE)


def test_the_shipped_calibrations_are_the_fit_of_the_public_measurements() -> None:
    """Otherwise run make calibrations. Four digits are kept, of which machines may round the last another way."""
    for made in make_calibrations():
        shipped = load_calibration(made.name)
        assert made.origins == shipped.origins
        assert made.undetermined == shipped.undetermined
        assert (made.engine, made.memory_class, made.cards) == (shipped.engine, shipped.memory_class, shipped.cards)
        for name in COEFFICIENTS:
            assert getattr(made.coefficients, name) == pytest.approx(getattr(shipped.coefficients, name), rel=2e-3)
        for one, other in zip(made.points, shipped.points, strict=True):
            assert (one.measurement_id, one.role) == (other.measurement_id, other.role)
            assert one.predicted_seconds == pytest.approx(other.predicted_seconds, rel=2e-3)
