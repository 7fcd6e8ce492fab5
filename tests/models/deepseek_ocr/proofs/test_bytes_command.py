"""``python -m modelmeter.models.deepseek_ocr.proofs.foreign_bytes``."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelmeter.models.deepseek_ocr.proofs.foreign_bytes import __main__ as command
from modelmeter.support.errors import CountError


def test_what_is_written_passes_the_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "make_page", lambda: "a page\n")
    page = tmp_path / "pages" / "bytes.md"
    assert command.main(["--out", str(page)]) == 0
    assert page.read_text() == "a page\n"
    assert command.main(["--out", str(page), "--check"]) == 0
    assert capsys.readouterr() == ("", "")


def test_the_check_shows_what_is_stale_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "make_page", lambda: "a page\n")
    page = tmp_path / "bytes.md"
    page.write_text("an old page\n")
    assert command.main(["--out", str(page), "--check"]) == 1
    assert page.read_text() == "an old page\n"
    message = capsys.readouterr().err
    assert "-an old page\n+a page\n" in message
    assert f"{page} is stale; run python -m modelmeter.models.deepseek_ocr.proofs.foreign_bytes --out {page}" in message


def test_what_is_not_explained_is_one_line_and_no_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> str:
        raise CountError("the causes do not explain what transformers moves", place="aten.mm")

    monkeypatch.setattr(command, "make_page", fail)
    assert command.main(["--out", str(tmp_path / "bytes.md")]) == 1
    assert capsys.readouterr().err == "aten.mm: the causes do not explain what transformers moves\n"
    assert list(tmp_path.iterdir()) == []
