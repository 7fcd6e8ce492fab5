"""Requests and summaries that other programs exchange with ours."""

from llm_perf_opt.contracts.analytic import (
    AnalyticModuleSummary,
    DeepSeekOCRAnalyticReportSummary,
    DeepSeekOCRAnalyticRequest,
)
from llm_perf_opt.contracts.compiled import CategorySummary, CompiledModelReportSummary

__all__ = [
    "AnalyticModuleSummary",
    "CategorySummary",
    "CompiledModelReportSummary",
    "DeepSeekOCRAnalyticReportSummary",
    "DeepSeekOCRAnalyticRequest",
]
