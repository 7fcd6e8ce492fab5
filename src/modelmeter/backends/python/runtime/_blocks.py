"""Tapes on NumPy arrays, in blocks that stay in the cache: every step writes into memory that is used again."""

import threading
from collections.abc import Iterator, Mapping
from functools import partial
from itertools import product
from math import prod
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from ._operations import Array, Function, as_constant, enforce, find_function, table_of_reads
from ._polynomials import Range
from ._tape import Axes, Operand, Step, Tape

WORKING_SET = 262_144
"""Elements of a block, times the arrays that are worked on in it: measured; more leave the cache."""

SMALLEST_BLOCK = 32_768
"""Elements of a block however many arrays there are: with fewer, calls would take longer than what they do."""

PIECE = 131_072
"""Elements that are looked at together."""

Ends: TypeAlias = dict[str, list[tuple[Any, Any]]]
"""The smallest and the largest value of sizes, piece by piece."""

_memory = threading.local()


class Result(NamedTuple):
    """Metrics that are right if, by the ranges of the sizes, no size is too small and no number leaves int64."""

    ranges: dict[str, Range]
    metrics: list[Array]


class Routine:
    """The passes of a tape, those along few axes first.

    Parameters
    ----------
    kinds
        The type of each size and of each result: int64, float64, or object for Python integers.
    is_exact
        Whether results are Python integers, also those that no array decides about.
    """

    def __init__(self, tape: Tape, kinds: Mapping[str, type], is_exact: bool) -> None:
        axes = {name: step.axes for name, step in tape.steps.items()}
        readers = [(step.axes, operand) for step in tape.steps.values() for operand in step.operands]
        readers += [(tape.axes_of(check), operand) for check in tape.checks for operand in (check.size, check.limit)]
        kept = {str(operand) for reader, operand in readers if reader != axes.get(str(operand))}
        kept |= {metric for metric in tape.metrics if metric in axes}
        along = dict.fromkeys([*axes.values(), *map(tape.axes_of, tape.checks)])
        self.kinds = kinds
        self.is_exact = is_exact
        self.metrics = tape.metrics
        self.passes = [Pass(tape, each, kept, kinds) for each in sorted(along, key=lambda each: (len(each), each))]

    def run(self, sizes: Mapping[str, Array], shape: tuple[int, ...], ends: Ends | None = None) -> list[Array]:
        """Return the metrics as arrays that broadcast to ``shape``; those of that shape share one block of memory.

        Parameters
        ----------
        ends
            Sizes whose smallest and largest value in each block are wanted, and the lists that take them.
        """
        values = dict(sizes)
        for each in self.passes:
            extent = tuple(length if axis in each.axes else 1 for axis, length in enumerate(shape))
            rows = np.empty((len(each.kept), *extent), dtype=object if self.is_exact else np.int64)
            for name, row in zip(each.kept, rows, strict=True):
                values[name] = row.view(self.kinds[name])
            each.run(values, extent, ends or {})
        return [values[metric] if isinstance(metric, str) else self._constant(metric) for metric in self.metrics]

    def run_and_watch(self, sizes: Mapping[str, Array], shape: tuple[int, ...]) -> Result:
        """Return the metrics, and the ranges of the sizes as they were read: reading them before takes longer."""
        ends: Ends = {name: [] for name in sizes}
        metrics = self.run(sizes, shape, ends)
        ranges = {name: join_ranges(found or ranges_of(sizes[name])) for name, found in ends.items()}
        return Result(ranges, metrics)

    def _constant(self, metric: int) -> Array:
        if self.is_exact:
            return np.array(metric, dtype=object)
        return np.array(metric, dtype=np.int64 if metric < 2**63 else np.float64)


