"""Tables of studies as CSV, Parquet and LaTeX: exact where a number is whole, both ways where it is a fraction."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet

from modelmeter.scaling.studies.records import Cell, Column, StudyTable

_INT64: Final = 2**63
_DECIMAL: Final = 10**38

Values = list[Any]


def list_columns(table: StudyTable) -> list[tuple[str, Values]]:
    """Return the columns of a table as files have them: a fraction is a float, and exact as text beside it."""
    found: list[tuple[str, Values]] = []
    for place, column in enumerate(table.columns):
        cells: list[Cell] = [row[place] for row in table.rows]
        if any(isinstance(cell, Fraction) and cell.denominator != 1 for cell in cells) and not _has_text(cells):
            found.append((column.name, [None if cell is None else float(_number(cell)) for cell in cells]))
            found.append((f"{column.name}_exact", [None if cell is None else str(cell) for cell in cells]))
        elif _has_text(cells):
            found.append((column.name, [None if cell is None else str(cell) for cell in cells]))
        else:
            found.append((column.name, [None if cell is None else int(_number(cell)) for cell in cells]))
    return found


def _has_text(cells: Sequence[Cell]) -> bool:
    return any(isinstance(cell, str) for cell in cells)


def _number(cell: Cell) -> int | Fraction:
    assert isinstance(cell, int | Fraction)
    return cell


def to_csv(table: StudyTable) -> str:
    """Return a table as CSV."""
    columns = list_columns(table)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([name for name, _ in columns])
    writer.writerows(
        zip(*(["" if cell is None else _write(cell) for cell in cells] for _, cells in columns), strict=True)
    )
    return text.getvalue()


def _write(cell: Any) -> str:
    return repr(cell) if isinstance(cell, float) else str(cell)


def to_parquet(table: StudyTable) -> bytes:
    """Return a table as Parquet: whole numbers are int64, or decimals of 38 digits, or text."""
    columns = list_columns(table)
    arrays = [pa.array(*_typed(cells)) for _, cells in columns]
    fields = [pa.field(name, array.type) for (name, _), array in zip(columns, arrays, strict=True)]
    schema = pa.schema(fields, metadata={"modelmeter": f"study table {table.name}: {table.title}"})
    buffer = io.BytesIO()
    pyarrow.parquet.write_table(pa.Table.from_arrays(arrays, schema=schema), buffer)
    return buffer.getvalue()


def _typed(cells: Values) -> tuple[Values, Any]:
    known = [cell for cell in cells if cell is not None]
    if any(isinstance(cell, str) for cell in known):
        return cells, pa.string()
    if any(isinstance(cell, float) for cell in known):
        return cells, pa.float64()
    largest = max(map(abs, known), default=0)
    if largest < _INT64:
        return cells, pa.int64()
    if largest < _DECIMAL:
        return [None if cell is None else Decimal(cell) for cell in cells], pa.decimal128(38)
    return [None if cell is None else str(cell) for cell in cells], pa.string()


def to_latex(table: StudyTable) -> str:
    """Return a table for a paper: a ``table`` with a ``tabular`` that needs no package."""
    header = " & ".join(_escape(_head(column)) for column in table.columns)
    rows = [" & ".join(map(_latex_cell, row)) + r" \\" for row in table.rows]
    letters = "".join(
        "l" if _has_text([row[place] for row in table.rows]) else "r" for place in range(len(table.columns))
    )
    return "\n".join(
        [
            "% Written by `modelmeter study`.", r"\begin{table}", r"\centering",
            rf"\caption{{{_escape(table.title)}.}}", rf"\begin{{tabular}}{{{letters}}}", r"\hline", rf"{header} \\",
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
