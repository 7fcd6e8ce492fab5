"""Files on disk: whole or not at all, whatever goes wrong."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelmeter.support.errors import OutputError
from modelmeter.support.files import (
    explain_failure,
    read_text,
    refuse_foreign,
    refuse_unwritable,
    replace_files,
    write_text,
)


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    write_text(file, "old\n")
    write_text(file, "new ü\n")
    assert file.read_bytes() == "new ü\n".encode()
    assert list(tmp_path.iterdir()) == [file]


def test_a_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    link = tmp_path / "link.txt"
    link.symlink_to(tmp_path / "folder" / "a.txt")
    write_text(link, "text")
    assert link.is_symlink()
    assert (tmp_path / "folder" / "a.txt").read_text() == "text"


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o007])
def test_permissions_are_those_that_open_gives(tmp_path: Path, mask: int) -> None:
    former = os.umask(mask)
    try:
        with (tmp_path / "opened").open("wb"):
            write_text(tmp_path / "written", "")
    finally:
        os.umask(former)
    assert (tmp_path / "written").stat().st_mode == (tmp_path / "opened").stat().st_mode


def test_permissions_of_a_file_stay(tmp_path: Path) -> None:
    """A file that its owner alone reads is not opened to all by a new version of it."""
    file = tmp_path / "a.txt"
    file.touch(0o600)
    write_text(file, "secret")
    assert file.stat().st_mode & 0o777 == 0o600


def test_several_files_appear_together(tmp_path: Path) -> None:
    write_text(tmp_path / "a", "old")
    with replace_files("the list") as open_file:
        for name in ("a", "b"):
            with open_file(tmp_path / name) as file:
                file.write(b"new")
            assert (tmp_path / "a").read_text() == "old"
            assert not (tmp_path / "b").exists()
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"a": "new", "b": "new"}


class TestFailures:
    """What was there before is there afterwards, and nothing else."""

    @pytest.fixture(autouse=True)
    def folder(self, tmp_path: Path) -> Iterator[Path]:
        (tmp_path / "folder").mkdir()
        (tmp_path / "a.txt").write_text("old")
        yield tmp_path
        assert sorted(path.name for path in tmp_path.iterdir()) == ["a.txt", "folder"]
        assert (tmp_path / "a.txt").read_text() == "old"

    @pytest.mark.parametrize(
        ("path", "found"),
        [
            ("missing/a.txt", "No such file or directory"),
            ("a.txt/b.txt", "Not a directory"),
            ("folder", "something that is not a file"),
            ("x" * 300, "File name too long"),
            ("a\0b", "embedded null byte"),
        ],
    )
    def test_a_place_for_no_file(self, folder: Path, path: str, found: str) -> None:
        with pytest.raises(OutputError, match=f"the list cannot be written; found {found}$"):
            write_text(folder / path, "text", name="the list")

    def test_text_that_is_not_unicode(self, folder: Path) -> None:
        with pytest.raises(OutputError, match=r"cannot be written; found .* surrogates not allowed"):
            write_text(folder / "a.txt", "\ud800")

    @pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(143), ValueError("no")])
    @pytest.mark.parametrize("is_open", [True, False])
    def test_an_error_of_who_writes(self, folder: Path, error: BaseException, is_open: bool) -> None:
        """It comes out as it is, from the middle of a file or from between two."""

        def write() -> None:
            with replace_files("the list") as open_file:
                with open_file(folder / "a.txt") as file:
                    file.write(b"new")
                    if is_open:
                        raise error
                raise error

        with pytest.raises(type(error)) as raised:
            write()
        assert raised.value is error

    @pytest.mark.usefixtures("full_disk")
    def test_a_full_disk(self, folder: Path) -> None:
        """Also for the files that were complete."""

        def write() -> None:
            with replace_files("the list") as open_file:
                for path, text in ((folder / "b.txt", b"new"), (folder / "a.txt", b"." * 1001)):
                    with open_file(path) as file:
                        file.write(text)

        with pytest.raises(OutputError, match=r"a\.txt: the list cannot be written; found File too large"):
            write()

    @pytest.mark.parametrize("function", ["fsync", "replace"])
    def test_a_disk_that_fails_at_the_end(self, folder: Path, monkeypatch: pytest.MonkeyPatch, function: str) -> None:
        """As where a file system keeps what is written for later."""

        def fail(*_: object) -> None:
            raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))

        monkeypatch.setattr(os, function, fail)
        with pytest.raises(OutputError, match=os.strerror(errno.EDQUOT)):
            write_text(folder / "a.txt", "new")


def test_a_pipe_that_nobody_reads_keeps_its_error() -> None:
    """The command line ends quietly on it, as commands in pipes do."""
    with pytest.raises(BrokenPipeError), explain_failure("the list", "-"):
        raise BrokenPipeError


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[" * 100_000, b"\xff", b"[]", b"{}", b'{"a": 1}', b'{"a": 1, "d": 1, "e": 2}']
)
def test_a_file_that_is_not_like_ours_is_not_replaced(tmp_path: Path, content: bytes) -> None:
    """Ours have the keys a, b and c: of 1 of 3, and of 1 of 5 in all, we are not the authors."""
    path = tmp_path / "rows.json"
    path.write_bytes(content)
    with pytest.raises(OutputError, match=r"the rows would replace a file that modelmeter did not write; move it away"):
        refuse_foreign(path, "abc", name="the rows")


@pytest.mark.parametrize(
    "content", [b'{"a": 1, "b": 2, "c": 3}', b'{"c": 3, "b": 2}', b'{"a": 1, "b": 2, "c": 3, "d": 4}']
)
def test_a_file_like_ours_may_be_replaced(tmp_path: Path, content: bytes) -> None:
    """Also one of another version, with a key more or less."""
    path = tmp_path / "rows.json"
    refuse_foreign(path, "abc")
    path.write_bytes(content)
    refuse_foreign(path, "abc")


def test_a_folder_is_no_file_to_replace(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="the rows cannot be written; found Is a directory"):
        refuse_foreign(tmp_path, "abc", name="the rows")


class TestReading:
    """A text is read whole, if it is one, and has an end."""

    def test_a_text_of_the_longest_length(self, tmp_path: Path) -> None:
        (tmp_path / "a.txt").write_bytes("ü12\r\n".encode())
        assert read_text(tmp_path / "a.txt", limit_bytes=6) == "ü12\r\n"

    def test_a_longer_one_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "a.txt").write_bytes("ü12\r\n".encode())
        with pytest.raises(OSError, match="more than 5 bytes"):
            read_text(tmp_path / "a.txt", limit_bytes=5)

    @pytest.mark.skipif(not Path("/dev/zero").exists(), reason="only Unix has a file without an end")
    def test_a_file_without_an_end_is_refused(self) -> None:
        with pytest.raises(OSError, match="more than 16777216 bytes"):
            read_text("/dev/zero")

    def test_what_is_not_utf8_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "a.txt").write_bytes(b"\xff")
        with pytest.raises(ValueError, match="utf-8"):
            read_text(tmp_path / "a.txt")


class TestFolders:
    """Folders that are made for files go with them."""

    def write(self, *paths: Path) -> None:
        with replace_files("the list", makes_folders=True) as open_file:
            for path in paths:
                with open_file(path) as file:
                    file.write(b"new")

    def test_they_are_made(self, tmp_path: Path) -> None:
        self.write(tmp_path / "a" / "b" / "c.txt", tmp_path / "a" / "d.txt")
        assert sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")) == [
            "a", "a/b", "a/b/c.txt", "a/d.txt",
        ]  # fmt: skip

    def test_after_a_failure_those_that_were_made_are_gone(self, tmp_path: Path) -> None:
        (tmp_path / "there").mkdir()
        with pytest.raises(OutputError, match="File name too long"):
            self.write(tmp_path / "there" / "a" / "b.txt", tmp_path / "c" / "d" / ("x" * 300))
        assert [path.name for path in tmp_path.rglob("*")] == ["there"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Unix has a file without an end")
def test_a_device_is_no_file_to_replace() -> None:
    with pytest.raises(OutputError, match="the rows cannot be written; found something that is not a file"):
        refuse_foreign("/dev/full", "abc", name="the rows")


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="only Linux has a folder that takes no file, not even of root")
def test_a_folder_that_takes_no_file_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"^/proc/rows\.json: the rows cannot be written; found "):
        refuse_unwritable("/proc/rows.json", name="the rows")
    refuse_unwritable(tmp_path / "rows.json")
    assert list(tmp_path.iterdir()) == []