class Pass:
    """The steps along some axes, on cells: constants, then what is read, what is kept, and scratch memory."""

    def __init__(self, tape: Tape, axes: Axes, kept: set[str], kinds: Mapping[str, type]) -> None:
        self.axes = axes
        self.kept = [name for name, step in tape.steps.items() if step.axes == axes and name in kept]
        self.steps: list[tuple[Function, int, int, int]] = []
        self._cells: list[object] = []
        self._read: dict[int, tuple[str, type]] = {}
        self._kept: dict[int, str] = {}
        self._scratch: dict[int, type] = {}
        self._places: dict[object, int] = {}
        self._kinds = kinds
        own = {name: step for name, step in tape.steps.items() if step.axes == axes}
        last = {operand: name for name, step in own.items() for operand in step.operands}
        checks = [check for check in tape.checks if tape.axes_of(check) == axes]
        last |= {operand: "" for check in checks for operand in (check.size, check.limit)}
        self._rows = self._find_rows(own, last)
        free: list[int] = []
        for name, step in own.items():
            one, *others = (self._place(operand, kinds[name]) for operand in step.operands)
            free += [
                self._places[operand]
                for operand in set(step.operands)
                if last[operand] == name and self._is_scratch(operand)
            ]
            other = others[0] if others else self._table(step, kinds[name])
            function = find_function(step.function, kinds[name])
            self.steps.append((function, one, other, self._result(name, free)))
        for check in checks:
            places = [self._place(operand, object) for operand in (check.size, check.limit)]
            self.steps.append((partial(enforce, check), places[0], places[1], places[0]))

    def run(self, values: Mapping[str, Array], extent: tuple[int, ...], ends: Ends) -> None:
        """Run the steps on every block of ``extent``, and look for the ``ends`` of sizes in it."""
        cells = list(self._cells)
        size = max(SMALLEST_BLOCK, WORKING_SET // (len(self._scratch) + 1))
        memory = _take_memory(len(self._scratch) * size, object if object in self._scratch.values() else np.int64)
        scratch = memory[: len(self._scratch) * size].reshape(-1, size)
        read = [
            (place, np.broadcast_to(values[name], extent), kind if values[name].dtype != kind else None)
            for place, (name, kind) in self._read.items()
        ]
        kept = [(place, values[name]) for place, name in self._kept.items()]
        watched = [(place, ends[name]) for place, (name, _) in self._read.items() if name in ends]
        before: tuple[int, ...] = ()
        for block in blocks(extent, size):
            lengths = tuple(piece.stop - piece.start for piece in block)
            if lengths != before:
                for (place, kind), row in zip(self._scratch.items(), scratch, strict=True):
                    cells[place] = row[: prod(lengths)].view(kind).reshape(lengths)
                before = lengths
            for place, array, converted in read:
                cells[place] = array[block] if converted is None else array[block].astype(converted)
            for place, array in kept:
                cells[place] = array[block]
            for place, found in watched:
                found.append(_ends_of(cells[place]))
            for function, one, other, result in self.steps:
                function(cells[one], cells[other], cells[result])
        if memory.dtype == np.int64:
            _memory.blocks = memory

    def _add(self, key: object, cell: object = None) -> int:
        self._places[key] = len(self._cells)
        self._cells.append(cell)
        return len(self._cells) - 1

    def _place(self, operand: Operand, kind: type) -> int:
        """Return the cell of an operand of a step that gives ``kind``."""
        if isinstance(operand, str):
            if operand not in self._places:
                self._read[self._add(operand)] = (operand, self._kinds[operand])
            return self._places[operand]
        key = (kind, operand)
        return self._places[key] if key in self._places else self._add(key, as_constant(operand, kind))

    def _table(self, step: Step, kind: type) -> int:
        key = (kind, *step.constants)
        return (
            self._places[key] if key in self._places else self._add(key, table_of_reads(*step.constants).astype(kind))
        )

    def _is_scratch(self, operand: Operand) -> bool:
        return self._places.get(operand) in self._scratch

    def _find_rows(self, own: Mapping[str, Step], last: Mapping[Operand, str]) -> dict[str, str]:
        """Return the kept result in whose memory each step is done: those before it that nothing else needs, too."""
        rows = {name: name for name in self.kept}
        for name in reversed(list(own)):
            row = rows.get(name)
            for operand in own[name].operands if row is not None else ():
                is_free = operand in own and last[operand] == name and operand not in rows
                if is_free and self._kinds[str(operand)] == self._kinds[str(row)]:
                    rows[str(operand)] = str(row)
                    break
        return rows

    def _result(self, name: str, free: list[int]) -> int:
        kind = self._kinds[name]
        row = self._rows.get(name)
        if row is not None:
            place = self._places[row] if row in self._places else self._add(row)
            self._kept[place] = row
            self._places[name] = place
            return place
        # What was free last is in the cache.
        for place in reversed(free):
            if self._scratch[place] == kind:
                free.remove(place)
                self._places[name] = place
                return place
        self._scratch[self._add(name)] = kind
        return self._places[name]


def blocks(extent: tuple[int, ...], size: int) -> Iterator[tuple[slice, ...]]:
    """Yield the pieces of an array, each of at most ``size`` elements that lie together."""
    axis = len(extent)
    inner = 1
    while axis and inner * extent[axis - 1] <= size:
        axis -= 1
        inner *= extent[axis]
    whole = tuple(slice(0, length) for length in extent[axis:])
    if axis == 0:
        yield whole
        return
    length = extent[axis - 1]
    # As long as each other: a short last piece would cost as many calls as a long one.
    pieces = -(-length // (size // inner))
    most = -(-length // pieces)
    for outer in product(*map(range, extent[: axis - 1])):
        for start in range(0, length, most):
            piece = slice(start, min(start + most, length))
            yield (*(slice(place, place + 1) for place in outer), piece, *whole)


def ranges_of(array: Array) -> list[tuple[Any, Any]]:
    """Return the smallest and the largest value of each piece of an array."""
    # In pieces, so that the second look at them is at the cache.
    flat = array.reshape(-1)
    return [_ends_of(flat[start : start + PIECE]) for start in range(0, flat.size, PIECE)]


def join_ranges(ends: list[tuple[Any, Any]]) -> Range:
    """Return the smallest and the largest value of all pieces."""
    return int(min(low for low, _ in ends)), int(max(high for _, high in ends))


def _ends_of(piece: Any) -> tuple[Any, Any]:
    # The methods of arrays do the same after a detour.
    return np.minimum.reduce(piece, axis=None), np.maximum.reduce(piece, axis=None)


def _take_memory(size: int, kind: type) -> Array:
    """Return the memory that this thread left, or new memory: what interrupts a run, as a signal does, has its own."""
    memory: Array | None = _memory.__dict__.pop("blocks", None) if kind is np.int64 else None
    return np.empty(size, dtype=kind) if memory is None or memory.size < size else memory
