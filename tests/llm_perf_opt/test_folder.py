"""A folder is written whole or not at all, and never over what is not ours."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from llm_perf_opt.reporting import folder as module
from llm_perf_opt.reporting.folder import write_folder
from modelmeter.errors import OutputError

FILES = {"report.json": "{}\n", "layers/a.md": "ä\n", "layers/b.md": ""}


def read(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8")
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_it_makes_the_folders_above(tmp_path: Path) -> None:
    write_folder(tmp_path / "a" / "b", FILES)
    assert read(tmp_path / "a" / "b") == FILES
    assert os.listdir(tmp_path / "a") == ["b"]


def test_what_an_earlier_run_left_is_gone(tmp_path: Path) -> None:
    write_folder(tmp_path / "out", {**FILES, "layers/old.md": "old"})
    write_folder(tmp_path / "out", FILES)
    assert read(tmp_path / "out") == FILES
    assert os.listdir(tmp_path) == ["out"]


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    write_folder(tmp_path, FILES)
    assert read(tmp_path) == FILES


def test_other_files_are_never_lost(tmp_path: Path) -> None:
    write_folder(tmp_path / "out", FILES)
    (tmp_path / "out" / "thesis.txt").write_text("ten years of work")
    before = read(tmp_path)
    with pytest.raises(OutputError, match=r"other files, which would be lost; found thesis\.txt"):
        write_folder(tmp_path / "out", {**FILES, "report.json": "new"})
    assert read(tmp_path) == before


def test_a_file_and_a_link_are_no_folders(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path)
    for name in ("file", "link"):
        with pytest.raises(OutputError, match="this is not a folder"):
            write_folder(tmp_path / name, FILES)
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("failing", [1, 2])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_failure_leaves_the_former_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: int, error: BaseException
) -> None:
    """The first replacement moves the former folder away, the second brings the new one."""
    target = tmp_path / "out"
    write_folder(target, FILES)
    replace, calls = os.replace, iter(range(1, 10))

    def fail_once(source: Path, destination: Path) -> None:
        if next(calls) == failing:
            raise error
        replace(source, destination)

    monkeypatch.setattr(module.os, "replace", fail_once)
    with pytest.raises((OutputError, KeyboardInterrupt), match=r"cannot be written; found No space left on device|^$"):
        write_folder(target, {**FILES, "report.json": "new"})
    assert read(target) == FILES
    assert os.listdir(tmp_path) == ["out"]


def test_a_place_that_cannot_be_written_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        write_folder(tmp_path / "file" / "out", FILES)
