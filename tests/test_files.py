"""Single files on disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelmeter.errors import OutputError
from modelmeter.files import write_text


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    write_text(file, "old\n")
    write_text(file, "new ü\n")
    assert file.read_bytes() == "new ü\n".encode()
    assert list(tmp_path.iterdir()) == [file]


def test_a_file_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"missing.a\.txt: the list cannot be written; found No such file[a-z ]+$"):
        write_text(tmp_path / "missing" / "a.txt", "text", name="the list")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OutputError, match="cannot be written"):
        write_text(tmp_path / "folder", "text")
    with pytest.raises(OutputError, match="cannot be written"):
        write_text(tmp_path / "a.txt", "\ud800")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
