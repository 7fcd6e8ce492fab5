"""Cells with labels, joined to intervals: which of several costs is largest, and where that changes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from attrs import frozen

from modelmeter.scaling.cell import Cell
from modelmeter.scaling.domain import Range

Label = TypeVar("Label")

_MOST_MIXED = 4096


@frozen
class LabelInterval(Generic[Label]):
    """Integers in a row with one label; None: the label depends on the residue."""

    first: int
    last: int | None
    label: Label | None


def join_cells(
    cells: Sequence[tuple[Cell, Label]], range_: Range, label_at: Callable[[int], Label]
) -> list[LabelInterval[Label]]:
    """Join labelled cells that cover a range to intervals of all its integers, in order.

    Where the label depends on the residue, it is asked for point by point, if there are few.
    """
    step, last = range_.multiple_of, range_.last
    events: dict[int, list[tuple[Label, int]]] = {}
    for cell, label in cells:
        events.setdefault(cell.start, []).append((label, 1))
        if cell.end is not None:
            events.setdefault(cell.end + step, []).append((label, -1))
    most = max(_MOST_MIXED, *(2 * cell.modulus // step for cell, _ in cells))
    bounds = sorted(events)
    active: Counter[Label] = Counter()
    found: list[LabelInterval[Label]] = []
    for place, start in enumerate(bounds):
        for label, change in events[start]:
            active[label] += change
        end = last if place == len(bounds) - 1 else bounds[place + 1] - step
        labels = [label for label, count in active.items() if count]
        if not labels or (end is not None and end < start):
            continue
        if len(labels) == 1:
            append(found, LabelInterval(start, end, labels[0]))
        elif end is not None and (end - start) // step <= most:
            for point in range(start, end + 1, step):
                append(found, LabelInterval(point, point, label_at(point)))
        else:
            append(found, LabelInterval(start, end, None))
    return found


def append(found: list[LabelInterval[Label]], more: LabelInterval[Label]) -> None:
    """Append an interval to a list, or join it to the last one."""
    if found and found[-1].label == more.label:
        found[-1] = LabelInterval(found[-1].first, more.last, more.label)
    else:
        found.append(more)
