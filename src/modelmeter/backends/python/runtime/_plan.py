"""What is done for some sizes that are known and some that are arrays: made once, and kept."""

from collections.abc import Callable, Mapping
from functools import cached_property, lru_cache
from typing import Literal, TypeAlias

import numpy as np

from ._blocks import Result, Routine
from ._bounds import Bounds, compile_bounds
from ._fused import Fused
from ._operations import Array
from ._polynomials import Range
from ._program import Formulas, trace
from ._runtime import CostError, show
from ._tape import INT64_MAX, Axes, Recorder, Tape

Overflow: TypeAlias = Literal["error", "float64", "exact"]
"""What happens where a number may not fit into int64."""

Known: TypeAlias = tuple[tuple[str, int | None], ...]
"""Sizes that are known, by name; None for what follows from others."""

Bound: TypeAlias = Callable[[Mapping[str, Range]], Bounds]
"""Returns the bounds of formulas from the ranges of their sizes."""


class Plan:
    """What is done for some sizes that are known and some that are arrays, whatever these hold."""

    def __init__(self, tape: Tape) -> None:
        self._tape = tape
        self._routines: dict[tuple[object, ...], Routine] = {}

    def kinds(self, sizes: Mapping[str, Range], overflow: Overflow, largest: int) -> tuple[dict[str, type], bool]:
        """Return the type of each size and of each step, and whether all of them are Python integers."""
        names = (*sizes, *self._tape.steps)
        if largest <= INT64_MAX:
            return dict.fromkeys(names, np.int64), False
        if overflow == "exact":
            return dict.fromkeys(names, object), True
        if overflow == "error":
            raise OverflowError(f"a number may be as large as {show(largest)}, more than int64 holds")
        floats = self._tape.floats(sizes, largest)
        return {name: np.float64 if name in floats else np.int64 for name in names}, False

    def run(
        self,
        arrays: Mapping[str, Array],
        shape: tuple[int, ...],
        ranges: Mapping[str, Range],
        overflow: Overflow,
        largest: int,
    ) -> list[Array]:
        """Return the metrics, computed in blocks."""
        kinds, is_exact = self.kinds(ranges, overflow, largest)
        return self._routine(kinds, is_exact=is_exact).run(arrays, shape)

    def run_ahead(self, arrays: Mapping[str, Array]) -> Result | None:
        """Return the metrics as if all of them fitted into int64; None where sizes contradict each other."""
        shape = next(iter(arrays.values())).shape
        routine = self._routine(dict.fromkeys((*arrays, *self._tape.steps), np.int64), is_exact=False)
        try:
            return routine.run_and_watch(arrays, shape)
        except CostError:
            return None

    def _routine(self, kinds: dict[str, type], *, is_exact: bool) -> Routine:
        key = (*kinds.values(), is_exact)
        if key not in self._routines:
            self._routines[key] = Routine(self._tape, kinds, is_exact)
        return self._routines[key]

    @cached_property
    def fused(self) -> Fused:
        """The loop over all points."""
        return Fused(self._tape)


@lru_cache(maxsize=64)
def trace_bounded(function: str, known: Known, expert_routing: str) -> tuple[Formulas, Bound]:
    """Return the formulas of the sizes that are not known, and their bounds."""
    formulas = trace(function, dict(known), expert_routing)
    return formulas, compile_bounds(formulas.space, formulas.metrics)


@lru_cache(maxsize=256)
def make_plan(
    function: str,
    known: Known,
    expert_routing: str,
    axes: tuple[tuple[str, Axes], ...],
    shape: tuple[int, ...],
    fixed: frozenset[tuple[int, int]],
) -> Plan:
    """Return the plan for arrays along some ``axes``, of which the unknowns that are ``fixed`` have one value only."""
    formulas, _ = trace_bounded(function, known, expert_routing)
    return Plan(Recorder(dict(axes), shape or (1,)).record(formulas.fold(dict(fixed)).program()))
