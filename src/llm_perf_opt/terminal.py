"""What the command line prints with: consoles, tables, progress, and numbers for people."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from decimal import Context
from typing import Final, TypeVar

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

Item = TypeVar("Item")

_PIPE_WIDTH: Final = 200
_UNKNOWN_WIDTH: Final = 80
_PREFIXES: Final = {0: "", 3: "k", 6: "M", 9: "G", 12: "T", 15: "P", 18: "E", 21: "Z", 24: "Y", 27: "R", 30: "Q"}


def open_console(*, stderr: bool = False) -> Console:
    """Return a console: in colours on a terminal, plain text in a pipe or a file."""
    console = Console(stderr=stderr, highlight=False)
    if console.width < 1:  # a terminal that does not know its width says 0, and rich would print nothing
        console.width = _UNKNOWN_WIDTH
    return console


def open_table_console() -> Console:
    """Return a console for tables: in a pipe or a file, which have no width of their own, a row is a line."""
    console = open_console()
    if not console.is_terminal:
        console.width = _PIPE_WIDTH
    return console


def has_unicode(console: Console) -> bool:
    """Tell whether a console shows more than ASCII."""
    return not console.options.ascii_only


def make_table(*headers: str, text_columns: int = 1, title: str | None = None) -> Table:
    """Return a table whose first columns are text and whose other columns are numbers.

    What does not fit is folded, never cut.
    """
    # Two columns between cells: the box takes one of them.
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0), title=title)
    table.title_justify = "left"
    for index, header in enumerate(headers):
        table.add_column(header, justify="left" if index < text_columns else "right", overflow="fold")
    return table


@contextmanager
def show_progress() -> Iterator[Callable[[str], None]]:
    """Show what is being done on stderr, on a terminal only; yields the function that names the next step."""
    console = open_console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:

        def end() -> None:
            for task_id in progress.task_ids[-1:]:
                progress.update(task_id, total=1, completed=1)

        def begin(step: str) -> None:
            end()
            progress.add_task(step, total=None)

        yield begin
        end()


@contextmanager
def track(items: Iterable[Item], *, total: int, description: str) -> Iterator[Iterable[Item]]:
    """Show how many of ``total`` items were taken on stderr, on a terminal only; yields what to take them from."""
    console = open_console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        yield progress.track(items, total=total, description=description)


def format_integer(value: int) -> str:
    """Return every digit, in groups of three."""
    return f"{value:,}"


def format_quantity(value: int, unit: str) -> str:
    """Return three significant digits with a decimal prefix: ``13.2 TFLOP``.

    Decimal arithmetic, since a float cannot hold every count.
    """
    digits, _, exponent = Context(prec=3).create_decimal(value).to_eng_string().partition("E+")
    power = int(exponent or 0)
    if power not in _PREFIXES:
        return f"{digits}E+{power} {unit}"
    return f"{digits} {_PREFIXES[power]}{unit}"


def unit_of(metric: str) -> str:
    """Return the unit of a metric: ``FLOP``, or ``B`` for bytes."""
    return "FLOP" if metric.endswith("_flops") else "B"
