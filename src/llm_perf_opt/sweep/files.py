"""Sweeps as files: Parquet or CSV, whole or not at all."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

import deepseek_ocr_costs as costs
from llm_perf_opt.sweep.blocks import Block, Sweep, compute_blocks
from modelmeter.errors import OutputError
from modelmeter.files import explain_failure, replace_files

STDOUT: Final = "-"
"""The path that stands for CSV on the standard output."""


def write_sweep(sweep: Sweep, path: str | os.PathLike[str], blocks: Iterable[Block] | None = None) -> None:
    """Write a sweep: a row for each point, a column for each axis and metric.

    Columns are of int64, but for metrics for which another choice was made: those of float64, and decimals without
    places, of 38 or of 76 digits, for larger integers.

    The rows are written beside the file as they are computed, under another name. The file is replaced at the end, in
    one step; after an error or an interrupt it is as it was, and nothing is left beside it.

    Parameters
    ----------
    sweep
        What to compute.
    path
        A file that ends in ``.parquet`` or ``.csv``; ``-`` is CSV on the standard output. The schema of a Parquet file
        has a description of the sweep as JSON under the key ``modelmeter``, and each block is a row group.
    blocks
        The blocks of the sweep, in order, where they come from elsewhere.

    Raises
    ------
    OutputError
        If the ending is another one, the file cannot be written, or the blocks are not all of the points.
    WorkloadError
        If a block cannot be computed.
    """
    path = os.fspath(path)
    ending = Path(path).suffix.lower()
    if path != STDOUT and ending not in _WRITERS:
        raise OutputError("the ending says nothing known", place=path, expected=" or ".join(_WRITERS), found=ending)
    schema = _make_schema(sweep)
    write = _write_csv if path == STDOUT else _WRITERS[ending]
    with _open(path) as file:
        write(file, schema, _as_tables(sweep, schema, blocks))


def describe(sweep: Sweep) -> dict[str, Any]:
    """Return what a sweep was of, as plain data: its grid, all other arguments, and what computed it."""
    grid = dict(str(axis).split("=") for axis in sweep.axes)
    used = {name: sweep.fixed.get(name, default) for name, default in sweep.defaults.items()}
    fixed = {name: value for name, value in used.items() if name not in grid and value is not None}
    return {"stage": sweep.stage, "grid": grid, "fixed": fixed, "provenance": costs.PROVENANCE}


def _make_schema(sweep: Sweep) -> pa.Schema:
    types = {axis.name: pa.int64() for axis in sweep.axes}
    types |= {metric: _find_type(metric, sweep.largest[metric]) for metric in sweep.metrics}
    fields = [pa.field(name, kind, nullable=False) for name, kind in types.items()]
    return pa.schema(fields, metadata={"modelmeter": json.dumps(describe(sweep))})


def _find_type(metric: str, largest: int | float) -> pa.DataType:
    """Return the smallest type that holds all values of a metric."""
    if isinstance(largest, float):
        return pa.float64()
    types = {2**63: pa.int64(), 10**38: pa.decimal128(38), 10**76: pa.decimal256(76)}
    for limit, kind in types.items():
        if largest < limit:
            return kind
    raise OutputError("no column holds integers as large", place=metric, expected="at most 76 digits", found=largest)


def _as_tables(sweep: Sweep, schema: pa.Schema, blocks: Iterable[Block] | None) -> Iterator[pa.Table]:
    missing = sweep.num_points
    for block in compute_blocks(sweep) if blocks is None else blocks:
        table = pa.table(block, schema=schema)
        missing -= table.num_rows
        yield table
    if missing:
        raise OutputError("the blocks are not those of the sweep", expected=f"{missing:,} points more")


def _write_parquet(file: BinaryIO, schema: pa.Schema, tables: Iterable[pa.Table]) -> None:
    # Along an axis costs change by steady steps: differences take a fraction of the time and of the room that a
    # dictionary of values would, which is the default.
    encoding = {field.name: "DELTA_BINARY_PACKED" for field in schema if field.type == pa.int64()}
    with pyarrow.parquet.ParquetWriter(file, schema, use_dictionary=False, column_encoding=encoding) as writer:
        for table in tables:
            writer.write_table(table)


def _write_csv(file: BinaryIO, schema: pa.Schema, tables: Iterable[pa.Table]) -> None:
    file.write((",".join(schema.names) + "\n").encode())  # pyarrow would put quotes around names
    options = pyarrow.csv.WriteOptions(include_header=False)
    with pyarrow.csv.CSVWriter(file, schema, write_options=options) as writer:
        for table in tables:
            writer.write_table(table)


_WRITERS: Final[dict[str, Callable[[BinaryIO, pa.Schema, Iterable[pa.Table]], None]]] = {
    ".parquet": _write_parquet,
    ".csv": _write_csv,
}


@contextmanager
def _open(path: str) -> Iterator[BinaryIO]:
    """Open the standard output, or a file that is whole or not at all."""
    name = "the sweep"
    if path == STDOUT:
        if sys.stdout is None:
            raise OutputError("the standard output is closed", place=path)
        with explain_failure(name, path):
            yield sys.stdout.buffer
            sys.stdout.buffer.flush()
    else:
        with replace_files(name) as open_file, open_file(path) as file:
            yield file
