"""Paths of a run are absolute, below the root, and no run id leads out of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_perf_opt.errors import PathError
from llm_perf_opt.utils.paths import analytic_layer_docs_dir, analytic_model_dir, workspace_root

WRONG_RUN_IDS = [
    "", " ", "\t", ".", "..", "a/..", "../a", "a..b", "a/b", "/a", "\\a", "a\\b", "C:a", "C:\\a", "a\x00b", "a\nb",
    "\x7f",    " a", "a ", "a" * 201, "\udc80", None, 3, b"a", Path("a"),
]  # fmt: skip


def test_the_paths_of_a_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LLM_PERF_OPT_ROOT", str(tmp_path))
    expected = tmp_path / "tmp" / "profile-output" / "test-run" / "static_analysis" / "analytic_model"
    assert analytic_model_dir("test-run") == str(expected)
    assert analytic_layer_docs_dir("test-run") == str(expected / "layers")
    assert not (tmp_path / "tmp").exists()


@pytest.mark.parametrize("run_id", WRONG_RUN_IDS)
def test_a_run_id_that_is_no_plain_name_is_refused(run_id: Any) -> None:
    for path_of in (analytic_model_dir, analytic_layer_docs_dir):
        with pytest.raises(PathError, match=r"^run_id: "):
            path_of(run_id)


@given(st.text(max_size=12) | st.text("./\\: a\x00", max_size=6))
def test_an_accepted_run_id_is_one_folder(run_id: str) -> None:
    try:
        path = Path(analytic_model_dir(run_id))
    except PathError:
        return
    assert path.relative_to(workspace_root()).parts[:3] == ("tmp", "profile-output", run_id)


def test_a_long_run_id_is_accepted_up_to_its_limit() -> None:
    assert "a" * 200 in analytic_model_dir("a" * 200)


def test_the_root_is_the_working_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Also where the module is a part of a checkout, as it is here: nothing writes into one from elsewhere."""
    monkeypatch.delenv("LLM_PERF_OPT_ROOT", raising=False)
    monkeypatch.chdir(tmp_path)
    assert workspace_root() == str(tmp_path)


def test_the_root_of_the_environment_must_exist(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for wrong in (str(tmp_path / "absent"), "", __file__):
        monkeypatch.setenv("LLM_PERF_OPT_ROOT", wrong)
        with pytest.raises(PathError, match=r"^LLM_PERF_OPT_ROOT: not an existing folder"):
            workspace_root()


def test_a_relative_root_becomes_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LLM_PERF_OPT_ROOT", "root")
    assert workspace_root() == str(tmp_path / "root")
