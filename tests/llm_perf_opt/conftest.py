"""What the tests of the application share: the command line, and the published model without a trace."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from command_line import GRAPH, Result, Run, add_evidence, list_files, run_apart

from llm_perf_opt import cli
from llm_perf_opt.commands.sources import compile_graph, read_graph
from modelmeter.compiled_model import CompiledModel


@pytest.fixture(scope="session")
def compiled() -> CompiledModel:
    """The published model, compiled from the shipped module graph: no torch, and a second instead of ten."""
    return compile_graph(read_graph(None))


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the command line in this process."""

    def run_arguments(*arguments: object) -> Result:
        monkeypatch.setattr(sys, "argv", ["modelmeter", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        code = ended.value.code
        assert isinstance(code, int)
        return Result(code, *capsys.readouterr())

    return run_arguments


@pytest.fixture(scope="session")
def compiled_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What ``compile`` writes from the shipped graph in another Python, in which torch cannot be imported."""
    folder = tmp_path_factory.mktemp("compiled")
    add_evidence(folder)
    result = run_apart("compile", "--graph", GRAPH, "--out", folder, forbidden=("torch", "torchinfo", "numpy"))
    assert (result.returncode, result.stderr) == (0, "")
    return folder


@pytest.fixture
def emitted(monkeypatch: pytest.MonkeyPatch, compiled_folder: Path) -> None:
    """Emit what was emitted before: for tests of what becomes of the files, since emission takes seconds."""
    files = {path: content.decode() for path, content in list_files(compiled_folder).items()}
    monkeypatch.setattr("llm_perf_opt.commands.compile.compile_model", lambda *_, **__: None)
    monkeypatch.setattr("llm_perf_opt.commands.compile.emit_files", lambda *_, **__: files)
