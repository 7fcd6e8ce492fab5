"""What the command line prints with: consoles, tables, progress, and numbers for people."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from decimal import Context
from typing import Final, TypeVar

from rich.box import SIMPLE_HEAD
from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.padding import Padding
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
from rich.text import Text

Item = TypeVar("Item")

_PIPE_WIDTH: Final = 200
_LONGEST_WORD: Final = len("peak_activation_bytes")
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


def print_lines(text: str) -> None:
    """Print lines: a terminal would break them anywhere, here they break between words; in a pipe they stay whole."""
    console = open_console()
    console.print(Text(text), soft_wrap=not console.is_terminal)


def has_unicode(console: Console) -> bool:
    """Tell whether a console shows more than ASCII."""
    return not console.options.ascii_only


class NumberTable(Table):
    """A table whose first columns are text and whose other columns are numbers, none of which is split.

    Where the numbers leave too little room for the text, each row is a paragraph: a line for each of its cells.
    """

    def __init__(self, *headers: str, text_columns: int, title: str | None) -> None:
        # Two columns between cells: the box takes one of them.
        super().__init__(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0), title=title)
        self.title_justify = "left"
        for index, header in enumerate(headers):
            if index < text_columns:
                self.add_column(header, overflow="fold")
            else:
                self.add_column(header, justify="right", no_wrap=True, overflow="fold")

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the table, or the paragraphs."""
        if self._fits(console, options):
            yield from super().__rich_console__(console, options)
            return
        if self.title is not None:
            yield self.title
        for first, *others in zip(*(column.cells for column in self.columns), strict=True):
            grid = Table.grid(padding=(0, 2, 0, 0))
            grid.add_column(no_wrap=True)
            grid.add_column(overflow="fold")
            for column, cell in zip(self.columns[1:], others, strict=True):
                if cell:
                    grid.add_row(column.header, cell)
            yield first
            yield Padding(grid, (0, 0, 0, 2))

    def _fits(self, console: Console, options: ConsoleOptions) -> bool:
        """Tell whether all numbers, and as much of each text as one should see at once, are on a line."""
        room = options.max_width - 2 * (len(self.columns) - 1)
        for column in self.columns:
            if column.overflow == "ellipsis":  # what may be cut gives way
                continue
            sizes = [Measurement.get(console, options, cell) for cell in (column.header, *column.cells)]
            words = min(_LONGEST_WORD, max(size.minimum for size in sizes))
            room -= max(size.maximum for size in sizes) if column.no_wrap else words
        return room >= 0


def make_table(*headers: str, text_columns: int = 1, title: str | None = None) -> NumberTable:
    """Return a table whose first columns are text and whose other columns are numbers.

    Text that does not fit is folded, never cut.
    """
    return NumberTable(*headers, text_columns=text_columns, title=title)


@contextmanager
def show_progress(*, lines: bool = False) -> Iterator[Callable[[str], None]]:
    """Show what is being done on stderr, on a terminal only; yields the function that names the next step.

    With ``lines``, elsewhere too: a line as each step begins.
    """
    console = open_console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:

        def end() -> None:
            for task_id in progress.task_ids[-1:]:
                progress.update(task_id, total=1, completed=1)

        def begin(step: str) -> None:
            end()
            progress.add_task(step, total=None)
            if lines and not console.is_terminal:
                console.print(step, markup=False, soft_wrap=True)

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
