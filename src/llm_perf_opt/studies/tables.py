"""Tables of studies as CSV and Parquet: exact where a number is whole, both ways where it is a fraction."""

from __future__ import annotations

import csv
import io
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet

from llm_perf_opt.studies.markup import has_text
from modelmeter.scaling.studies.records import Cell, StudyTable

_INT64: Final = 2**63
_DECIMAL: Final = 10**38

Values = list[Any]


def list_columns(table: StudyTable) -> list[tuple[str, Values]]:
    """Return the columns of a table as files have them: a fraction is a float, and exact as text beside it."""
    found: list[tuple[str, Values]] = []
    for place, column in enumerate(table.columns):
        cells: list[Cell] = [row[place] for row in table.rows]
        if any(isinstance(cell, Fraction) and cell.denominator != 1 for cell in cells) and not has_text(cells):
            found.append((column.name, [None if cell is None else float(_number(cell)) for cell in cells]))
            found.append((f"{column.name}_exact", [None if cell is None else str(cell) for cell in cells]))
        elif has_text(cells):
            found.append((column.name, [None if cell is None else str(cell) for cell in cells]))
        else:
            found.append((column.name, [None if cell is None else int(_number(cell)) for cell in cells]))
    return found


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
