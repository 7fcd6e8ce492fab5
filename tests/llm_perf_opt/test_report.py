"""What relates the parts of a report is checked when it is made."""

from __future__ import annotations

import pytest
from records import make_profile, make_report, make_snapshot

from llm_perf_opt.errors import RecordError


def test_lists_are_kept_in_order_as_tuples() -> None:
    report = make_report()
    assert [node.module_id for node in report.modules] == ["root", "left", "leaf", "right"]
    assert isinstance(report.modules, tuple)


def test_every_snapshot_names_a_module_once_and_the_workload() -> None:
    with pytest.raises(RecordError, match=r"^module_metrics\[1\]\.module_id: no module has this id; found absent$"):
        make_report(module_metrics=[make_snapshot("leaf"), make_snapshot("absent")])
    with pytest.raises(RecordError, match=r"^module_metrics\[1\]\.module_id: the same as in module_metrics\[0\]"):
        make_report(module_metrics=[make_snapshot("leaf"), make_snapshot("leaf")])
    with pytest.raises(RecordError, match=r"^module_metrics\[0\]\.profile_id: .* expected p; found dsocr-standard-v1$"):
        make_report(workload=make_profile(profile_id="p"))


def test_every_breakdown_names_a_category() -> None:
    with pytest.raises(RecordError, match=r"^module_metrics\[0\]\.operator_breakdown\[0\]\.category_id: no .* linear$"):
        make_report(operator_categories=[])


def test_categories_are_distinct() -> None:
    categories = make_report().operator_categories
    with pytest.raises(RecordError, match=r"^operator_categories\[1\]\.category_id: the same"):
        make_report(operator_categories=categories * 2)


def test_the_ratio_is_that_of_the_times() -> None:
    # 2 ms predicted, 0.75 ms measured: 2.666...
    assert make_report(measured_total_time_ms=0.75, predicted_vs_measured_ratio=2 / 0.75).profile_run_id is None
    for measured, ratio in ((0.75, None), (None, 2.0), (0.75, 2.66), (0.75, 0.375)):
        with pytest.raises(RecordError, match=r"^predicted_vs_measured_ratio: "):
            make_report(measured_total_time_ms=measured, predicted_vs_measured_ratio=ratio)
    with pytest.raises(RecordError, match=r"^measured_total_time_ms: "):
        make_report(measured_total_time_ms=0.0, predicted_vs_measured_ratio=0.0)


@pytest.mark.parametrize(
    ("exact", "scaled", "count"),
    [
        ("flops", "total_flops_tflops", 500_000_000_011), ("io_bytes", "total_io_tb", 31_250_000_002),
        ("weight_bytes", "memory_weights_gb", 2**27 - 2), ("activation_bytes", "memory_activations_gb", 2**26 + 2),
        ("kv_cache_bytes", "memory_kvcache_gb", 2),
    ],
)  # fmt: skip
def test_a_count_is_what_the_number_beside_it_says(exact: str, scaled: str, count: int) -> None:
    """The snapshot has 0.5, 0.25, 0.125, 0.0625 and 0 of their units; rounding up to a byte is no difference."""
    with pytest.raises(RecordError, match=rf"^{exact}: not what {scaled} says; expected about .*; found {count}$"):
        make_snapshot("leaf", **{exact: count})
    expected = {"flops": 500 * 10**9, "io_bytes": 31_250 * 10**6, "weight_bytes": 2**27, "activation_bytes": 2**26 + 1}
    assert make_snapshot("leaf", **expected).weight_bytes == 2**27
    assert make_snapshot("leaf").io_bytes is None, "as in reports of the first specification"


def test_records_of_another_class_are_refused() -> None:
    with pytest.raises(RecordError, match=r"^modules\[0\]: wrong value; expected a record AnalyticModuleNode"):
        make_report(modules=[make_snapshot("root")])
    with pytest.raises(RecordError, match=r"^workload: "):
        make_report(workload={"profile_id": "p"})
