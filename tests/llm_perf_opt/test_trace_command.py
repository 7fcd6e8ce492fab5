"""``modelmeter trace``: its folder is one that the loader reads and the layer library covers."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from attrs import evolve
from typer.testing import CliRunner

from llm_perf_opt.commands.coverage import coverage
from llm_perf_opt.commands.trace import make_files, trace
from llm_perf_opt.profiles import find_profile
from llm_perf_opt.reporting.manifest import MANIFEST
from llm_perf_opt.utils.dsocr_callgraph_parse import load_target_operator_list
from modelmeter.support.errors import TraceError

pytest.importorskip("torchinfo")


def run(command: Any, *arguments: object) -> Any:
    app = typer.Typer()
    app.command()(command)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One run at full size, which takes seconds."""
    out = tmp_path_factory.mktemp("trace") / "out"
    result = run(trace, "--out", out, "--workload", "tiny")
    assert result.exit_code == 0, result.exception
    assert {Path(line) for line in result.stdout.splitlines()} == set(out.iterdir()) - {out / MANIFEST}
    return out


def test_it_leaves_the_five_files(folder: Path) -> None:
    assert sorted(path.name for path in folder.iterdir() if path.name != MANIFEST) == [
        "torchinfo-layers.json", "torchinfo-stages.json", "torchinfo-summary.txt", "torchinfo-unique-layers.json",
        "torchinfo-unique-layers.md",
    ]  # fmt: skip


def test_it_runs_what_the_workload_says() -> None:
    """Pages of two prompts in each of two calls of the towers, for two images; logits of seven positions of each.

    A view of 512 pixels has 32 x 32 patches of 16 pixels, and 73 image tokens.
    """
    profile = evolve(
        find_profile("tiny"),
        num_pages=4,
        vision_batch_size=2,
        images_per_prompt=2,
        seq_len=2 * 73 + 10,
        logits_tokens=7,
    )
    layers = json.loads(make_files(profile)["torchinfo-layers.json"])["layers"]
    shapes = {
        path: [layer["output_size"] for layer in layers if (layer["run"], layer["path"]) == ("prefill", path)]
        for path in ("model.sam_model.patch_embed", "model.embed_tokens", "lm_head")
    }
    assert shapes == {
        "model.sam_model.patch_embed": [[2, 32, 32, 768]] * 4,
        "model.embed_tokens": [[4, 156, 1280]],
        "lm_head": [[4, 7, 129_280]],
    }


def test_files_of_others_are_kept(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of another run of TorchInfo, such as that of someone else's model, is not ours to replace."""
    files = {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir() if path.name != MANIFEST}
    monkeypatch.setattr("llm_perf_opt.commands.trace.make_files", lambda *_: files)
    (tmp_path / "mine.md").write_text("mine")
    assert run(trace, "--out", tmp_path, "--workload", "tiny").exit_code == 0
    (tmp_path / "torchinfo-summary.txt").write_text("mine")
    result = run(trace, "--out", tmp_path, "--workload", "tiny")
    assert "did not write, or that were changed since; found torchinfo-summary.txt" in str(result.exception)
    assert {name: (tmp_path / name).read_text() for name in ("mine.md", "torchinfo-summary.txt")} == {
        "mine.md": "mine", "torchinfo-summary.txt": "mine"
    }  # fmt: skip


def test_the_loader_reads_it_and_knows_every_class(folder: Path) -> None:
    operators = load_target_operator_list(folder)
    assert len(operators.operators) > 25
    assert operators.uncategorized == ()
    assert operators.snapshot_id.startswith("sha256:")
    for path in (operators.layers_md_path, operators.layers_json_path, operators.stages_json_path):
        assert Path(path).is_file()


def test_the_layer_library_covers_it(folder: Path) -> None:
    result = run(coverage, folder)
    assert result.exit_code == 0
    assert "unmodelled" not in result.stdout


def test_without_torch_there_is_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "modelmeter.models.deepseek_ocr.trace_artifacts", raising=False)
    monkeypatch.setitem(sys.modules, "torchinfo", None)
    with pytest.raises(TraceError, match=r"tracing needs torch and torchinfo.*pip install 'modelmeter\[trace\]'"):
        make_files(find_profile("tiny"))
