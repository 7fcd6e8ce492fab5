"""The analytic data models of DeepSeek-OCR, all under one name."""

from __future__ import annotations

from llm_perf_opt.data.modules import AnalyticModuleNode, ModuleMetricsSnapshot, OperatorMetrics, Repetition, Stage
from llm_perf_opt.data.operators import OPERATOR_CATEGORIES, OperatorCategory, OperatorSpec, TargetOperatorList
from llm_perf_opt.data.report import AnalyticModelReport
from llm_perf_opt.data.workload import DeepSeekOCRModelSpec, DocumentKind, OCRWorkloadProfile, VisionBackbone

__all__ = [
    "OPERATOR_CATEGORIES",
    "AnalyticModelReport",
    "AnalyticModuleNode",
    "DeepSeekOCRModelSpec",
    "DocumentKind",
    "ModuleMetricsSnapshot",
    "OCRWorkloadProfile",
    "OperatorCategory",
    "OperatorMetrics",
    "OperatorSpec",
    "Repetition",
    "Stage",
    "TargetOperatorList",
    "VisionBackbone",
]
