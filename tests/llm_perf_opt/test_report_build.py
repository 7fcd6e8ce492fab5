"""Whole reports of the model: exact, complete, and a function of what was asked."""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
import sys
from fractions import Fraction

import pytest
from attrs import evolve
from evaluations import accept_fractions
from jsonschema import Draft202012Validator
from predictions import make_hardware

import deepseek_ocr_costs as costs
from llm_perf_opt.data import AnalyticModelReport, MemoryReserve
from llm_perf_opt.data.schema import report_schema_json
from llm_perf_opt.data.serialization import from_json, from_yaml, to_json, to_yaml
from llm_perf_opt.errors import RecordError
from llm_perf_opt.hardware import find_hardware
from llm_perf_opt.profiles import find_profile, list_profiles
from llm_perf_opt.reporting.build import ReportRequest, build_report
from llm_perf_opt.reporting.evaluation import Storage

REQUEST = ReportRequest(profile=find_profile("dsocr-standard-v1"), hardware=find_hardware("h100-sxm"))


@pytest.fixture(scope="module")
def report() -> AnalyticModelReport:
    return build_report(REQUEST)


@pytest.mark.parametrize("name", list_profiles())
def test_totals_are_the_evaluators_to_the_last_unit(name: str) -> None:
    profile = find_profile(name)
    report = build_report(evolve(REQUEST, profile=profile))
    width, height = profile.tile_grid
    expected = costs.request(
        base_size=profile.base_size, image_size=profile.image_size, num_width_tiles=width, num_height_tiles=height,
        seq_len=profile.seq_len, max_new_tokens=profile.max_new_tokens,
    )  # fmt: skip
    assert report.prediction is not None
    request = report.prediction.stage("request")
    assert {metric: getattr(request, metric) for metric in expected._asdict()} == expected._asdict()
    rows = report.prediction.operators
    assert sum(row.tensor_core_flops for row in rows) == expected.tensor_core_flops
    assert sum(row.cuda_core_flops for row in rows) == expected.cuda_core_flops
    # Converted, the modules add up to the same, within the rounding of as many floats.
    flops = math.fsum(snapshot.total_flops_tflops for snapshot in report.module_metrics)
    assert flops == pytest.approx((expected.tensor_core_flops + expected.cuda_core_flops) / 1e12, rel=1e-14)
    bits = math.fsum(snapshot.total_io_tb for snapshot in report.module_metrics)
    assert bits == pytest.approx(8 * expected.io_bytes / 1e12, rel=1e-14)


def test_all_shares_add_up_to_one(report: AnalyticModelReport) -> None:
    assert report.prediction is not None
    modules = math.fsum(snapshot.share_of_model_time for snapshot in report.module_metrics)
    stages = math.fsum(stage.share_of_model_time for stage in report.prediction.stages[:-1])
    assert (modules, stages) == (pytest.approx(1, abs=1e-12), pytest.approx(1, abs=1e-12))
    for snapshot in report.module_metrics:
        shares = [operators.share_of_module_flops for operators in snapshot.operator_breakdown]
        assert math.fsum(shares) == pytest.approx(1 if snapshot.calls else 0, abs=1e-12), snapshot.module_id


def test_everything_is_attributed_to_modules_and_named_categories(report: AnalyticModelReport) -> None:
    used = {operators.category_id for each in report.module_metrics for operators in each.operator_breakdown}
    assert "other" not in used
    times = math.fsum(snapshot.total_time_ms for snapshot in report.module_metrics)
    assert times == pytest.approx(report.predicted_total_time_ms, rel=1e-14)


def test_weights_stand_once_in_a_stage(report: AnalyticModelReport) -> None:
    """Decoder weights are in the nodes of both of its stages: 3,336,106,240 parameters of two bytes in all."""
    stages = {node.module_id: node.stage for node in report.modules}
    held = {
        stage: sum(each.memory_weights_gb for each in report.module_metrics if stages[each.module_id] == stage)
        for stage in ("vision", "projector", "prefill", "decode")
    }
    assert held["prefill"] == pytest.approx(held["decode"])
    assert held["vision"] + held["projector"] + held["decode"] == pytest.approx(3_336_106_240 * 2 / 2**30)


def test_it_survives_json_and_yaml_and_validates(report: AnalyticModelReport) -> None:
    assert from_json(to_json(report), AnalyticModelReport) == from_yaml(to_yaml(report), AnalyticModelReport) == report
    validator = Draft202012Validator(json.loads(report_schema_json()))
    assert not list(validator.iter_errors(json.loads(to_json(report))))


def test_the_same_request_gives_the_same_bytes(report: AnalyticModelReport) -> None:
    assert to_json(build_report(REQUEST)) == to_json(report)


def test_the_id_comes_from_the_content(report: AnalyticModelReport) -> None:
    assert re.fullmatch("dsocr-standard-v1-h100-sxm-[0-9a-f]{12}", report.report_id)
    others = [
        evolve(REQUEST, hardware=evolve(REQUEST.hardware, vector_flops_per_second=66.8e12)),
        evolve(REQUEST, profile=evolve(REQUEST.profile, max_new_tokens=513)),
        evolve(REQUEST, dtype="int8"),
        evolve(REQUEST, storage=Storage(kv_bits=8)),
        evolve(REQUEST, reserve=MemoryReserve(reserve_gib=3.0, reason="as asked for")),
        evolve(REQUEST, efficiency=0.5),
        evolve(REQUEST, profile_run_id="run-7"),
        evolve(REQUEST, measured_total_time_ms=300.0),
    ]
    ids = {build_report(other).report_id for other in others}
    assert len({report.report_id, *ids}) == 1 + len(others)


