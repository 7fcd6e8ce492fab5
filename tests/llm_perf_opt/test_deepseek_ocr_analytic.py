"""The names that the first specification imports, and what importing them must not pull in."""

from __future__ import annotations

import subprocess
import sys

import llm_perf_opt.data
from llm_perf_opt.data import deepseek_ocr_analytic

NAMES = [
    "DeepSeekOCRModelSpec", "OCRWorkloadProfile", "AnalyticModuleNode", "OperatorCategory", "OperatorMetrics",
    "ModuleMetricsSnapshot", "AnalyticModelReport", "TargetOperatorList", "OperatorSpec",
]  # fmt: skip


def test_every_record_has_both_names() -> None:
    for name in NAMES:
        assert getattr(llm_perf_opt.data, name) is getattr(deepseek_ocr_analytic, name)
        assert name in deepseek_ocr_analytic.__all__


def test_records_contracts_and_loaders_import_neither_torch_nor_sympy() -> None:
    """Making a profile counts as well: it asks the generated evaluators for its image tokens."""
    script = """
import sys
from llm_perf_opt import contracts, data
from llm_perf_opt.data import schema, serialization
from llm_perf_opt.data import image_tokens
from llm_perf_opt.utils import dsocr_callgraph_parse, paths
data.OCRWorkloadProfile(
    profile_id="p", description="", seq_len=512, base_size=1024, image_size=640, crop_mode=True, max_new_tokens=512,
    doc_kind="mixed_layout", num_pages=1, num_width_tiles=2, num_height_tiles=1,
)
print(*sorted({"torch", "sympy", "numpy", "torchinfo", "networkx"}.intersection(sys.modules)))
"""
    answer = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert answer.stdout.strip() == ""
