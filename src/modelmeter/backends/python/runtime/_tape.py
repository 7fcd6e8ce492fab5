"""Programs as steps of two operands, each on as few axes as it can be: what is done with whole arrays."""

import operator
from collections.abc import Callable, Iterable, Mapping
from itertools import product
from math import prod
from typing import NamedTuple, TypeAlias

from ._polynomials import BRACKETS, Range
from ._program import Node, Operation, Program
from ._runtime import show
from ._symbolic import enough_tokens

INT64_MAX = 2**63 - 1

Operand: TypeAlias = int | str
"""An integer, or the name of a size or of an earlier step."""

Axes: TypeAlias = tuple[int, ...]
"""The numbers of the axes along which something varies, in ascending order."""


class Step(NamedTuple):
    """An operation on one or two operands; what is no number in a call is in ``constants``."""

    function: str
    operands: tuple[Operand, ...]
    constants: tuple[int | str, ...]
    axes: Axes


class Check(NamedTuple):
    """A rule between two sizes, by how it is ``broken``."""

    broken: str
    name: str
    size: Operand
    limit_name: str
    limit: Operand


class Tape(NamedTuple):
    """Steps by the name of their result, in order, and what is made of them."""

    steps: dict[str, Step]
    checks: tuple[Check, ...]
    metrics: tuple[Operand, ...]
    axes: Mapping[Operand, Axes]

    def axes_of(self, check: Check) -> Axes:
        """Return the axes along which a rule has to be checked."""
        return tuple(sorted({axis for operand in (check.size, check.limit) for axis in self.axes.get(operand, ())}))

    def ranges(self, sizes: Mapping[str, Range]) -> dict[Operand, Range]:
        """Return the smallest and largest number that every step can give, from those of the sizes."""
        ranges: dict[Operand, Range] = dict(sizes.items())
        for name, step in self.steps.items():
            ends = [ranges.get(operand, (operand, operand)) for operand in step.operands]
            ranges[name] = _range_of(step, [(int(low), int(high)) for low, high in ends])
        return ranges

    def floats(self, sizes: Mapping[str, Range], largest: int) -> set[Operand]:
        """Return the sizes and the steps that do not fit into int64 with all that they are made of.

        Parameters
        ----------
        largest
            What no metric exceeds.

        Raises
        ------
        OverflowError
            If float64 could not tell which of two numbers is larger, or could not hold a number at all.
        """
        floats: set[Operand] = set()
        ranges = self.ranges(sizes)
        magnitudes = {name: max(map(abs, ends)) for name, ends in ranges.items()}  # what is taken away is negative
        largest = max([largest, *magnitudes.values()])
        if largest >= 2**1023:
            raise OverflowError(f"a number may be as large as {show(largest)}, more than float64 holds")
        for name, magnitude in magnitudes.items():
            step = self.steps.get(str(name))
            has_floats = step is not None and not floats.isdisjoint(step.operands)
            if step is None or step.function not in (*BRACKETS, "routed_reads"):
                floats |= {name} if has_floats or magnitude > INT64_MAX else set()
            elif has_floats and step.function in ("differs", "equals"):
                raise OverflowError("these sizes are too large to be compared in float64")
        for check in self.checks:
            (_, most), (least, _) = (ranges.get(side, (side, side)) for side in (check.size, check.limit))
            may_break = check.broken != "exceeds" or int(most) > int(least)
            if may_break and not floats.isdisjoint((check.size, check.limit)):
                raise OverflowError(f"{check.name} and {check.limit_name} are too large to be compared in float64")
        return floats


def _range_of(step: Step, ends: list[Range]) -> Range:
    if step.function in BRACKETS:
        return 0, 1
    if step.function == "routed_reads":
        experts, per_token, fixed, growth = map(int, step.constants[:4])
        return -experts * growth * enough_tokens(experts, per_token, fixed, growth), experts * fixed
    function = _NUMBERS[step.function]
    values = [function(*pair) for pair in product(*ends)]
    return min(values), max(values)


