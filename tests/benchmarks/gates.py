"""What the evaluators have to reach, looked up in the tables of one run."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator

from attrs import frozen
from tests.benchmarks import array_evaluators, commands, compiled_folders, imports, sweeps
from tests.benchmarks import frozen as scalar
from tests.benchmarks.tables import Table


@frozen
class Gate:
    """A cell of a table, and the number that it must not exceed or not fall short of."""

    what: str
    title: str
    row: str
    column: str
    relation: str
    limit: float

    def check(self, cells: dict[tuple[str, str, str], str]) -> tuple[str, ...]:
        """Return a row of the table of gates."""
        cell = cells[self.title, self.row, self.column]
        number = float(cell.rstrip("%").replace(",", ""))
        holds = _RELATIONS[self.relation](number, self.limit)
        return self.what, self.row, f"{self.relation} {self.limit:g}", cell, "yes" if holds else "no"


_RELATIONS: dict[str, Callable[[float, float], bool]] = {"≤": operator.le, "≥": operator.ge}


ALL = "stages"
"""The case that the limits of arrays were measured on: all metrics of all stages at once."""


def list_gates() -> Iterator[Gate]:
    """Yield what has to hold."""
    one = scalar.TITLE
    yield Gate("scalar ÷ expert by hand", one, "generated, all stages and metrics", "ratio", "≤", 1.10)
    yield Gate("frozen ÷ expert by hand, all", one, "frozen in seq_len, one metric", "ratio", "≤", 0.05)
    flops = "FlopCounterMode on meta, one page up to its first token"
    yield Gate("FlopCounterMode ÷ all stages and metrics", one, flops, "ratio", "≥", 1e4)
    yield from _list_array_gates(ALL)
    many = array_evaluators.TITLE
    for stage in array_evaluators.CASES:
        row = array_evaluators.name_case(stage, max(array_evaluators.POINTS))
        yield Gate("fused, % of the copy", many, row, array_evaluators.FUSED_SHARE, "≥", 85)
    for stage in array_evaluators.GRIDS:
        row = array_evaluators.name_grid(stage)
        yield Gate("grid, times lambdify", many, row, array_evaluators.LAMBDIFY, "≥", 40)
    yield Gate("import, milliseconds", imports.TITLE, imports.MODULE, imports.TIME, "≤", 2)
    for what, seconds in (
        (commands.PLAN, 2),
        (commands.PLAN_OF_MANY, 10),
        (commands.REPORT, 3),
        (commands.REPLAY, 0.1),
    ):
        yield Gate("processor seconds", commands.TITLE, what, commands.TIME, "≤", seconds)
    for model_type in compiled_folders.MODELS:
        for function in compiled_folders.GATED:
            yield Gate(f"{function} ÷ DeepSeek-OCR's", compiled_folders.TITLE, model_type, function, "≤", 1.3)
        yield Gate("import, milliseconds", compiled_folders.TITLE, model_type, compiled_folders.IMPORT, "≤", 1)
    yield Gate("sweep of 10^8 points, MiB", sweeps.TITLE, "prefill to parquet", sweeps.MOST_MEMORY, "≤", 1024)


def list_stage_limits() -> Iterator[Gate]:
    """Yield the limits of NumPy arrays for each stage alone."""
    for stage in array_evaluators.CASES:
        if stage != ALL:
            yield from _list_array_gates(stage)


def _list_array_gates(stage: str) -> Iterator[Gate]:
    many = array_evaluators.TITLE
    for points in array_evaluators.POINTS:
        row = array_evaluators.name_case(stage, points)
        yield Gate("NumPy, times lambdify", many, row, array_evaluators.LAMBDIFY, "≥", 8)
        if points == max(array_evaluators.POINTS):
            yield Gate("NumPy, % of the copy", many, row, array_evaluators.NUMPY_SHARE, "≥", 30)
        if points == min(array_evaluators.POINTS):
            yield Gate("overflow guard, % of NumPy", many, row, array_evaluators.GUARD_SHARE, "≤", 10)


def check_gates(tables: Iterable[Table]) -> tuple[Table, Table]:
    """Return which gates hold, and how each stage alone does against the limits of arrays."""
    cells = {
        (table.title, row[0], column): cell
        for table in tables
        for row in table.rows
        for column, cell in zip(table.columns, row, strict=True)
    }

    def check(title: str, note: str, gates: Iterable[Gate]) -> Table:
        return Table(
            title=title,
            note=note,
            columns=("what", "case", "gate", "measured", "holds"),
            rows=tuple(gate.check(cells) for gate in gates),
        )

    return (
        check(
            "Gates",
            "What has to hold, in the tables above: NumPy arrays for all metrics of all stages at once, the case that "
            "their limits come from. One that does not says no: no gate is left out.",
            list_gates(),
        ),
        check(
            "Each stage alone",
            "NumPy arrays of one stage against the same limits, which come from all stages at once: the results of one "
            "stage share fewer steps. Where lambdify reaches more than an eighth of what NumPy can, as with the short "
            "formulas of the decode, eight times as fast is out of NumPy's reach. The fused loop is not bound by this.",
            list_stage_limits(),
        ),
    )
