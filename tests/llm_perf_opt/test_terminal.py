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
    print_lines,
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


def draw(width: int, *rows: tuple[str, str, str], title: str | None = None) -> list[str]:
    """Return a table of metrics in a terminal of this width, line by line."""
    table = make_table("metric", "exact", "about", title=title)
    for row in rows:
        table.add_row(*row)
    file = StringIO()
    Console(file=file, width=width).print(table)
    lines = file.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    return [line.rstrip() for line in lines]


FLOPS = ("tensor_core_flops", "1,099,514,009,088", "1.10 TFLOP")
BYTES = ("peak_activation_bytes", "238,402,560", "238 MB")


def test_numbers_are_beside_each_other_where_they_fit() -> None:
    """21 columns of names, 17 and 10 of numbers, and 2 between them: 52."""
    assert draw(52, FLOPS, BYTES) == [
        "metric                             exact       about",
        "────────────────────────────────────────────────────",
        "tensor_core_flops      1,099,514,009,088  1.10 TFLOP",
        "peak_activation_bytes        238,402,560      238 MB",
    ]


def test_a_number_is_never_split_over_two_lines() -> None:
    expected = [
        "tensor_core_flops",
        "  exact  1,099,514,009,088",
        "  about  1.10 TFLOP",
        "peak_activation_bytes",
        "  exact  238,402,560",
        "  about  238 MB",
    ]
    for width in (51, 40, 26):
        assert draw(width, FLOPS, BYTES) == expected


def test_a_number_longer_than_a_line_is_folded() -> None:
    """61 digits, of which 40 columns leave room for 31 beside the name of the column."""
    name, first, second, *_ = draw(40, ("tensor_core_flops", str(2**200), ""))
    assert name == "tensor_core_flops"
    assert first.removeprefix("  exact  ") + second.strip() == str(2**200)


def test_long_text_is_folded_beside_its_numbers() -> None:
    lines = draw(40, ("model.layers.3.mlp.experts.17.gate_proj", "5", "7"), title="modules")
    assert lines[0] == "modules"
    assert "".join(line[:26].strip() for line in lines[3:]) == "model.layers.3.mlp.experts.17.gate_proj"
    assert [line for line in lines[3:] if line.endswith("7")]


def test_a_paragraph_has_no_line_for_an_empty_cell() -> None:
    assert draw(20, ("io_bytes", "1,099,514", ""), title="costs") == ["costs", "io_bytes", "  exact  1,099,514"]


def test_a_pipe_gets_no_colours(capsys: pytest.CaptureFixture[str]) -> None:
    open_console().print(make_table("stage"), "[bold]12 FLOP")
    assert "\x1b" not in capsys.readouterr().out


def test_a_row_is_a_line_in_a_pipe(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    table = make_table("module", "class")
    table.add_row("p" * 97, "Linear")
    open_table_console().print(table)
    assert len(capsys.readouterr().out.splitlines()) == 3


def test_lines_break_between_words(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal; a pipe gets them as they are, and a path with brackets is no markup."""
    monkeypatch.setenv("COLUMNS", "20")
    print_lines("sweep [1].csv: 1,000,000,000 points")
    assert capsys.readouterr().out == "sweep [1].csv: 1,000,000,000 points\n"
    monkeypatch.setenv("FORCE_COLOR", "1")
    print_lines("sweep [1].csv: 1,000,000,000 points")
    assert [line.rstrip() for line in capsys.readouterr().out.splitlines()] == [
        "sweep [1].csv:",
        "1,000,000,000 points",
    ]


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
