"""The analytic data models of DeepSeek-OCR, all under one name."""

from __future__ import annotations

from llm_perf_opt.data.hardware import HardwareSource, HardwareSpec, MemoryReserve
from llm_perf_opt.data.modules import AnalyticModuleNode, ModuleMetricsSnapshot, OperatorMetrics, Repetition, Stage
from llm_perf_opt.data.prediction import ActivationMemory, OperatorCost, Prediction, StageCost
from llm_perf_opt.data.report import AnalyticModelReport
from llm_perf_opt.data.specification import DeepSeekOCRModelSpec, DocumentKind, OCRWorkloadProfile, VisionBackbone
from llm_perf_opt.data.target_operators import OPERATOR_CATEGORIES, OperatorCategory, OperatorSpec, TargetOperatorList

__all__ = [
    "OPERATOR_CATEGORIES",
    "ActivationMemory",
    "AnalyticModelReport",
    "AnalyticModuleNode",
    "DeepSeekOCRModelSpec",
    "DocumentKind",
    "HardwareSource",
    "HardwareSpec",
    "MemoryReserve",
    "ModuleMetricsSnapshot",
    "OCRWorkloadProfile",
    "OperatorCategory",
    "OperatorCost",
    "OperatorMetrics",
    "OperatorSpec",
    "Prediction",
    "Repetition",
    "Stage",
    "StageCost",
    "TargetOperatorList",
    "VisionBackbone",
]
