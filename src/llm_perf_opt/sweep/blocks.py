"""A sweep: a stage over the grid of its axes, and the costs of any part of it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from operator import index
from typing import Any, Final, TypeAlias

import numpy as np
from attrs import field, frozen
from numpy.typing import NDArray

from llm_perf_opt.arguments import ROUTING, Argument, check_name, fill_arguments
from llm_perf_opt.evaluators import (
    FUSED_IO,
    PEAK,
    find_defaults,
    list_stages,
    list_whole,
    load_costs,
    take_arguments,
)
from llm_perf_opt.sweep.axes import Axis
from llm_perf_opt.sweep.divisors import DIVIDES, DIVIDES_EVENLY, check_divisors
from modelmeter.metrics.metric import METRICS
from modelmeter.model.refusals import refuse_stage_of
from modelmeter.model.registry import DEFAULT
from modelmeter.support.errors import WorkloadError
from modelmeter.support.suggestions import unknown_name

_BESIDE: Final = (PEAK, FUSED_IO)
"""What stages have beside their cost: each has an evaluator of its own."""

BLOCK_SIZE: Final = 2**17
"""Points that are computed at once, by default. More take more memory and are no faster."""

Block: TypeAlias = dict[str, NDArray[Any]]
"""The columns of consecutive points: the value on every axis, then the metrics."""


def _as_scalars(arguments: Mapping[str, Argument]) -> dict[str, Argument]:
    """Refuse arrays, which the evaluators would pair with the points."""
    return {name: value if isinstance(value, Argument) else index(value) for name, value in arguments.items()}


def list_arguments(
    stage: str, metrics: Iterable[str] = METRICS, *, model: str = DEFAULT
) -> dict[str, int | str | None]:
    """Return what the metrics of a stage take, and the defaults; None where a size need not be given.

    Raises
    ------
    UnknownNameError
        If there is no such stage, or it has no such metric.
    """
    costs = load_costs(model)
    if stage not in list_whole(model):
        refuse_stage_of(model, stage)
        raise unknown_name("stage", stage, list_whole(model))
    _check_names("metric", metrics, [*METRICS, *(_BESIDE if stage in list_stages(model) else ())])
    functions = (getattr(costs, function) for function in _list_functions(stage, metrics))
    return {name: default for function in functions for name, default in find_defaults(function).items()}


def list_sizes(stage: str, metrics: Iterable[str] = METRICS, *, model: str = DEFAULT) -> list[str]:
    """Return the sizes that the metrics of a stage take; errors are those of :func:`list_arguments`."""
    return [name for name in list_arguments(stage, metrics, model=model) if name != ROUTING]


def _list_functions(stage: str, metrics: Iterable[str]) -> list[str]:
    """Return the names of the evaluators of some metrics of a stage."""
    beside = [f"{stage}_{metric}" for metric in _BESIDE if metric in metrics]
    return [*beside, *([stage] if {*metrics}.difference(_BESIDE) else [])]


@frozen(kw_only=True)
class Sweep:
    """A stage over the outer product of axes. The points are in order: the last axis varies fastest.

    Parameters
    ----------
    stage
        A stage of the model, ``request``, or ``training_step``.
    axes
        The sizes that vary.
    fixed
        The arguments that do not, where they are not the default.
    metrics
        What is computed: the metrics of a cost, as by default, ``fused_io_bytes`` or ``peak_activation_bytes``. The
        sizes that a peak or a cost does not have make no difference to it.
    overflow
        What happens where a cost may not fit into int64, somewhere on the grid: ``"error"``; ``"float64"`` for columns
        of float64, whose last digits may depend on the blocks; ``"exact"`` for columns of Python integers.

    model
        The name of a registered model.

    Raises
    ------
    UnknownNameError
        If the model, the stage, a size or a metric does not exist.
    WorkloadError
        If a name is given twice, a size is out of range, sizes contradict each other somewhere on the grid, or a cost
        may not fit into int64.
    """

    stage: str
    axes: tuple[Axis, ...]
    fixed: Mapping[str, Argument] = field(factory=dict, converter=_as_scalars)
    metrics: tuple[str, ...] = METRICS
    overflow: str = "error"
    model: str = DEFAULT
    largest: Mapping[str, int | float] = field(init=False, eq=False)
    """What no value of a metric exceeds."""

    def __attrs_post_init__(self) -> None:
        """Check the names, then the whole grid by its corners, so that what is wrong is found at the start."""
        parameters = list_arguments(self.stage, self.metrics, model=self.model)
        sizes = list_sizes(self.stage, self.metrics, model=self.model)
        _check_names(f"size of {self.stage}", [axis.name for axis in self.axes], sizes)
        _check_names(f"argument of {self.stage}", [*self.fixed, *(axis.name for axis in self.axes)], parameters)
        if self.num_points >= 2**63:
            raise WorkloadError("the grid has more points than anyone can count", found=self.num_points)
        for size, relation, other in load_costs(self.model).RULES:
            if relation in (DIVIDES, DIVIDES_EVENLY) and isinstance(size, str):
                divisors, multiples = (self._ranges_of(name, parameters) for name in (size, other))
                check_divisors(size, divisors, other, multiples, 1 if relation == DIVIDES else 2)
        # All other limits between sizes grow with every size: where all corners are in order, every point is.
        bounds = np.ix_(*(np.array(axis.bounds) for axis in self.axes))
        corners = _evaluate(self, dict(zip((axis.name for axis in self.axes), bounds, strict=True)))
        # Costs do not: a view whose windows are full costs less than a smaller one.
        ends: dict[str, Any] = {axis.name: list(axis.bounds) for axis in self.axes}
        largest: dict[str, int | float] = {}
        for metric in self.metrics:
            given = self._arguments_of(f"{self.stage}_{metric}" if metric in _BESIDE else self.stage, ends)
            high = _bound(self, metric, given)
            largest[metric] = float(high) if corners[metric].dtype == np.float64 else high
        # This is how attrs sets a field of a frozen class.
        object.__setattr__(self, "largest", largest)

    @classmethod
    def over(
        cls,
        stage: str,
        axes: Mapping[str, Iterable[int]],
        *,
        fixed: Mapping[str, Argument] | None = None,
        metrics: Iterable[str] = METRICS,
        overflow: str = "error",
        model: str = DEFAULT,
    ) -> Sweep:
        """Return the sweep over ranges or other integers by the name of their size; see the class."""
        return cls(
            stage=stage,
            axes=tuple(Axis.of(name, values) for name, values in axes.items()),
            fixed=fixed or {},
            metrics=tuple(metrics),
            overflow=overflow,
            model=model,
        )

    @property
    def held(self) -> dict[str, Argument]:
        """The arguments that do not vary, defaults among them; what follows from others is not one."""
        varying = {axis.name: 0 for axis in self.axes}
        known = fill_arguments(
            list_arguments(self.stage, self.metrics, model=self.model),
            {**self.fixed, **varying},
            load_costs(self.model).DIMENSIONS,
        )
        return {name: value for name, value in known.items() if name not in varying}

    def _arguments_of(self, function: str, sizes: Mapping[str, Any]) -> dict[str, Any]:
        """Return what an evaluator takes of the ``sizes``, and of the arguments that are fixed."""
        return take_arguments(getattr(load_costs(self.model), function), {**self.fixed, **sizes})

    def _ranges_of(self, name: str, defaults: Mapping[str, int | str | None]) -> tuple[range, ...]:
        """Return the values of a size, whether it varies or not; none if the stage does not have it."""
        for axis in self.axes:
            if axis.name == name:
                return axis.ranges
        value = self.fixed.get(name, defaults.get(name))
        return (range(value, value + 1),) if isinstance(value, int) else ()

    @property
    def num_points(self) -> int:
        """The number of points of the grid."""
        return math.prod(axis.length for axis in self.axes)


def compute_block(sweep: Sweep, points: range) -> Block:
    """Return consecutive points of a sweep, as columns of that length.

    It depends on nothing else, so blocks may be computed anywhere and in any order.

    Raises
    ------
    WorkloadError
        If the costs cannot be computed.
    """
    places = np.arange(points.start, points.stop, dtype=np.int64)  # on the grid of this axis and those before it
    columns: Block = {}
    sizes: dict[str, Any] = {}
    for axis in reversed(sweep.axes):
        before, along = np.divmod(places, axis.length)
        values = columns[axis.name] = axis.take(along)
        # What follows from sizes with one value is computed once.
        sizes[axis.name] = values[:1] if places[0] == places[-1] else values
        places = before
    metrics = _evaluate(sweep, sizes)
    block = {axis.name: columns[axis.name] for axis in sweep.axes}
    for metric in sweep.metrics:
        column = np.broadcast_to(metrics[metric], len(points))
        block[metric] = np.ascontiguousarray(column, dtype=_type_of(sweep.largest[metric]))
    return block


def split(sweep: Sweep, block_size: int = BLOCK_SIZE) -> Iterator[range]:
    """Yield the points of each block, of ``block_size`` but for the last, in order."""
    points = range(sweep.num_points)
    for start in points[::block_size]:
        yield points[start : start + block_size]


def compute_blocks(sweep: Sweep, block_size: int = BLOCK_SIZE) -> Iterator[Block]:
    """Yield the blocks of a sweep in order, one at a time."""
    for points in split(sweep, block_size):
        yield compute_block(sweep, points)


def _evaluate(sweep: Sweep, sizes: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    """Return the metrics of a sweep, and others, for some sizes."""
    metrics: dict[str, NDArray[Any]] = {}
    costs = load_costs(sweep.model)
    try:
        for function in _list_functions(sweep.stage, sweep.metrics):
            arguments = sweep._arguments_of(function, sizes)
            found = getattr(costs.arrays, function)(**arguments, overflow=sweep.overflow)
            metric = function.removeprefix(f"{sweep.stage}_")
            metrics |= found._asdict() if function == sweep.stage else {metric: found}
        return metrics
    except costs.CostError as error:
        raise WorkloadError(str(error), place=sweep.stage) from None
    except OverflowError as error:
        raise WorkloadError(str(error), place=sweep.stage, remedy="choose float64 or exact for overflow") from None


def _bound(sweep: Sweep, metric: str, sizes: Mapping[str, Any]) -> int:
    costs = load_costs(sweep.model)
    try:
        bound: int = costs.arrays.bound(sweep.stage, metric=metric, **sizes)
    except costs.CostError as error:
        raise WorkloadError(str(error), place=sweep.stage) from None
    return bound


def _type_of(largest: int | float) -> type:
    """Return the type of a column, whatever that of a block of it would be."""
    if isinstance(largest, float):
        return np.float64
    return np.int64 if largest < 2**63 else object


def _check_names(kind: str, names: Iterable[str], known: Iterable[str]) -> None:
    known = list(known)
    for name, count in Counter(names).items():
        check_name(kind, name, known)
        if count > 1:
            raise WorkloadError("this is given twice", place=name)
