"""Rows of a sweep as CSV, with nothing but NumPy: plain digits, no quotes, nothing rounded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import BinaryIO

from llm_perf_opt.sweep.blocks import Block
from llm_perf_opt.sweep.columns import FLOAT64, INT64, Column


def write_csv(file: BinaryIO, columns: Iterable[Column], blocks: Iterable[Block]) -> None:
    """Write a header, and a line for each point of the blocks."""
    columns = list(columns)
    file.write(write_header(columns))
    for block in blocks:
        file.write(_write_rows(columns, block))


def write_header(columns: Iterable[Column]) -> bytes:
    """Return the first line of a file."""
    return (",".join(column.name for column in columns) + "\n").encode()


def write_value(column: Column) -> str:
    """Return the value of a column that has only one."""
    return repr(column.value) if column.kind == FLOAT64 else str(column.value)


def write_floats(values: Iterable[float]) -> Iterator[str]:
    """Yield floats as the shortest text that is read as the same float."""
    return map(repr, values)


def _write_rows(columns: list[Column], block: Block) -> bytes:
    """Return the lines of a block: one template for all of them, filled in at once."""
    cells = []
    varying = []
    for column in columns:
        if column.value is not None:
            cells.append(write_value(column).replace("%", "%%"))
            continue
        cells.append("%d" if column.kind == INT64 else "%s")
        values = block[column.name].tolist()
        varying.append(write_floats(values) if column.kind == FLOAT64 else values)
    line = ",".join(cells) + "\n"
    rows = [*zip(*varying, strict=True)]
    return (line * len(rows) % tuple(chain.from_iterable(rows))).encode()
