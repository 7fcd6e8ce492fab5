"""Reports with an engine: the time of each stage from a calibration, with its bound and error beside it."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from attrs import evolve
from command_line import Run, assert_refused

from llm_perf_opt.data import AnalyticModelReport
from llm_perf_opt.data.prediction import EngineEstimate, Prediction
from llm_perf_opt.data.serialization import read_record
from llm_perf_opt.hardware import find_hardware
from llm_perf_opt.planning.evaluation import ServedModel
from llm_perf_opt.planning.time import estimate_seconds, load_calibration
from llm_perf_opt.profiles import find_profile
from llm_perf_opt.reporting.engine import estimate_stages
from llm_perf_opt.reporting.evaluation import evaluate_workload
from llm_perf_opt.reporting.roofline import Roofline
from llm_perf_opt.visualize.report_tables import format_time

CARD = find_hardware("rtx-5090")
ROOFLINE = Roofline(hardware=CARD, dtype="bfloat16")
PROFILE = evolve(find_profile("gundam"), num_pages=3, max_new_tokens=8)


def read_estimate(folder: Path) -> tuple[Prediction, EngineEstimate]:
    prediction = read_record(folder / "report.json", AnalyticModelReport).prediction
    assert prediction is not None
    assert prediction.estimate is not None
    return prediction, prediction.estimate


@pytest.mark.parametrize("name", ["eager-gddr", "graphs-gddr"])
def test_the_steps_are_added_up_one_by_one(name: str) -> None:
    """Seven steps of three sequences: the first sees the 913 positions of each prompt, each later one a token more."""
    calibration = load_calibration(name)
    estimate = estimate_stages(evaluate_workload(PROFILE, "bfloat16"), ROOFLINE, calibration)
    steps = [
        estimate_seconds(calibration, CARD, ServedModel().list_step_work(3, 3 * (913 + step))) for step in range(7)
    ]
    assert estimate.stage("decode").time_ms == pytest.approx(1000 * math.fsum(each.seconds for each in steps), rel=1e-9)
    bound = 1000 * math.fsum(each.bound_seconds for each in steps)
    assert estimate.stage("decode").bound_ms == pytest.approx(bound, rel=1e-9)


def test_the_stages_add_up_to_the_request_and_none_is_below_its_bound() -> None:
    calibration = load_calibration("graphs-gddr")
    estimate = estimate_stages(evaluate_workload(PROFILE, "bfloat16"), ROOFLINE, calibration)
    *stages, request = estimate.stages
    assert [stage.stage for stage in stages] == ["vision", "projector", "prefill", "decode"]
    assert request.time_ms == pytest.approx(sum(stage.time_ms for stage in stages), rel=1e-12)
    assert all(stage.bound_ms < stage.time_ms for stage in estimate.stages)
    # Three pages, each of which the host prepares.
    assert request.host_ms == pytest.approx(3000 * calibration.coefficients.page_host_seconds, rel=1e-12)
    assert estimate.relative_error == calibration.worst_error
    assert "graphs-gddr, for cards with GDDR" in estimate.description


def test_a_workload_of_one_token_has_no_step() -> None:
    evaluation = evaluate_workload(evolve(PROFILE, max_new_tokens=1), "bfloat16")
    estimate = estimate_stages(evaluation, ROOFLINE, load_calibration("eager-gddr"))
    assert (estimate.stage("decode").time_ms, estimate.stage("decode").bound_ms) == (0, 0)


def test_with_eager_traffic_the_bound_is_the_time_of_the_report(run: Run, tmp_path: Path) -> None:
    """Two ways to the same roofline: operator by operator in the report, stage by stage here."""
    out = tmp_path / "report"
    result = run("report", "--workload", "small", "--hardware", "rtx-5090", "--engine", "eager", "--out", out)
    assert result.code == 0, result.err
    prediction, estimate = read_estimate(out)
    assert estimate.calibration == "eager-gddr"
    for stage in prediction.stages:
        assert estimate.stage(stage.stage).bound_ms == pytest.approx(stage.time_ms, rel=1e-9)
    assert "with calibration eager-gddr, for cards with GDDR as NVIDIA GeForce RTX 5090 32GB" in result.out
    assert "estimated (ms)" in result.out
    summary = (out / "summary.md").read_text(encoding="utf-8")
    assert "### With an engine" in summary
    # The estimate leads, with its bound beside it.
    request = estimate.stage("request")
    first = result.out.splitlines()[0]
    assert f"{format_time(request.time_ms)} ms estimated with eager-gddr, at least" in first
    assert f"at least {format_time(request.bound_ms)} ms by the roofline with no operators fused" in first
    assert "unfused bound (ms)" in result.out
    below = "The roofline at peak rates, with no operators fused:"
    assert result.out.index("estimated (ms)") < result.out.index(below), "whose table says this time"
    first = summary.split("\n\n")[1]
    assert first.startswith(f"Estimated: **{format_time(request.time_ms)} ms** for one page with an engine, at least ")
    assert f"at least {format_time(request.bound_ms)} ms" in first
    assert "| request | " in summary


def test_a_bound_of_fused_operators_is_said_to_be_one(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "report"
    result = run("report", "--workload", "tiny", "--hardware", "rtx-5090", "--engine", "graphs", "--out", out)
    prediction, estimate = read_estimate(out)
    request = estimate.stage("request")
    assert request.bound_ms < sum(stage.time_ms for stage in prediction.stages if stage.stage != "request")
    said = f"at least {format_time(request.bound_ms)} ms by the roofline with operators fused"
    assert said in result.out.splitlines()[0]
    assert "  fused bound (ms)" in result.out
    assert "The roofline at peak rates, with no operators fused; the bounds above are lower" in result.out
    summary = (out / "summary.md").read_text(encoding="utf-8")
    assert f"at least {format_time(request.bound_ms)} ms with operators fused" in summary
    assert f"{format_time(prediction.stage('request').time_ms)} ms** for one page, with no operators fused." in summary


def test_the_time_of_the_host_is_said_to_be_no_part_of_the_estimate(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "report"
    result = run("report", "--workload", "gundam", "--hardware", "h100-sxm", "--engine", "graphs", "--out", out)
    _, estimate = read_estimate(out)
    vision = estimate.stage("vision")
    assert vision.host_ms > vision.time_ms, "which is what has to be explained"
    for text in (result.out, (out / "summary.md").read_text(encoding="utf-8")):
        _, _, below = " ".join(text.split()).partition("host, not included (ms)")
        assert "The estimates do not include what the host takes to decode, cut and resize the pages" in below


def test_without_an_engine_nothing_is_estimated(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "report"
    assert "estimated" not in run("report", "--workload", "tiny", "--out", out).out
    assert json.loads((out / "report.json").read_text(encoding="utf-8"))["prediction"]["estimate"] is None
    assert "With an engine" not in (out / "summary.md").read_text(encoding="utf-8")


def test_a_calibration_may_be_named_for_any_card(run: Run, tmp_path: Path) -> None:
    result = run("report", "--hardware", "h100-sxm", "--engine", "graphs-gddr", "--out", tmp_path / "report")
    assert "for cards with GDDR, while NVIDIA H100 SXM5 80GB has HBM" in result.out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--engine", "compiled"), ("there is no calibration of this name", "graphs-hbm")),
        (("--engine", "mine.yaml"), ("mine.yaml", "cannot be read")),
        (("--engine", "eager", "--efficiency", "0.5"), ("an engine has efficiencies of its own",)),
        (
            ("--engine", "eager", "--hardware", "apple-m1-max", "--dtype", "float32"),
            ("no calibration is shipped for the memory of this card", "LPDDR", "--engine eager-gddr"),
        ),
    ],
)
def test_what_cannot_be_is_refused(run: Run, tmp_path: Path, words: tuple[str, ...], said: tuple[str, ...]) -> None:
    out = tmp_path / "report"
    assert_refused(run("report", "--workload", "tiny", *words, "--out", out), *said)
    assert not out.exists()
