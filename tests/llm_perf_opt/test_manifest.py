"""The list of our files in a folder: nobody's list makes a file elsewhere ours."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from llm_perf_opt.reporting.manifest import MANIFEST, digest, join, read_manifest, write_manifest
from modelmeter.support.errors import OutputError


def test_a_list_is_read_as_it_was_written(tmp_path: Path) -> None:
    commands = {"trace": {"b/a": ("1", "2")}, "report": {"a": ("3",)}}
    write_manifest(tmp_path / MANIFEST, commands)
    assert read_manifest(tmp_path) == commands
    assert read_manifest(tmp_path / "absent") == {}


def test_a_digest_is_the_sha256() -> None:
    """Of the three letters abc, from the standard that defines it (FIPS 180-4)."""
    assert digest(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_joined_lists_have_every_digest_once() -> None:
    assert join({"a": ("1",), "b": ("2",)}, {"a": ("3",), "b": ("2",), "c": ("4",)}) == {
        "a": ("1", "3"), "b": ("2",), "c": ("4",)
    }  # fmt: skip


@pytest.mark.parametrize(
    "document",
    [
        "", "[]", "{", '{"report": 3}', '{"report": {"a": "1"}}', '{"report": {"a": [1]}}', b"\xff",
        *(json.dumps({"report": {path: []}}) for path in ("../a", "/a", "a/../b", "a//b", ".", "", "..\\a")),
    ],
)  # fmt: skip
def test_a_damaged_list_is_refused(tmp_path: Path, document: str | bytes) -> None:
    (tmp_path / MANIFEST).write_bytes(document if isinstance(document, bytes) else document.encode())
    with pytest.raises(OutputError, match=rf"{MANIFEST}: the list of the files .* is damaged; .*another folder"):
        read_manifest(tmp_path)


def test_a_list_that_is_no_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "list").write_text("{}")
    (tmp_path / MANIFEST).symlink_to(tmp_path / "list")
    with pytest.raises(OutputError, match="not a file"):
        read_manifest(tmp_path)
