"""A table of text cells, for Markdown pages and for the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

if TYPE_CHECKING:
    import rich.table


@frozen(kw_only=True)
class Table:
    """Headers and rows; the first ``text_columns`` columns are text, the others numbers."""

    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    text_columns: int = 1

    def select(self, *headers: str) -> Table:
        """Return the table with some of its columns, text columns first."""
        columns = [self.headers.index(header) for header in headers]
        rows = tuple(tuple(row[column] for column in columns) for row in self.rows)
        text_columns = sum(column < self.text_columns for column in columns)
        return Table(headers=headers, rows=rows, text_columns=text_columns)

    def to_markdown(self) -> str:
        """Return the table as Markdown, without a line break at its end."""
        rule = ("---" if index < self.text_columns else "---:" for index in range(len(self.headers)))
        lines = (self.headers, tuple(rule), *self.rows)
        return "\n".join(f"| {' | '.join(_escape(cell) for cell in line)} |" for line in lines)

    def to_rich(self, title: str | None = None) -> rich.table.Table:
        """Return the table for a terminal."""
        from rich.text import Text

        from llm_perf_opt.terminal import make_table

        table = make_table(*self.headers, text_columns=self.text_columns, title=title)
        for row in self.rows:
            table.add_row(*(Text(cell) for cell in row))  # a plain str could hold markup
        return table


def _escape(cell: str) -> str:
    return " ".join(cell.split()).replace("|", "\\|")
