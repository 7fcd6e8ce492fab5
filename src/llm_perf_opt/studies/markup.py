"""Tables of studies as Markdown for pages, and as LaTeX for papers."""

from __future__ import annotations

from collections.abc import Sequence

from modelmeter.scaling.studies.records import Cell, Column, StudyTable


def has_text(cells: Sequence[Cell]) -> bool:
    """Tell whether a cell of a column is a word."""
    return any(isinstance(cell, str) for cell in cells)


def to_latex(table: StudyTable) -> str:
    """Return a table for a paper: a ``table`` with a ``tabular`` that needs no package."""
    header = " & ".join(_escape(_head(column)) for column in table.columns)
    rows = [" & ".join(map(_latex_cell, row)) + r" \\" for row in table.rows]
    letters = "".join(
        "l" if has_text([row[place] for row in table.rows]) else "r" for place in range(len(table.columns))
    )
    return "\n".join(
        [
            "% Written by `modelmeter study`.", r"\begin{table}", r"\centering",
            rf"\caption{{{_escape(table.caption)}.}}", rf"\begin{{tabular}}{{{letters}}}", r"\hline", rf"{header} \\",
            r"\hline", *rows, r"\hline", r"\end{tabular}", r"\end{table}", "",
        ]
    )  # fmt: skip


def _head(column: Column) -> str:
    name = column.name.replace("_", " ")
    return f"{name} ({column.unit})" if column.unit else name


def _latex_cell(cell: Cell) -> str:
    if cell is None:
        return ""
    if isinstance(cell, str):
        return _escape(cell)
    if cell.denominator == 1:
        return f"{cell.numerator:,}".replace(",", r"\,")
    return f"{float(cell):.4g}"


def _escape(text: str) -> str:
    for character in "&%#_":
        text = text.replace(character, f"\\{character}")
    return text


def to_markdown(table: StudyTable) -> str:
    """Return a table as Markdown: whole numbers exact, fractions to four digits."""
    heads = [_head(column) for column in table.columns]
    lines = ["| " + " | ".join(heads) + " |", "|" + " --- |" * len(heads)]
    lines += ["| " + " | ".join(map(_markdown_cell, row)) + " |" for row in table.rows]
    return "\n".join(lines)


def _markdown_cell(cell: Cell) -> str:
    if cell is None:
        return ""
    if isinstance(cell, str):
        return cell.replace("|", r"\|")
    return f"{cell.numerator:,}" if cell.denominator == 1 else f"{float(cell):.4g}"
