"""Tapes as one compiled loop over all points: every size is read once, every result written once."""

from collections import Counter
from collections.abc import Callable, Mapping
from functools import lru_cache
from importlib.util import find_spec
from typing import Any

import numpy as np

from ._blocks import Result
from ._operations import Array, table_of_reads
from ._rules import BROKEN
from ._tape import Check, Operand, Step, Tape

WORTH_COMPILING = 50_000_000
"""Points after which a loop has saved the time that it takes to compile."""

WORTH_CALLING = 16_384
"""Points from which on a compiled loop is faster than blocks."""

FEW_ROWS = 10
"""Rows that are best written point by point: with more of them, the compiler no longer sees that they lie apart."""

STRIP = 128
"""Points that are computed together where there are more rows: their results stay in the cache, then leave by row."""

_points: Counter[tuple[object, ...]] = Counter()
_compiled: set[tuple[object, ...]] = set()


class Fused:
    """The loop of a tape on int64, all of whose sizes have one shape."""

    def __init__(self, tape: Tape) -> None:
        self._tape = tape
        self._rows = list(dict.fromkeys(metric for metric in tape.metrics if isinstance(metric, str)))
        self._numbers: list[int] = []
        self._tables: list[tuple[int | str, ...]] = []
        self._sizes = [str(name) for name in tape.axes if name not in tape.steps]
        self.source = self._write()
        self._key = (self.source, *self._tables)

    def pays(self, points: int) -> bool:
        """Tell whether the loop is faster than blocks, counting the time to compile it and the points until now."""
        if find_spec("numba") is None or points < WORTH_CALLING:
            return False
        _points[self._key] += points
        return self._key in _compiled or _points[self._key] >= WORTH_COMPILING

    def run(self, sizes: Mapping[str, Array]) -> Result | None:
        """Return the result for some sizes; None where they contradict each other."""
        _compiled.add(self._key)
        points = len(sizes[self._sizes[0]])
        block = np.empty((len(self._rows), points), dtype=np.int64)
        ends = np.empty((2, len(self._sizes)), dtype=np.int64)
        numbers = np.array([(number + 2**63) % 2**64 - 2**63 for number in self._numbers], dtype=np.int64)
        arrays = [sizes[name] for name in self._sizes]
        if _compile(self.source, tuple(self._tables))(points, ends, numbers, block, *arrays):
            return None
        ranges = {name: (low, high) for name, low, high in zip(self._sizes, *ends.tolist(), strict=True)}
        rows = dict(zip(self._rows, block, strict=True))
        metrics = [rows[metric] if isinstance(metric, str) else np.array(metric) for metric in self._tape.metrics]
        return Result(ranges, metrics)

    def _write(self) -> str:
        """Return the loop over the points, or where there are many rows, over strips and the points after them."""
        steps = [f"{name} = {self._write_step(step)}" for name, step in self._tape.steps.items()]
        checks = [f"wrong |= {self._write_check(check)}" for check in self._tape.checks]
        before = ["wrong = False", "whole = 0"]
        before += [f"c{number} = numbers[{number}]" for number in range(len(self._numbers))]
        before += [f"{name}_row = rows[{number}]" for number, name in enumerate(self._rows)]
        before += [f"{name}_low = {name}_high = np.int64({name}_array[0])" for name in self._sizes]
        inside = [f"{name} = np.int64({name}_array[i])" for name in self._sizes]
        inside += [f"{name}_low = min({name}_low, {name})" for name in self._sizes]
        inside += [f"{name}_high = max({name}_high, {name})" for name in self._sizes]
        inside += [*steps, *checks]
        strips = [
            f"whole = points - points % {STRIP}",
            f"strip = np.empty(({len(self._rows)}, {STRIP}), np.int64)",
            f"for start in range(0, whole, {STRIP}):",
            f"    for j in range({STRIP}):",
            *(f"        {line}" for line in ("i = start + j", *inside)),
            *(f"        strip[{number}, j] = {name}" for number, name in enumerate(self._rows)),
            "    for number in range(len(strip)):",
            "        row = rows[number]",
            f"        for j in range({STRIP}):",
            "            stream(row, start + j, strip[number, j])",
        ]
        lines = [
            *(strips if len(self._rows) > FEW_ROWS else ()),
            "for i in range(whole, points):",
            *(f"    {line}" for line in (*inside, *(f"{name}_row[i] = {name}" for name in self._rows))),
        ]
        after = [
            f"ends[0, {number}], ends[1, {number}] = {name}_low, {name}_high" for number, name in enumerate(self._sizes)
        ]
        arguments = ["points", "ends", "numbers", "rows", *(f"{name}_array" for name in self._sizes)]
        body = "".join(f"    {line}\n" for line in (*before, *lines, *after, "return wrong"))
        return f"def loop({', '.join(arguments)}):\n{body}"

    def _write_step(self, step: Step) -> str:
        if step.function == "routed_reads":
            if step.constants not in self._tables:
                self._tables.append(step.constants)
            number, last = self._tables.index(step.constants), len(table_of_reads(*step.constants)) - 1
            # The sizes are checked only after the loop. A place without a sign needs no wrapping around.
            return f"table{number}[np.uint64(max(min({self._show(step.operands[0])}, {last}), 0))]"
        if step.function in ("floor_divide", "right_shift"):  # faster by a number that is known when it is compiled
            return f"{self._show(step.operands[0])} {_SIGNS[step.function]} {step.operands[1]}"
        one, other = map(self._show, step.operands)
        return f"max({one}, {other})" if step.function == "maximum" else f"{one} {_SIGNS[step.function]} {other}"

    def _write_check(self, check: Check) -> str:
        """Return whether a rule is broken; a divisor is in the text, as a division by an argument is slow."""
        divides = check.broken == "leaves_rest" and isinstance(check.limit, int)
        limit = str(check.limit) if divides else self._show(check.limit)
        return BROKEN[check.broken].format(self._show(check.size), limit)

    def _show(self, operand: Operand) -> str:
        """Return an operand; numbers are arguments, so that one loop serves all values of what is known."""
        if isinstance(operand, str):
            return operand
        self._numbers.append(operand)
        return f"c{len(self._numbers) - 1}"


