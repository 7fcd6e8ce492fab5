"""Tables and pictures of quantities over a size, computed exactly."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Final

from modelmeter.dimensions.evaluate import evaluate
from modelmeter.dimensions.symbols import Dimension
from modelmeter.scaling.quantity import Quantity
from modelmeter.scaling.studies.asking import Worded
from modelmeter.scaling.studies.records import Cell, Column, Line, Mark, Picture, StudyTable
from modelmeter.scaling.studies.words import unit_of, write_fixed
from modelmeter.scaling.terms import Number, simplest

_AXES: Final = {
    "s": "time (s)", "FLOPs": "arithmetic (FLOPs)", "bytes": "amount (bytes)", "FLOP/byte": "intensity (FLOP/byte)",
    "parameters": "read (parameters)",
}  # fmt: skip
"""What an axis says of a unit."""


def log_range(first: int, last: int) -> tuple[int, ...]:
    """Return ``first``, doubled up to ``last``."""
    found = [first]
    while 2 * found[-1] <= last:
        found.append(2 * found[-1])
    return tuple(found)


def values_at(quantity: Quantity, over: str, points: Sequence[int]) -> list[Number]:
    """Return a quantity at values of a size, all others at their defaults."""
    formula, _ = quantity.context.fill(quantity.formula, quantity.values, [over])
    return [simplest(Fraction(evaluate(formula, {over: point}))) for point in points]


def tabulate(name: str, title: str, columns: Mapping[str, Worded], over: str, points: Sequence[int]) -> StudyTable:
    """Return a table with a row for each value of a size."""
    found = [values_at(each.quantity, over, points) for each in columns.values()]
    rows: list[tuple[Cell, ...]] = [(point, *(column[place] for column in found)) for place, point in enumerate(points)]
    listed = tuple(Column(name=label, unit=each.quantity.unit) for label, each in columns.items())
    return StudyTable(
        name=name, title=title, columns=(Column(name=over, unit=_unit_of(columns, over)), *listed), rows=tuple(rows),
        where=write_where(columns.values(), over),
    )  # fmt: skip


def write_where(quantities: Iterable[Worded], over: str) -> str:
    """Return the sizes that quantities are at; those that they have at different numbers their words say."""
    found: dict[str, set[Number]] = {}
    sizes: dict[str, Dimension] = {}
    for each in quantities:
        _, fixed = each.quantity.context.fill(each.quantity.formula, each.quantity.values, [over])
        sizes.update(each.sizes)
        for name, value in {**each.fixed, **fixed}.items():
            found.setdefault(name, set()).add(value)
    return write_fixed({name: next(iter(values)) for name, values in found.items() if len(values) == 1}, sizes)


def draw(
    name: str, title: str, lines: Mapping[str, Worded], over: str, unit: str, points: Sequence[int], *,
    marks: tuple[Mark, ...] = (), is_log_x: bool = True, is_log_y: bool = True,
) -> Picture:  # fmt: skip
    """Return a picture of quantities of one unit over a size."""
    return Picture(
        name=name, title=title, x_label=f"{over} ({_unit_of(lines, over)})", y_label=_AXES.get(unit, unit),
        lines=tuple(
            Line(label=label, points=tuple(zip(points, values_at(each.quantity, over, points), strict=True)))
            for label, each in lines.items()
        ),
        marks=marks, is_log_x=is_log_x, is_log_y=is_log_y, where=write_where(lines.values(), over),
    )  # fmt: skip


def _unit_of(quantities: Mapping[str, Worded], over: str) -> str:
    """Return the unit of a size as the first quantity that knows it has it."""
    return next((unit for each in quantities.values() if (unit := unit_of(over, each.sizes))), "")
