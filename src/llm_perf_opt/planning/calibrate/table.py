"""A user's measurements: a CSV file with a row for each."""

from __future__ import annotations

import csv
import io
import math
import os
import statistics
from collections.abc import Mapping, Sequence
from typing import Final

from attrs import frozen

from llm_perf_opt.arguments import check_name, parse_size
from llm_perf_opt.errors import RecordError
from llm_perf_opt.evaluators import find_defaults
from llm_perf_opt.planning.evaluation import ServedModel
from llm_perf_opt.planning.measured.records import STEP
from modelmeter.support.errors import ModelMeterError
from modelmeter.support.files import describe_failure, read_text

STAGE: Final = "stage"
MILLISECONDS: Final = "milliseconds"
NOT_READ: Final = ("peak_memory_bytes", "device", "dtype")
"""Columns that the measuring script writes for people."""

STEP_SIZES: Final = ("batch_size", "context_tokens")
"""The sizes of a step: its sequences, and the cached positions of all of them together."""

MOST_POINTS: Final = 300
"""Different calls in one file: each is left out once, and the fit done again."""

SHORTEST: Final = 1e-6
LONGEST: Final = 1e9
"""Milliseconds: a nanosecond, and eleven days."""

_LONGEST_NUMBER: Final = 40


@frozen(kw_only=True)
class MeasuredCall:
    """A call of a stage, or a step, that was measured.

    Parameters
    ----------
    line
        The first line of the file that has it.
    stage, sizes
        What was called; a size that is missing has its default.
    seconds
        How long it took: the median, where it was measured several times.
    """

    line: int
    stage: str
    sizes: Mapping[str, int]
    seconds: float

    @property
    def name(self) -> str:
        """What people call it: the stage, its sizes and the line."""
        sizes = "".join(f" {name}={size}" for name, size in self.sizes.items())
        return f"line {self.line}: {self.stage}{sizes}"


def read_measured_calls(path: str | os.PathLike[str], served: ServedModel) -> tuple[MeasuredCall, ...]:
    """Return the measured calls of a file; rows of one call are one.

    Parameters
    ----------
    path
        A CSV file with a header. ``stage`` and ``milliseconds`` are needed; other columns are sizes of the stages, and
        of a ``step`` ``batch_size`` and ``context_tokens``. An empty cell is a default.
    served
        The model whose stages these are.

    Raises
    ------
    RecordError
        If the file cannot be read, or a column or a cell is not what it should be; the place is its line and column.
    """
    rows = _read_rows(path)
    header = [name.strip() for name in rows[0]] if rows else []
    _check_header(header, str(path), served)
    calls: dict[tuple[str, tuple[tuple[str, int], ...]], list[tuple[int, float]]] = {}
    for number, row in enumerate(rows[1:], start=2):
        if not any(cell.strip() for cell in row):
            continue
        if len(row) != len(header):
            raise RecordError(
                "a row has not as many cells as the header", place=f"{path}: line {number}", expected=len(header),
                found=len(row),
            )  # fmt: skip
        cells = {name: cell.strip() for name, cell in zip(header, row, strict=True)}
        stage, sizes, seconds = _read_row(cells, f"{path}: line {number}", served)
        calls.setdefault((stage, tuple(sizes.items())), []).append((number, seconds))
    if len(calls) > MOST_POINTS:
        raise RecordError(
            "too many different calls", place=str(path), expected=f"at most {MOST_POINTS}", found=len(calls),
            remedy="leave some out: those in the middle tell least",
        )  # fmt: skip
    return tuple(
        MeasuredCall(
            line=times[0][0], stage=stage, sizes=dict(sizes), seconds=statistics.median(seconds for _, seconds in times)
        )
        for (stage, sizes), times in calls.items()
    )


def _read_rows(path: str | os.PathLike[str]) -> list[list[str]]:
    try:
        # Spreadsheets write a byte order mark before the first name.
        return list(csv.reader(io.StringIO(read_text(path).removeprefix("\ufeff"), newline=""), strict=True))
    except csv.Error as error:
        raise RecordError("the measurements cannot be read as CSV", place=str(path), found=str(error)) from None
    except (OSError, ValueError) as error:
        raise RecordError("the file cannot be read", place=str(path), found=describe_failure(error)) from None


def list_measured_stages(served: ServedModel) -> tuple[str, ...]:
    """Return the stages that a row may be of: those that run once, and the step."""
    names = served.serving
    prompts = () if names.prompt_stage is None else (names.prompt_stage,)
    return (*names.page_stages, *prompts, STEP)


def list_stage_sizes(stage: str, served: ServedModel) -> tuple[str, ...]:
    """Return the sizes of a stage, less the widths, which follow from the type."""
    if stage == STEP:
        return STEP_SIZES
    evaluator = getattr(served.costs.breakdown, f"{stage}_operators")
    return tuple(name for name in find_defaults(evaluator) if not name.endswith("_bits") and name != "expert_routing")


def _check_header(header: Sequence[str], place: str, served: ServedModel) -> None:
    for name in (STAGE, MILLISECONDS):
        if name not in header:
            raise RecordError(
                "a column is missing", place=place, expected=f"a column {name}", found=", ".join(header) or "no columns"
            )
    twice = [name for name in header if header.count(name) > 1]
    if twice:
        raise RecordError("a column is there twice", place=place, found=twice[0])
    sizes = {name for stage in list_measured_stages(served) for name in list_stage_sizes(stage, served)}
    for name in header:
        _check_known("column", name, (STAGE, MILLISECONDS, *NOT_READ, *sorted(sizes)), f"{place}: line 1")


def _read_row(cells: Mapping[str, str], place: str, served: ServedModel) -> tuple[str, dict[str, int], float]:
    stage = cells[STAGE]
    _check_known("stage", stage, list_measured_stages(served), f"{place}, {STAGE}")
    known, sizes = list_stage_sizes(stage, served), {}
    for name, cell in cells.items():
        if not cell or name in (STAGE, MILLISECONDS, *NOT_READ):
            continue
        if name not in known:
            raise RecordError(
                f"{stage} has no such size", place=f"{place}, {name}", expected=", ".join(known), found=cell,
                remedy="leave the cell empty",
            )  # fmt: skip
        try:
            sizes[name] = int(parse_size(name, cell))
        except ModelMeterError as error:
            raise RecordError(
                error.problem, place=f"{place}, {name}", expected=error.expected, found=error.found
            ) from None
        if sizes[name] < 1:
            raise RecordError("a size is not positive", place=f"{place}, {name}", expected="at least 1", found=cell)
    missing = [name for name in STEP_SIZES if name not in sizes] if stage == STEP else []
    if missing:
        raise RecordError(
            "a step has a size that is missing", place=f"{place}, {missing[0]}", expected="a whole number"
        )
    return stage, sizes, _read_milliseconds(cells[MILLISECONDS], f"{place}, {MILLISECONDS}") / 1000


def _check_known(kind: str, name: str, names: Sequence[str], place: str) -> None:
    try:
        check_name(kind, name, names)
    except ModelMeterError as error:
        raise RecordError(error.problem, place=place, found=error.found, remedy=error.remedy) from None


def _read_milliseconds(cell: str, place: str) -> float:
    try:
        value = float(cell) if len(cell) <= _LONGEST_NUMBER else math.nan
    except ValueError:
        value = math.nan
    if not SHORTEST <= value <= LONGEST:
        raise RecordError(
            "this is no time", place=place, expected=f"a number from {SHORTEST:g} to {LONGEST:g}",
            found=cell or "nothing",
        )  # fmt: skip
    return value
