"""Small records written by hand, for tests that need one definite record."""

from __future__ import annotations

from typing import Any

from llm_perf_opt.data import (
    AnalyticModelReport,
    AnalyticModuleNode,
    DeepSeekOCRModelSpec,
    ModuleMetricsSnapshot,
    OCRWorkloadProfile,
    OperatorCategory,
    OperatorMetrics,
)


def make_profile(**changes: Any) -> OCRWorkloadProfile:
    """The standard profile: 273 tokens of the global view and 210 of two tiles, in a prompt of 512."""
    fields: dict[str, Any] = {
        "profile_id": "dsocr-standard-v1",
        "description": "one page",
        "seq_len": 512,
        "base_size": 1024,
        "image_size": 640,
        "crop_mode": True,
        "max_new_tokens": 512,
        "doc_kind": "mixed_layout",
        "num_pages": 1,
        "num_width_tiles": 2,
        "num_height_tiles": 1,
    }
    return OCRWorkloadProfile(**(fields | changes))


def make_node(module_id: str, parent_id: str | None, children: list[str], **changes: Any) -> AnalyticModuleNode:
    """A module that does not repeat."""
    fields: dict[str, Any] = {
        "module_id": module_id,
        "name": module_id,
        "qualified_class_name": f"package.{module_id}",
        "stage": "prefill",
        "parent_id": parent_id,
        "children": children,
        "repetition": "none",
        "repetition_count": 1,
        "constructor_params": {"kernel_size": [3, 5], "bias": False},
    }
    return AnalyticModuleNode(**(fields | changes))


def make_snapshot(module_id: str, **changes: Any) -> ModuleMetricsSnapshot:
    """A snapshot with one category, linear."""
    operators = OperatorMetrics(category_id="linear", calls=3, flops_tflops=0.5, io_tb=0.25, share_of_module_flops=1.0)
    fields: dict[str, Any] = {
        "module_id": module_id,
        "profile_id": "dsocr-standard-v1",
        "calls": 3,
        "total_time_ms": 1.5,
        "total_flops_tflops": 0.5,
        "total_io_tb": 0.25,
        "memory_weights_gb": 0.125,
        "memory_activations_gb": 0.0625,
        "memory_kvcache_gb": 0.0,
        "share_of_model_time": 0.75,
        "operator_breakdown": [operators],
    }
    return ModuleMetricsSnapshot(**(fields | changes))


def make_report(**changes: Any) -> AnalyticModelReport:
    """A model ``root`` with the children ``left`` and ``right``, of which ``left`` holds ``leaf``."""
    fields: dict[str, Any] = {
        "report_id": "r1",
        "model": DeepSeekOCRModelSpec(
            model_id="deepseek-ai/DeepSeek-OCR",
            model_variant="deepseek-ocr-v1-base",
            config_path="/models/config.json",
            hidden_size=1280,
            intermediate_size=6848,
            num_layers=12,
            num_attention_heads=10,
            vision_backbone="sam_vit_b",
            uses_moe=True,
        ),
        "workload": make_profile(),
        "modules": [
            make_node("root", None, ["left", "right"]),
            make_node("left", "root", ["leaf"]),
            make_node("leaf", "left", []),
            make_node("right", "root", []),
        ],
        "operator_categories": [
            OperatorCategory(category_id="linear", display_name="Linear", description="", match_classes=["Linear"])
        ],
        "module_metrics": [make_snapshot("leaf"), make_snapshot("right")],
        "predicted_total_time_ms": 2.0,
        "layer_docs_dir": "/reports/layers",
    }
    return AnalyticModelReport(**(fields | changes))
