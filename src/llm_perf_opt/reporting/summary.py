"""The summary of a report, as other programs exchange it."""

from __future__ import annotations

from llm_perf_opt.contracts import AnalyticModuleSummary, DeepSeekOCRAnalyticReportSummary
from llm_perf_opt.data import AnalyticModelReport


def summarize(report: AnalyticModelReport, top: int = 10) -> DeepSeekOCRAnalyticReportSummary:
    """Return the summary of a report with its ``top`` slowest modules, each without what it holds."""
    nodes = {node.module_id: node for node in report.modules}
    slowest = sorted(report.module_metrics, key=lambda snapshot: -snapshot.total_time_ms)[:top]
    return DeepSeekOCRAnalyticReportSummary(
        report_id=report.report_id,
        model_variant=report.model.model_variant,
        workload_profile_id=report.workload.profile_id,
        predicted_total_time_ms=report.predicted_total_time_ms,
        measured_total_time_ms=report.measured_total_time_ms,
        predicted_vs_measured_ratio=report.predicted_vs_measured_ratio,
        top_modules=tuple(
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
        ),
        notes=report.notes,
    )
