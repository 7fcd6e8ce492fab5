"""What commands that write generated pages print and return."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from modelmeter.support.errors import ModelMeterError
from modelmeter.support.generator_command import run_generator

PAGE = {"page.md": "<!-- Written by `modelmeter compile`; do not edit. -->\n\n3 x 5\n"}


def test_what_was_written_is_current_until_it_is_changed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def run(*, checks: bool) -> int:
        return run_generator(lambda: PAGE, tmp_path, checks=checks, command="python -m one", target=tmp_path)

    assert run(checks=True) == 1
    assert not (tmp_path / "page.md").exists(), "a check writes nothing"
    assert (run(checks=False), run(checks=True)) == (0, 0)
    (tmp_path / "page.md").write_text(PAGE["page.md"].replace("5", "7"), encoding="utf-8")
    capsys.readouterr()
    assert run(checks=True) == 1
    printed = capsys.readouterr().err
    assert "-3 x 7" in printed
    assert printed.endswith(f"{tmp_path} is stale; run python -m one --out {tmp_path}\n")


def test_what_is_wrong_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def render() -> Mapping[str, str]:
        raise ModelMeterError("there is no page", place="here")

    assert run_generator(render, tmp_path, checks=False, command="python -m one", target=tmp_path) == 1
    assert capsys.readouterr().err == "here: there is no page\n"
