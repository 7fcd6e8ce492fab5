"""The summary of a report for other programs."""

from __future__ import annotations

import pytest
from records import make_report, make_snapshot

from llm_perf_opt.contracts import DeepSeekOCRAnalyticReportSummary
from llm_perf_opt.data.serialization import from_json, to_json
from llm_perf_opt.reporting.summary import summarize


def test_the_slowest_modules_come_first() -> None:
    times = {"root": 3.0, "left": 1.0, "leaf": 7.0, "right": 5.0}
    # In plain units: 0.5e12 FLOPs, 0.25e12 bits, and 2^26 bytes.
    exact = {"flops": 500 * 10**9, "io_bytes": 31_250 * 10**6, "activation_bytes": 2**26}
    report = make_report(
        module_metrics=[
            make_snapshot(name, total_time_ms=time, share_of_model_time=time / 16, **exact)
            for name, time in times.items()
        ],
        measured_total_time_ms=8.0,
        predicted_vs_measured_ratio=0.25,
        notes="a note",
    )
    summary = summarize(report, top=3)
    assert [(module.module_id, module.share_of_model_time) for module in summary.top_modules] == [
        ("leaf", 7 / 16), ("right", 5 / 16), ("root", 3 / 16)
    ]  # fmt: skip
    leaf = summary.top_modules[0]
    assert (leaf.name, leaf.stage, leaf.total_flops_tflops, leaf.memory_activations_gb) == (
        "leaf",
        "prefill",
        0.5,
        0.0625,
    )
    assert {name: getattr(leaf, name) for name in exact} == exact
    assert (summary.report_id, summary.model_variant) == ("r1", "deepseek-ocr-v1-base")
    assert (summary.workload_profile_id, summary.notes) == ("dsocr-standard-v1", "a note")
    assert summary.predicted_vs_measured_ratio == pytest.approx(2 / 8)
    assert from_json(to_json(summary), DeepSeekOCRAnalyticReportSummary) == summary