def test_a_time_of_day_is_only_in_the_notes(report: AnalyticModelReport) -> None:
    noted = build_report(evolve(REQUEST, written_at="2025-03-04T05:06:07+00:00"))
    assert noted.notes == report.notes + " Written at 2025-03-04T05:06:07+00:00."
    assert evolve(noted, notes=report.notes) == report


def test_absolute_paths_are_only_there_where_asked() -> None:
    """They differ from machine to machine, and so would equal reports; the id is that of what does not."""
    plain, noted = build_report(REQUEST), build_report(evolve(REQUEST, with_paths=True))
    assert (plain.model.config_path, plain.layer_docs_dir) == (None, None)
    assert noted.model.config_path is not None
    assert os.path.isabs(noted.model.config_path)
    assert os.path.isfile(noted.model.config_path)
    assert noted.report_id == plain.report_id


def test_the_same_is_there_in_plain_units(report: AnalyticModelReport) -> None:
    """Beside the first specification's, exactly: they add up to the bytes and FLOPs of the request."""
    assert report.prediction is not None
    request = report.prediction.stage("request")
    metrics = report.module_metrics
    assert sum(each.flops or 0 for each in metrics) == request.tensor_core_flops + request.cuda_core_flops
    # All elements are of 16 bits, so that nothing is rounded.
    assert sum(each.io_bytes or 0 for each in metrics) == request.io_bytes
    assert sum(part.io_bytes or 0 for each in metrics for part in each.operator_breakdown) == request.io_bytes
    assert sum(
        each.kv_cache_bytes or 0 for each in metrics if each.module_id.startswith("decode")
    ) == 12 * 2 * 1280 * 2 * (512 + 511)


def test_float32_takes_twice_the_bytes_and_another_rate(report: AnalyticModelReport) -> None:
    """Twice the bytes of every element, so that what is memory-bound takes twice as long; indices stay as they are."""
    assert report.prediction is not None
    for precision, peak in (("highest", 66.9e12), ("high", 494.7e12)):
        wide = build_report(evolve(REQUEST, dtype="float32", float32_matmul_precision=precision)).prediction
        assert wide is not None
        assert wide.float32_matmul_precision == precision
        assert wide.stage("request").weight_bytes == 4 * 3_336_106_240
        head = next(row for row in wide.operators if row.module_id == "prefill.lm_head")
        # 512 positions, a vocabulary of 129,280, 1280 channels: bound by its FLOPs, at either rate.
        assert head.time_ms == pytest.approx(1000 * 2 * 512 * 129_280 * 1280 / peak)
        assert head.bound_by == ("cuda_cores" if precision == "highest" else "tensor_cores")


def test_weights_of_five_and_a_half_bits(report: AnalyticModelReport, monkeypatch: pytest.MonkeyPatch) -> None:
    """On evaluators that take them: through records, files and schema, exactly."""
    accept_fractions(monkeypatch)
    request = evolve(REQUEST, storage=Storage(weight_bits=Fraction(11, 2), kv_bits=8))
    mixed = build_report(request)
    assert mixed.prediction is not None
    assert mixed.prediction.sizes["weight_bits"] == Fraction(11, 2)
    assert mixed.prediction.stage("request").weight_bytes == 3_336_106_240 * 11 // 16
    head = next(each for each in mixed.module_metrics if each.module_id == "decode.lm_head")
    assert head.weight_bytes == 129_280 * 1280 * 11 // 16
    assert head.memory_weights_gb == 129_280 * 1280 * 5.5 / 8 / 2**30
    assert from_json(to_json(mixed), AnalyticModelReport) == from_yaml(to_yaml(mixed), AnalyticModelReport) == mixed
    assert not list(Draft202012Validator(json.loads(report_schema_json())).iter_errors(json.loads(to_json(mixed))))


def test_an_efficiency_divides_every_time(report: AnalyticModelReport) -> None:
    half = build_report(evolve(REQUEST, efficiency=0.5))
    assert half.predicted_total_time_ms == pytest.approx(2 * report.predicted_total_time_ms)
    shares = [snapshot.share_of_model_time for snapshot in half.module_metrics]
    assert shares == pytest.approx([snapshot.share_of_model_time for snapshot in report.module_metrics])


def test_measured_fields_are_empty_unless_given(report: AnalyticModelReport) -> None:
    assert (report.measured_total_time_ms, report.predicted_vs_measured_ratio, report.profile_run_id) == (None,) * 3
    measured = build_report(evolve(REQUEST, measured_total_time_ms=1000.0))
    assert measured.predicted_vs_measured_ratio == report.predicted_total_time_ms / 1000


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"measured_total_time_ms": 0.0}, "measured_total_time_ms"),
        ({"efficiency": 0.0}, "efficiency"),
        ({"dtype": "bfloat17"}, "dtype"),
        ({"hardware": make_hardware(tensor_flops_per_second={"int8": 1.0})}, "abacus"),
        # Beyond 64 bits, which the record's integers have.
        ({"profile": evolve(REQUEST.profile, num_pages=10**8)}, r"\w+_(flops|bits): "),
    ],
)
def test_what_cannot_be_reported_is_refused(changes: dict[str, object], place: str) -> None:
    with pytest.raises(RecordError, match=f"^{place}"):
        build_report(evolve(REQUEST, **changes))


def test_the_report_path_imports_neither_torch_nor_sympy() -> None:
    code = (
        "import sys\n"
        "from llm_perf_opt.analytic_run import build_report, render_files, find_hardware, find_profile\n"
        "from llm_perf_opt.reporting.build import ReportRequest\n"
        "request = ReportRequest(profile=find_profile('tiny'), hardware=find_hardware('l40s'))\n"
        "render_files(build_report(request), ())\n"
        "print(sorted({'torch', 'sympy', 'numpy', 'networkx'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")
