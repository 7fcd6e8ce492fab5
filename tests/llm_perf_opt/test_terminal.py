"""Numbers for people, tables that never cut a number, and no progress where there is no terminal."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from llm_perf_opt.terminal import (
    format_integer,
    format_quantity,
    has_unicode,
    make_table,
    open_console,
    open_table_console,
    show_progress,
    track,
    unit_of,
)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, "0 B"),
        (913, "913 B"),
        (1000, "1.00 kB"),
        (12_345, "12.3 kB"),
        (999_499, "999 kB"),
        (999_500, "1.00 MB"),
        (1_139_967_033_344, "1.14 TB"),
        (10**30, "1.00 QB"),
        (10**33, "1.00E+33 B"),  # there is no prefix for it
        (7 * 10**400, "70.0E+399 B"),  # too large for a float
    ],
)
def test_quantities_have_three_digits_and_a_decimal_prefix(value: int, expected: str) -> None:
    assert format_quantity(value, "B") == expected


def test_integers_show_every_digit() -> None:
    assert format_integer(2**70 + 1) == "1,180,591,620,717,411,303,425"


def test_flops_and_bytes_have_their_units() -> None:
    assert unit_of("cuda_core_flops") == "FLOP"
    assert unit_of("io_bytes") == "B"


def test_a_table_folds_a_number_that_does_not_fit() -> None:
    table = make_table("metric", "exact")
    table.add_row("tensor_core_flops", str(2**200))
    file = StringIO()
    Console(file=file, width=40).print(table)
    lines = file.getvalue().splitlines()
    assert max(map(len, lines)) <= 40
    assert "".join(line[17:].strip() for line in lines[2:]) == str(2**200)


def test_a_pipe_gets_no_colours(capsys: pytest.CaptureFixture[str]) -> None:
    open_console().print(make_table("stage"), "[bold]12 FLOP")
    assert "\x1b" not in capsys.readouterr().out


def test_a_row_is_a_line_in_a_pipe(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    table = make_table("module", "class")
    table.add_row("p" * 97, "Linear")
    open_table_console().print(table)
    assert len(capsys.readouterr().out.splitlines()) == 3


def test_progress_is_silent_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with show_progress() as begin:
        begin("trace")
        begin("write")
    assert capsys.readouterr() == ("", "")


def test_progress_names_every_step_on_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # makes rich take a captured stream for a terminal
    with show_progress() as begin:
        begin("trace")
        begin("write")
    out, err = capsys.readouterr()
    assert out == ""
    assert "trace" in err
    assert "write" in err


@pytest.mark.parametrize("on_terminal", [False, True])
def test_a_bar_for_items(
    on_terminal: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The items are the same; only a terminal, which rich takes the stream for here, sees how many there were."""
    if on_terminal:
        monkeypatch.setenv("FORCE_COLOR", "1")
    with track(iter("abc"), total=4, description="spell") as items:
        assert list(items) == ["a", "b", "c"]
    out, err = capsys.readouterr()
    assert out == ""
    assert ("spell" in err, "75%" in err) == (on_terminal, on_terminal)
    assert bool(err) == on_terminal


def test_ascii_terminals_are_told_apart() -> None:
    class Ascii(StringIO):
        encoding = "ascii"

    assert not has_unicode(Console(file=Ascii()))
    assert has_unicode(Console(file=StringIO()))


@pytest.mark.parametrize(("columns", "width"), [("0", 80), ("1", 1), ("47", 47)])
def test_a_terminal_that_does_not_know_its_width_has_80_columns(
    monkeypatch: pytest.MonkeyPatch, columns: str, width: int
) -> None:
    """With a width of 0 nothing would be printed."""
    monkeypatch.setenv("COLUMNS", columns)
    assert open_console().width == width
