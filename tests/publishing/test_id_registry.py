"""The list of published ids: it only grows, and says so when it was altered."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modelmeter.publishing.data.id_registry import IdError, IdRegistry, PublishedId
from modelmeter.publishing.identity import FormulaId

ROOT = Path(__file__).parents[2]
IDS = ROOT / "codegen/data/ids.json"

FIRST = FormulaId(model="m", subject="prefill", metric="io_bytes", digest="a" * 64)
CHANGED = FormulaId(model="m", subject="prefill", metric="io_bytes", digest="b" * 64)
SECOND = FormulaId(model="m", subject="decode", metric="io_bytes", digest="c" * 64)


def test_a_changed_formula_is_added_and_the_old_id_stays() -> None:
    before = IdRegistry().add([FIRST, SECOND], "1.0")
    after = before.add([CHANGED, SECOND], "1.1")
    assert after.entries == (
        PublishedId(id="m/prefill/io_bytes@aaaaaaaa", digest="a" * 64, version="1.0"),
        PublishedId(id="m/decode/io_bytes@cccccccc", digest="c" * 64, version="1.0"),
        PublishedId(id="m/prefill/io_bytes@bbbbbbbb", digest="b" * 64, version="1.1"),
    )
    assert after.newest("m/prefill/io_bytes") == after.entries[2]
    assert after.newest("m/decode/io_bytes") == after.entries[1]
    assert after.newest("m/decode") is None


def test_what_is_there_is_added_once() -> None:
    before = IdRegistry().add([FIRST, SECOND, FIRST], "1.0")
    assert len(before.entries) == 2
    assert before.add([SECOND, FIRST], "2.0") == before


def test_two_formulas_never_share_an_id() -> None:
    twin = FormulaId(model="m", subject="prefill", metric="io_bytes", digest="a" * 8 + "d" * 56)
    with pytest.raises(IdError, match="m/prefill/io_bytes@aaaaaaaa: two formulas have one id"):
        IdRegistry().add([FIRST], "1.0").add([twin], "1.1")


def test_it_is_read_as_it_was_written(tmp_path: Path) -> None:
    written = IdRegistry().add([FIRST, CHANGED, SECOND], "1.0")
    path = tmp_path / "ids.json"
    path.write_text(written.to_json(), encoding="utf-8")
    assert IdRegistry.read(path) == written
    assert IdRegistry.read(tmp_path / "none.json") == IdRegistry()


def forget_one(document: dict[str, Any]) -> None:
    del document["ids"][0]


def alter_one(document: dict[str, Any]) -> None:
    document["ids"][1][0] = "m/decode/io_bytes@dddddddd"


def swap_two(document: dict[str, Any]) -> None:
    document["ids"].reverse()


@pytest.mark.parametrize("change", [forget_one, alter_one, swap_two])
def test_an_id_that_vanishes_is_an_error(change: Callable[[dict[str, Any]], None], tmp_path: Path) -> None:
    document = json.loads(IdRegistry().add([FIRST, SECOND], "1.0").to_json())
    change(document)
    (path := tmp_path / "ids.json").write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(IdError, match=r"ids\.json: sha256: the list of ids was altered: an id that"):
        IdRegistry.read(path)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"ids": {}, "sha256": ""}', '{"ids": [["a", "b"]], "sha256": ""}', '{"ids": 1, "ids": 2}']
)
def test_what_is_no_list_of_ids_is_an_error(text: str) -> None:
    with pytest.raises(IdError):
        IdRegistry.from_json(text)


def test_a_folder_in_its_place_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(IdError, match="cannot be read"):
        IdRegistry.read(tmp_path)


def test_no_id_that_was_ever_committed_is_gone() -> None:
    """Each version of the file in the history is the beginning of the one of today."""

    def ask(*words: str) -> str:
        return subprocess.run(["git", "-C", ROOT, *words], capture_output=True, text=True, check=True).stdout

    if not (ROOT / ".git").exists():
        pytest.skip("this is no checkout, so there is no history")
    today = IdRegistry.read(IDS).entries
    assert today
    for commit in ask("log", "--format=%H", "--", str(IDS)).split():
        before = IdRegistry.from_json(ask("show", f"{commit}:codegen/data/ids.json")).entries
        assert today[: len(before)] == before, f"of {commit}"
