"""Tables as Markdown and for the terminal."""

from __future__ import annotations

import io

from rich.console import Console

from llm_perf_opt.visualize.table import Table

TABLE = Table(headers=("name", "class", "ms"), rows=(("a|b", "[red]x\ny", "3"), ("c", "z", "41")), text_columns=2)


def test_markdown_keeps_a_cell_in_its_cell() -> None:
    assert TABLE.to_markdown().splitlines() == [
        "| name | class | ms |",
        "| --- | --- | ---: |",
        "| a\\|b | [red]x y | 3 |",
        "| c | z | 41 |",
    ]


def test_the_terminal_shows_text_as_it_is() -> None:
    console = Console(file=io.StringIO(), width=40, color_system=None)
    console.print(TABLE.to_rich(title="t"))
    shown = console.file.getvalue()  # type: ignore[attr-defined] # it is the StringIO
    assert "[red]x" in shown
    assert shown.splitlines()[-1].split() == ["c", "z", "41"]


def test_columns_are_chosen_by_name() -> None:
    chosen = TABLE.select("class", "ms")
    assert (chosen.headers, chosen.rows[1], chosen.text_columns) == (("class", "ms"), ("z", "41"), 1)
