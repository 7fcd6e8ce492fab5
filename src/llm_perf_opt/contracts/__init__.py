"""Requests and summaries that other programs exchange with ours."""

from llm_perf_opt.contracts.analytic import (
    AnalyticModuleSummary,
    DeepSeekOCRAnalyticReportSummary,
    DeepSeekOCRAnalyticRequest,
)

__all__ = ["AnalyticModuleSummary", "DeepSeekOCRAnalyticReportSummary", "DeepSeekOCRAnalyticRequest"]
