"""The summary of a report, as other programs exchange it."""

from __future__ import annotations

from collections import defaultdict

from llm_perf_opt.contracts import (
    AnalyticModuleSummary,
    CategorySummary,
    CompiledModelReportSummary,
    DeepSeekOCRAnalyticReportSummary,
)
from llm_perf_opt.data import AnalyticModelReport, OperatorCost
from llm_perf_opt.data.compiled_report import CompiledModelReport
from llm_perf_opt.reporting.work import total_time


def summarize(report: AnalyticModelReport, top: int = 10) -> DeepSeekOCRAnalyticReportSummary:
    """Return the summary of a report with its ``top`` slowest modules, each without what it holds."""
    return DeepSeekOCRAnalyticReportSummary(
        report_id=report.report_id,
        model_variant=report.model.model_variant,
        workload_profile_id=report.workload.profile_id,
        predicted_total_time_ms=report.predicted_total_time_ms,
        measured_total_time_ms=report.measured_total_time_ms,
        predicted_vs_measured_ratio=report.predicted_vs_measured_ratio,
        top_modules=_list_slowest(report, top),
        notes=report.notes,
    )


def summarize_compiled(report: CompiledModelReport, top: int = 10) -> CompiledModelReportSummary:
    """Return the summary of the report of a compiled model with its ``top`` slowest modules."""
    prediction = report.prediction
    return CompiledModelReportSummary(
        report_id=report.report_id,
        model_id=report.model.model_id,
        hardware_id=prediction.hardware.hardware_id,
        dtype=prediction.dtype,
        sizes=prediction.sizes,
        predicted_total_time_ms=report.predicted_total_time_ms,
        measured_total_time_ms=report.measured_total_time_ms,
        predicted_vs_measured_ratio=report.predicted_vs_measured_ratio,
        stages=prediction.stages,
        categories=_list_categories(report),
        top_modules=_list_slowest(report, top),
        estimate=prediction.estimate,
        notes=report.notes,
    )


def _list_categories(report: CompiledModelReport) -> tuple[CategorySummary, ...]:
    rows: defaultdict[str, list[OperatorCost]] = defaultdict(list)
    for row in report.prediction.operators:
        rows[row.category_id].append(row)
    times = {category: total_time(members) for category, members in rows.items()}
    return tuple(
        CategorySummary(
            category_id=category, time_ms=time, share_of_model_time=time / report.predicted_total_time_ms
        )
        for category, time in sorted(times.items(), key=lambda item: -item[1])
    )  # fmt: skip


def _list_slowest(report: AnalyticModelReport | CompiledModelReport, top: int) -> tuple[AnalyticModuleSummary, ...]:
    nodes = {node.module_id: node for node in report.modules}
    slowest = sorted(report.module_metrics, key=lambda snapshot: -snapshot.total_time_ms)[:top]
    return tuple(
        AnalyticModuleSummary(
            module_id=snapshot.module_id,
            name=nodes[snapshot.module_id].name,
            stage=nodes[snapshot.module_id].stage,
            share_of_model_time=snapshot.share_of_model_time,
            total_time_ms=snapshot.total_time_ms,
            total_flops_tflops=snapshot.total_flops_tflops,
            memory_activations_gb=snapshot.memory_activations_gb,
            flops=snapshot.flops,
            io_bytes=snapshot.io_bytes,
            activation_bytes=snapshot.activation_bytes,
        )
        for snapshot in slowest
    )