_SIGNS = {
    **{"add": "+", "multiply": "*", "floor_divide": "//", "right_shift": ">>"},
    **{"differs": "!=", "equals": "==", "exceeds": ">"},
}


@lru_cache
def _compile(source: str, tables: tuple[tuple[int | str, ...], ...]) -> Callable[..., bool]:
    """Return the loop; tables are constants in it, as what is written could otherwise change them while it runs."""
    try:
        import numba
    except ModuleNotFoundError as error:
        problem = f'engine="fused" needs numba: pip install numba ({error})'
        raise ModuleNotFoundError(problem, name=error.name) from None

    names: dict[str, Any] = {"np": np, "stream": _make_stream()}
    names |= {f"table{number}": table_of_reads(*each).astype(np.int64) for number, each in enumerate(tables)}
    # The text is made of our own steps.
    exec(compile(source, "<fused>", "exec"), names)
    loop: Callable[..., bool] = numba.njit(nogil=True, error_model="numpy")(names["loop"])
    return loop


@lru_cache
def _make_stream() -> Any:
    """Return a store past the cache: a usual one first reads the memory that it writes to.

    Other threads may see such stores late, but not later than that this one takes the lock of the interpreter again.
    """
    from numba import types
    from numba.extending import intrinsic

    @intrinsic
    def stream(_: Any, row: Any, place: Any, value: Any) -> Any:
        """Write into a row without gaps; the place is not checked."""

        def generate(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
            first = context.make_array(row)(context, builder, arguments[0]).data
            store = builder.store(arguments[2], builder.gep(first, [arguments[1]]))
            store.set_metadata("nontemporal", builder.module.add_metadata([context.get_constant(types.int32, 1)]))
            return context.get_dummy_value()

        return types.void(row, types.intp, types.int64), generate

    return stream
