"""A folder is written whole or not at all, and never over what is not ours."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from llm_perf_opt.reporting import folder as module
from llm_perf_opt.reporting.folder import write_folder
from llm_perf_opt.reporting.manifest import MANIFEST
from modelmeter.support.errors import OutputError

FILES = {"report.json": "{}\n", "layers/a.md": "ä\n", "layers/b.md": "b\n"}


def read_all(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8")
        for path in folder.rglob("*")
        if path.is_file()
    }


def read(folder: Path) -> dict[str, str]:
    """Read everything but the list of our files."""
    return {path: text for path, text in read_all(folder).items() if path != MANIFEST}


def test_it_makes_the_folders_above(tmp_path: Path) -> None:
    write_folder(tmp_path / "a" / "b", FILES)
    assert read(tmp_path / "a" / "b") == FILES
    assert os.listdir(tmp_path / "a") == ["b"]
    assert sorted(os.listdir(tmp_path / "a" / "b")) == [MANIFEST, "layers", "report.json"]


def test_what_an_earlier_run_left_is_gone(tmp_path: Path) -> None:
    write_folder(tmp_path / "out", {**FILES, "layers/old.md": "old", "older/one.md": "older"})
    write_folder(tmp_path / "out", FILES)
    assert read(tmp_path / "out") == FILES
    assert sorted(os.listdir(tmp_path / "out")) == [MANIFEST, "layers", "report.json"], "no empty folder is left"
    assert os.listdir(tmp_path) == ["out"]


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    write_folder(tmp_path, FILES)
    assert read(tmp_path) == FILES


def test_files_of_others_stay(tmp_path: Path) -> None:
    """Beside ours and among ours, also where ours are replaced and removed."""
    others = {"thesis.txt": "ten years of work", "layers/mine.md": "mine", "layers/deep/er.md": "mine too"}
    write_folder(tmp_path, {**FILES, "layers/old.md": "old"})
    for path, text in others.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text)
    new = {"report.json": "new", "layers/a.md": "new"}
    write_folder(tmp_path, new)
    assert read(tmp_path) == {**others, **new}


@pytest.mark.parametrize("path", FILES)
def test_a_file_of_others_with_a_name_of_ours_is_refused_before_anything_is_written(tmp_path: Path, path: str) -> None:
    (tmp_path / path).parent.mkdir(exist_ok=True)
    (tmp_path / path).write_text("ten years of work")
    before = read_all(tmp_path)
    with pytest.raises(OutputError, match=rf"did not write, or that were changed since; found {path}; move them away"):
        write_folder(tmp_path, FILES)
    assert read_all(tmp_path) == before


@pytest.mark.parametrize("path", FILES)
def test_our_file_with_what_others_wrote_into_it_is_theirs(tmp_path: Path, path: str) -> None:
    """It is neither replaced nor, where we would no longer write it, removed."""
    write_folder(tmp_path, FILES)
    (tmp_path / path).write_text("with notes of mine")
    before = read_all(tmp_path)
    with pytest.raises(OutputError, match=f"found {path};"):
        write_folder(tmp_path, dict.fromkeys(FILES, "new"))
    assert read_all(tmp_path) == before
    others = {name: text for name, text in FILES.items() if name != path}
    write_folder(tmp_path, others)
    assert read(tmp_path) == {**others, path: "with notes of mine"}


def test_a_file_that_has_the_very_content_already_is_no_loss(tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text(FILES["report.json"])
    write_folder(tmp_path, FILES)
    assert read(tmp_path) == FILES


def test_a_message_names_some_of_many(tmp_path: Path) -> None:
    files = {f"{name}.md": "ours" for name in "abcde"}
    for path in files:
        (tmp_path / path).write_text("mine")
    with pytest.raises(OutputError, match=r"found a\.md, b\.md, c\.md and 2 more;"):
        write_folder(tmp_path, files)


def test_each_command_has_files_of_its_own(tmp_path: Path) -> None:
    write_folder(tmp_path, FILES, command="report")
    write_folder(tmp_path, {"stages.json": "[]"}, command="trace")
    assert read(tmp_path) == {**FILES, "stages.json": "[]"}
    with pytest.raises(OutputError, match=r"found report\.json;"):
        write_folder(tmp_path, {"report.json": "a trace"}, command="trace")
    write_folder(tmp_path, {"layers/a.md": "new"}, command="report")
    assert read(tmp_path) == {"layers/a.md": "new", "stages.json": "[]"}


def test_links_are_not_followed(tmp_path: Path) -> None:
    """Neither one for a file nor one for a folder: what they lead to is not ours."""
    elsewhere = tmp_path / "elsewhere"
    write_folder(elsewhere, FILES)
    before = read_all(elsewhere)
    for name in ("report.json", "layers"):
        out = tmp_path / f"out-{name}"
        out.mkdir()
        (out / name).symlink_to(elsewhere / name)
        with pytest.raises(OutputError, match=f"found {name}"):
            write_folder(out, FILES)
        assert os.listdir(out) == [name]
    assert read_all(elsewhere) == before


@pytest.mark.parametrize("path", ["report.json", "layers"])
def test_a_folder_for_a_file_and_a_file_for_a_folder_are_refused(tmp_path: Path, path: str) -> None:
    if path == "layers":
        (tmp_path / path).write_text("mine")
    else:
        (tmp_path / path).mkdir()
    with pytest.raises(OutputError, match=f"found {path}"):
        write_folder(tmp_path, FILES)
    assert os.listdir(tmp_path) == [path]


def test_equal_files_leave_equal_bytes_in_any_folder(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_folder(tmp_path / name / name, FILES)
    write_folder(tmp_path / "b" / "b", FILES)
    assert read_all(tmp_path / "a" / "a") == read_all(tmp_path / "b" / "b")


def test_a_file_and_a_link_are_no_folders(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path)
    for name in ("file", "link"):
        with pytest.raises(OutputError, match="this is not a folder"):
            write_folder(tmp_path / name, FILES)
    assert (tmp_path / "file").read_text() == "mine"


# The list before, a folder's file each, a page that is new, and the list after.
@pytest.mark.parametrize("failing", [1, 2, 3, 4, 5, 6])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("is_new", [False, True])
def test_a_failure_leaves_everything_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: int, error: BaseException, is_new: bool
) -> None:
    target = tmp_path / "above" / "out"
    if not is_new:
        write_folder(target, {**FILES, "older/old.md": "old"})
    before, replace, calls = read_all(tmp_path), os.replace, iter(range(1, 99))

    def fail_once(source: Path, destination: Path) -> None:
        if next(calls) == failing:
            raise error
        replace(source, destination)

    monkeypatch.setattr(module.os, "replace", fail_once)
    with pytest.raises((OutputError, KeyboardInterrupt), match=r"cannot be written; found No space left on device|^$"):
        write_folder(target, {**FILES, "report.json": "new", "newer/new.md": "new"})
    assert read_all(tmp_path) == before
    assert os.listdir(tmp_path) == ([] if is_new else ["above"])


def test_a_place_that_cannot_be_written_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        write_folder(tmp_path / "file" / "out", FILES)


def test_a_name_that_is_too_long_leaves_no_folder_above_it(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="File name too long"):
        write_folder(tmp_path / "new" / "x" / ("y" * 300), {"a.txt": "a"})
    assert list(tmp_path.iterdir()) == []
