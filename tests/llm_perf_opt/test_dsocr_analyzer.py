"""The runner: from a request to a report on disk."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from attrs import evolve

from llm_perf_opt.contracts import DeepSeekOCRAnalyticRequest
from llm_perf_opt.data import AnalyticModelReport
from llm_perf_opt.data.serialization import read_record
from llm_perf_opt.reporting.manifest import MANIFEST
from llm_perf_opt.runners.dsocr_analyzer import analyze
from llm_perf_opt.utils.paths import analytic_model_dir
from modelmeter.support.errors import OutputError, WorkloadError

REQUEST = DeepSeekOCRAnalyticRequest(
    model_id="deepseek-ai/DeepSeek-OCR", model_variant="a-variant", workload_profile_id="tiny", profile_run_id="r3"
)


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LLM_PERF_OPT_ROOT", str(tmp_path))
    return tmp_path


def test_a_request_becomes_a_report_in_the_folder_of_its_run() -> None:
    run = analyze(REQUEST, hardware="l40s", with_paths=True)
    assert (run.folder, run.is_new) == (analytic_model_dir("r3"), True)
    written = read_record(os.path.join(run.folder, "report.json"), AnalyticModelReport)
    assert written == run.report
    assert (written.model.model_variant, written.workload.profile_id, written.profile_run_id) == (
        "a-variant",
        "tiny",
        "r3",
    )
    assert written.prediction is not None
    assert written.prediction.hardware.hardware_id == "l40s"
    assert written.model.config_path is not None
    assert os.path.isfile(written.model.config_path)
    assert written.layer_docs_dir == os.path.join(run.folder, "layers")


FORCED = evolve(REQUEST, force_rebuild=True)


def test_a_report_that_is_there_is_made_anew_only_by_force() -> None:
    folder = analyze(REQUEST).folder
    written = Path(folder, "summary.md").stat().st_ino
    assert not analyze(REQUEST).is_new
    assert Path(folder, "summary.md").stat().st_ino == written
    assert analyze(FORCED).is_new
    assert Path(folder, "summary.md").stat().st_ino != written


def test_what_others_wrote_into_a_report_is_kept() -> None:
    """Even by force, which makes anew what is ours."""
    folder = analyze(REQUEST).folder
    summary = Path(folder, "summary.md")
    summary.write_text("scribbled over")
    assert not analyze(REQUEST).is_new
    with pytest.raises(OutputError, match=r"that were changed since; found summary\.md"):
        analyze(FORCED)
    assert summary.read_text() == "scribbled over"


@pytest.mark.parametrize("name", ["report.json", "summary.md", "layers/decode.md"])
def test_a_report_that_lacks_a_file_is_made_anew(name: str) -> None:
    folder = analyze(REQUEST).folder
    before = Path(folder, name).read_bytes()
    Path(folder, name).unlink()
    assert analyze(REQUEST).is_new
    assert Path(folder, name).read_bytes() == before


def test_a_batch_its_calls_of_the_towers_and_its_logits() -> None:
    workload = analyze(REQUEST, num_pages=6, vision_batch_size=3, logits_tokens=2).report.workload
    assert (workload.num_pages, workload.vision_batch_size, workload.logits_tokens) == (6, 3, 2)


def test_another_model_is_refused() -> None:
    other = DeepSeekOCRAnalyticRequest(model_id="a/b", model_variant="v", workload_profile_id="tiny")
    with pytest.raises(WorkloadError, match="model_id: no evaluators of this model; expected deepseek-ai/DeepSeek-OCR"):
        analyze(other)


def run_module(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "llm_perf_opt.runners.dsocr_analyzer", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_it_runs_as_a_module(root: Path) -> None:
    done = run_module("--mode", "analytic", "--workload-profile-id", "dsocr-standard-v1", "--run-id", "seed",
                      "--num-pages", "4", "--vision-batch-size", "2", "--logits-tokens", "1")  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    folder = root / "tmp" / "profile-output" / "seed" / "static_analysis" / "analytic_model"
    assert sorted(entry.name for entry in folder.iterdir()) == [
        MANIFEST, "layers", "report.json", "report.yaml", "summary.md"
    ]  # fmt: skip
    workload = read_record(folder / "report.json", AnalyticModelReport).workload
    assert (workload.num_pages, workload.vision_batch_size, workload.logits_tokens) == (4, 2, 1)


def test_an_error_is_one_line() -> None:
    done = run_module("--workload-profile-id", "absent")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: there is no workload profile of this name; found absent")
    assert done.stderr.count("\n") == 1
    assert run_module("--mode", "measured").returncode == 2