_NUMBERS: dict[str, Callable[[int, int], int]] = {
    "add": operator.add,
    "multiply": operator.mul,
    "floor_divide": operator.floordiv,
    "right_shift": operator.rshift,
    "maximum": max,
}


class Recorder:
    """Records the steps of nodes; what was recorded before is not recorded again.

    Parameters
    ----------
    axes
        The axes of each size.
    shape
        The lengths of all axes.
    """

    def __init__(self, axes: Mapping[str, Axes], shape: tuple[int, ...]) -> None:
        self.steps: dict[str, Step] = {}
        self._axes: dict[Operand, Axes] = dict(axes.items())
        self._shape = shape
        self._names: dict[tuple[str, tuple[Operand, ...], tuple[int | str, ...]], str] = {}
        self._stand_ins: dict[str, Operand] = {}

    def record(self, program: Program) -> Tape:
        """Return the tape of a program."""
        for name, operation in program.steps:
            self._stand_ins[name] = self._write(operation)
        checks = tuple(
            Check(check.broken, check.name, self._write(check.size), check.limit_name, self._write(check.limit))
            for check in program.checks
        )
        return Tape(self.steps, checks, tuple(map(self._write, program.metrics)), self._axes)

    def _write(self, node: Node) -> Operand:
        if not isinstance(node, Operation):
            return self._stand_ins.get(node, node) if isinstance(node, str) else node
        operands = [self._write(operand) for operand in node.operands]
        if node.function in _JOINED:
            return self._join(_JOINED[node.function], operands)
        if node.function == "abbreviate":
            return operands[0]
        if node.function == "triangular":
            (n,) = operands
            return self._divide(self._step("multiply", self._step("add", n, 1), n), 2)
        if node.function in ("ceil_div", "floor_div"):
            if not node.constants:
                dividend, divided = operands
                if node.function == "ceil_div":
                    dividend = self._step("add", self._step("add", dividend, divided), -1)
                return self._step("floor_divide", dividend, divided)
            (divisor,) = node.constants
            assert isinstance(divisor, int)
            raised = self._step("add", operands[0], divisor - 1) if node.function == "ceil_div" else operands[0]
            return self._divide(raised, divisor)
        step = self._step(node.function, *operands, constants=node.constants)
        if node.function != "routed_reads" or not node.constants[3]:
            return step
        growth = int(node.constants[0]) * int(node.constants[3])  # the table is without it
        return self._step("add", self._step("multiply", *operands, growth), step)

    def _divide(self, dividend: Operand, divisor: int) -> Operand:
        if divisor & (divisor - 1):
            return self._step("floor_divide", dividend, divisor)
        return self._step("right_shift", dividend, divisor.bit_length() - 1)

    def _join(self, function: str, operands: Iterable[Operand]) -> Operand:
        """Join what varies along the same axes, then the results, those with few elements first."""
        groups: dict[Axes, Operand] = {}
        for operand in operands:
            axes = self._axes_of(operand)
            groups[axes] = self._step(function, groups[axes], operand) if axes in groups else operand
        first, *others = sorted(groups, key=lambda axes: (prod(self._shape[axis] for axis in axes), axes))
        joined = groups[first]
        for axes in others:
            joined = self._step(function, groups[axes], joined)
        return joined

    def _step(self, function: str, *operands: Operand, constants: tuple[int | str, ...] = ()) -> str:
        key = (function, operands, constants)
        if key not in self._names:
            name = self._names[key] = f"t{len(self.steps) + 1}"
            axes = tuple(sorted({axis for operand in operands for axis in self._axes_of(operand)}))
            self.steps[name] = Step(function, operands, constants, axes)
            self._axes[name] = axes
        return self._names[key]

    def _axes_of(self, operand: Operand) -> Axes:
        return self._axes.get(operand, ())


_JOINED = {"+": "add", "*": "multiply", "largest": "maximum"}
