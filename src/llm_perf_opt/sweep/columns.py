"""The columns of a file of a sweep: what they hold, and how."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, Final

from attrs import frozen

from llm_perf_opt.arguments import Argument, as_json
from llm_perf_opt.evaluators import load_costs
from llm_perf_opt.sweep.blocks import Sweep
from modelmeter.support.errors import OutputError

INT64: Final = "int64"
FLOAT64: Final = "float64"
DECIMAL: Final = "decimal128(38, 0)"
TEXT: Final = "text"

_MOST_DIGITS: Final = 4000
"""Python writes no longer integers, unless it is told to."""


@frozen(kw_only=True)
class Column:
    """A column: ``kind`` is one of the types above, ``value`` that of a column that has one value only."""

    name: str
    kind: str
    words: str
    value: int | float | str | None = None


def list_columns(sweep: Sweep) -> list[Column]:
    """Return the columns of a sweep: its axes, what is held fixed, and its metrics.

    Integers are int64 where the largest of the column fits, decimals of 38 digits without places where that fits, and
    else text, as no more digits are read by every program.

    Raises
    ------
    OutputError
        If an integer is longer than any that can be written.
    """
    return [
        *(Column(name=axis.name, kind=INT64, words=INT64) for axis in sweep.axes),
        *(_hold(name, value) for name, value in sweep.held.items()),
        *(_choose(metric, sweep.largest[metric]) for metric in sweep.metrics),
    ]


def describe(sweep: Sweep) -> dict[str, Any]:
    """Return what a sweep was of, as plain data: its grid, all other arguments, its columns, and what computed it."""
    return {
        "stage": sweep.stage,
        "grid": dict(str(axis).split("=") for axis in sweep.axes),
        "fixed": {name: as_json(value) for name, value in sweep.held.items()},
        "columns": {column.name: column.words for column in list_columns(sweep)},
        "provenance": load_costs(sweep.model).PROVENANCE,
    }


def _hold(name: str, value: Argument) -> Column:
    if isinstance(value, Fraction):
        written = as_json(value)
        kind = TEXT if isinstance(written, str) else FLOAT64
        return Column(name=name, kind=kind, words=kind, value=written)
    if isinstance(value, str):
        return Column(name=name, kind=TEXT, words=TEXT, value=value)
    column = _choose(name, value)
    return Column(name=name, kind=column.kind, words=column.words, value=value)


def _choose(name: str, largest: int | float) -> Column:
    """Return the column of a size or of a metric that is never larger."""
    if isinstance(largest, float):
        return Column(name=name, kind=FLOAT64, words=FLOAT64)
    for limit, kind in ((2**63, INT64), (10**38, DECIMAL)):
        if largest < limit:
            return Column(name=name, kind=kind, words=kind)
    if largest >= 10**_MOST_DIGITS:
        raise OutputError(
            "no column holds integers as large", place=name, expected=f"at most {_MOST_DIGITS} digits",
            found=f"an integer of {largest.bit_length()} bits",
        )  # fmt: skip
    return Column(name=name, kind=TEXT, words=f"integers as text, of up to {len(str(largest))} digits")
