"""The first specification's own test procedure, with plain ``python`` and our artifacts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from llm_perf_opt.reporting.folder import write_folder
from modelmeter.models.deepseek_ocr.architecture import DeepSeekOCRArchitecture

pytest.importorskip("torchinfo")


def run_python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.strip()


def test_1_the_domain_models_can_be_imported() -> None:
    run_python("from llm_perf_opt.data.deepseek_ocr_analytic import DeepSeekOCRModelSpec, AnalyticModelReport")


def test_2_paths_are_absolute_and_below_the_run() -> None:
    path = run_python("from llm_perf_opt.utils.paths import analytic_model_dir; print(analytic_model_dir('test-run'))")
    assert os.path.isabs(path)
    assert Path(path).parts[-5:] == ("tmp", "profile-output", "test-run", "static_analysis", "analytic_model")


def test_3_the_operator_list_is_loaded(tmp_path: Path, other_architecture: DeepSeekOCRArchitecture) -> None:
    """Of a smaller model of the family, which has the same classes and takes a second."""
    from modelmeter.models.deepseek_ocr.trace_artifacts import trace_artifacts
    from modelmeter.models.deepseek_ocr.trace_reference import TraceWorkload

    workload = TraceWorkload.for_architecture(other_architecture)
    write_folder(tmp_path / "artifacts", trace_artifacts(other_architecture, workload))
    count = run_python(
        "from llm_perf_opt.utils.dsocr_callgraph_parse import load_target_operator_list\n"
        f"tol = load_target_operator_list({str(tmp_path / 'artifacts')!r})\n"
        "print(len(tol.operators))"
    )
    assert int(count) == 30


def test_the_layer_package_is_there() -> None:
    """Its first task: a root that adds up any two layers that it is given."""
    assert run_python(
        "from modelmeter.layers.linear import Linear\n"
        "from modelmeter.models.deepseek_ocr.layers.core.deepseek_ocr_model import DeepseekOCRModel\n"
        "one = Linear(leading_shape=(3,), in_features=5, out_features=7)\n"
        "two = Linear(leading_shape=(11,), in_features=13, out_features=17)\n"
        "model = DeepseekOCRModel(vision_layer=one, decoder_layer=two)\n"
        "print(model.forward_tensor_core_flops())"
    ) == str(2 * (3 * 5 * 7 + 11 * 13 * 17))
