"""That cells cover a range, each integer once; and cells as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import lcm
from typing import Any

from modelmeter.scaling.cell import Cell
from modelmeter.scaling.domain import Range
from modelmeter.support.errors import CertificateError

_MOST_CLASSES = 1_000_000


def check_cover(cells: Sequence[Cell], range_: Range) -> None:
    """Refuse cells that leave out an integer of a range, have one twice, or have one outside of it."""
    step = range_.multiple_of
    if any(cell.modulus < 1 or (cell.last is not None and cell.last < cell.first) for cell in cells):
        raise CertificateError("a cell is empty", place=str(range_))
    modulus = lcm(step, *(cell.modulus for cell in cells if cell.start != cell.end))
    if modulus > _MOST_CLASSES:
        raise CertificateError("there are too many residue classes", expected=_MOST_CLASSES, found=modulus)
    stretches: dict[int, list[tuple[int, int | None]]] = {}
    for cell in cells:
        if cell.start == cell.end:
            stretches.setdefault(cell.start % modulus, []).append((cell.start, cell.start))
            continue
        for offset in range(modulus // cell.modulus):
            start = cell.start + offset * cell.modulus
            residue = start % modulus
            if cell.end is None or start <= cell.end:
                end = None if cell.end is None else cell.end - (cell.end - residue) % modulus
                stretches.setdefault(residue, []).append((start, end))
    for residue in range(0, modulus, step):
        first = range_.first + (residue - range_.first) % modulus
        last = None if range_.last is None else range_.last - (range_.last - residue) % modulus
        if last is None or first <= last:
            _check_row(sorted(stretches.pop(residue, []), key=lambda each: each[0]), first, last, modulus)
    if stretches:
        raise CertificateError("a cell is outside of the range", place=f"class {min(stretches)} by {modulus}")


def _check_row(stretches: list[tuple[int, int | None]], first: int, last: int | None, modulus: int) -> None:
    """Check that stretches of one class follow each other from ``first`` to ``last``."""
    expected: int | None = first
    for start, end in stretches:
        if start != expected:
            raise CertificateError("the cells leave a gap, or overlap", expected=expected, found=start)
        expected = None if end is None else end + modulus
    if expected != (None if last is None else last + modulus):
        raise CertificateError("the cells do not end where the range does", expected=last, found=expected)


def cell_to_json(cell: Cell) -> list[int | None]:
    """Return a cell as JSON: modulus, residue, first and last."""
    return [cell.modulus, cell.residue, cell.first, cell.last]


def cells_from_json(rows: object, extra: int) -> Iterator[tuple[Cell, list[Any]]]:
    """Yield the cells of a JSON list, each with so many more values."""
    for row in rows if isinstance(rows, list) else [None]:
        if (
            not isinstance(row, list)
            or len(row) != 4 + extra
            or any(type(each) is not int for each in row[:3])
            or not (row[3] is None or type(row[3]) is int)
        ):
            raise CertificateError("this is no cell", found=row)
        yield Cell(*row[:4]), row[4:]
