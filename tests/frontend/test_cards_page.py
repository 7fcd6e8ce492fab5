"""What ``docs/cards.md`` shows is so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from modelmeter.frontend.cards.shipped import CARDS
from modelmeter.model.registry import forget_model

PAGE = (Path(__file__).parent.parent.parent / "docs" / "cards.md").read_text(encoding="utf-8")


def test_the_example_runs_and_prints_what_its_comment_says(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("transformers")
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(code, {})  # our own page
    forget_model("got-ocr2")
    (comment,) = re.findall(r"print\(.*\)  # (.*)", code)
    assert capsys.readouterr().out.splitlines()[-1] == comment


def test_the_table_has_every_card_and_says_which_is_refused() -> None:
    rows = re.findall(r"^\| ([a-z][^|]*) \| ([^|]*)\| ([^|]*) \| ([^|]*)\|$", PAGE, re.MULTILINE)
    refused = {name: bool(reason.strip()) for names, _, _, reason in rows for name in names.split(", ")}
    listed = {name: is_refused for name, is_refused in refused.items() if name in CARDS}
    assert listed == {name: bool(card.refused) for name, card in CARDS.items()}
