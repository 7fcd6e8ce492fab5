"""Sweeps as files: Parquet or CSV, whole or not at all."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import BinaryIO, Final

from llm_perf_opt.sweep.blocks import Block, Sweep, compute_blocks
from llm_perf_opt.sweep.columns import list_columns
from modelmeter.support.errors import OutputError
from modelmeter.support.files import explain_failure, replace_files

STDOUT: Final = "-"
"""The path that stands for CSV on the standard output."""


def write_sweep(sweep: Sweep, path: str | os.PathLike[str], blocks: Iterable[Block] | None = None) -> None:
    """Write a sweep: a row for each point; a column for each axis, for each argument held fixed, and for each metric.

    What follows from other sizes, as ``logits_tokens`` by default, has no column. Columns are of int64, but for
    metrics for which another choice was made: those of float64; and larger integers, as decimals without places where
    38 digits suffice, and as text beyond, which no reader rounds.

    The rows are written beside the file as they are computed, under another name. The file is replaced at the end, in
    one step; after an error or an interrupt it is as it was, and nothing is left beside it.

    Parameters
    ----------
    sweep
        What to compute.
    path
        A file that ends in ``.parquet`` or ``.csv``; ``-`` is CSV on the standard output. Parquet needs pyarrow, with
        which CSV is faster, too. The schema of a Parquet file has a description of the sweep and of its columns as
        JSON under the key ``modelmeter``, and each block is a row group.
    blocks
        The blocks of the sweep, in order, where they come from elsewhere.

    Raises
    ------
    OutputError
        If the ending is another one, pyarrow is missing, the file cannot be written, or the blocks are not all of the
        points.
    WorkloadError
        If a block cannot be computed.
    """
    path = os.fspath(path)
    ending = Path(path).suffix.lower()
    if path != STDOUT and os.path.isdir(path):
        named = os.path.join(path, f"sweep{ending if ending in _WRITERS else '.csv'}")
        raise OutputError(
            "a sweep is written to a file", place=path, found="a folder", remedy=f"name a file in it, as {named}"
        )
    if path != STDOUT and ending not in _WRITERS:
        raise OutputError(
            "a sweep is not written to files of this type", place=path, expected=" or ".join(_WRITERS),
            found=ending or "no ending",
        )  # fmt: skip
    write = _write_csv if path == STDOUT else _WRITERS[ending]
    if write is _write_parquet and not _has_pyarrow():
        raise OutputError(
            "Parquet needs pyarrow", place=path, remedy="pip install 'modelmeter[sweep]', or write a .csv"
        )
    list_columns(sweep)  # what no column holds is an error before anything is computed
    with _open(path) as file:
        write(file, sweep, _count_points(sweep, blocks))


def _count_points(sweep: Sweep, blocks: Iterable[Block] | None) -> Iterator[Block]:
    missing = sweep.num_points
    for block in compute_blocks(sweep) if blocks is None else blocks:
        missing -= len(block[sweep.metrics[0]])
        yield block
    if missing:
        raise OutputError("the blocks are not those of the sweep", expected=f"{missing:,} points more")


def _has_pyarrow() -> bool:
    return find_spec("pyarrow") is not None


def _write_parquet(file: BinaryIO, sweep: Sweep, blocks: Iterable[Block]) -> None:
    from llm_perf_opt.sweep.tables import write_parquet

    write_parquet(file, sweep, blocks)


def _write_csv(file: BinaryIO, sweep: Sweep, blocks: Iterable[Block]) -> None:
    if _has_pyarrow():
        from llm_perf_opt.sweep.tables import write_csv
    else:
        from llm_perf_opt.sweep.csv_rows import write_csv
    write_csv(file, list_columns(sweep), blocks)


_WRITERS: Final[dict[str, Callable[[BinaryIO, Sweep, Iterable[Block]], None]]] = {
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
