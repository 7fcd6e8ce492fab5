"""What the evaluators over arrays share: conversion of sizes, and the choice of integers that hold the results."""

from collections import Counter
from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import partial
from math import prod
from types import FunctionType
from typing import Any, Literal, NamedTuple, NoReturn, ParamSpec, TypeAlias, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._ahead import run_ahead
from ._blocks import join_ranges, ranges_of
from ._bounds import check_agreement
from ._operations import Array
from ._plan import Known, Overflow, make_plan, trace_bounded
from ._polynomials import Range
from ._program import check_names, describe_routing, find_formulas, sizes_of
from ._runtime import Cost as IntegerCost
from ._runtime import CostError, check_routing, check_size, explain_minimum, refuse_sum, show
from ._sizes import Size
from ._tape import INT64_MAX, Axes

SizeLike: TypeAlias = ArrayLike | Fraction
"""A size or many of them; a fraction is one that is known, of a storage width."""

Engine: TypeAlias = Literal["auto", "numpy", "fused"]
"""What computes: blocks of NumPy, or a loop that numba compiles; by default what is faster."""

Sizes = ParamSpec("Sizes")

SHORT = 256
"""Below this length an axis is too short to be the last one in memory."""

FLOAT64_RELATIVE_ERROR = 2.0**-45
"""The largest error of a result in float64, as a share of it: fewer than 2^8 roundings, each of at most 2^-53."""


class Cost(NamedTuple):
    """The six metrics as arrays: FLOPs are counts, the others bytes."""

    tensor_core_flops: NDArray[Any]
    cuda_core_flops: NDArray[Any]
    io_bytes: NDArray[Any]
    weight_bytes: NDArray[Any]
    activation_bytes: NDArray[Any]
    kv_cache_bytes: NDArray[Any]

    def as_dict(self) -> dict[str, NDArray[Any]]:
        """Return the metrics by name."""
        return self._asdict()

    def __add__(self, other: object) -> NoReturn:
        refuse_sum(self, other)

    def __mul__(self, other: object) -> NoReturn:
        refuse_sum(self, other)

    def __rmul__(self, other: object) -> NoReturn:
        refuse_sum(self, other)


def as_size(name: str, value: SizeLike | None, size: Size) -> Array | int | None:
    """Return a size as an int or an array of integers; what is not given, and need not be, stays None."""
    if value is None and size.implied is None:
        return None
    if value is None or isinstance(value, int | Fraction):
        return size.check(name, value)
    # An array without the mask would be of numbers that are not meant; to ask numpy.ma is to import it.
    if isinstance(value, np.ndarray) and hasattr(value, "mask") and value.mask.any():
        raise TypeError(f"{name} must hold integers everywhere, and some elements are masked")
    # In a list, NumPy would take true for 1, and round what does not fit.
    array = np.asarray(value, dtype=object) if isinstance(value, list | tuple) else np.asarray(value)
    if array.dtype == object:
        sizes = [check_size(name, item, size.minimum) for item in array.flat]
        kind = np.int64 if max(sizes, default=0) <= INT64_MAX else object
        array = np.array(sizes, dtype=kind).reshape(array.shape)
    elif array.dtype.kind not in "iu":
        raise TypeError(f"{name} must hold integers, not {array.dtype}")
    if array.ndim == 0:
        return size.check(name, array.item())
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def split_sizes(function: str, given: Mapping[str, SizeLike | None]) -> tuple[dict[str, Array], Known]:
    """Return the sizes of a function that are arrays, and those that are known beforehand."""
    known = sizes_of(function)
    sizes = {name: as_size(name, value, known[name]) for name, value in given.items()}
    arrays = {name: size for name, size in sizes.items() if isinstance(size, np.ndarray)}
    return arrays, tuple((name, size) for name, size in sizes.items() if not isinstance(size, np.ndarray))


def range_of_size(name: str, array: Array, minimum: int) -> Range:
    """Return the smallest and the largest value of an array that is not empty, checked."""
    low, high = join_ranges(ranges_of(array))
    if low < minimum:
        raise CostError(f"{name} must be at least {minimum}, not {show(low)}{explain_minimum(minimum)}")
    return low, high


@overload
def bound(stage: str, *, metric: None = None, expert_routing: str = "uniform", **sizes: SizeLike) -> IntegerCost: ...
@overload
def bound(stage: str, *, metric: str, expert_routing: str = "uniform", **sizes: SizeLike) -> int: ...
def bound(
    stage: str, *, metric: str | None = None, expert_routing: str = "uniform", **sizes: SizeLike
) -> IntegerCost | int:
    """Return what no metric of a stage exceeds, however the sizes are combined.

    Not every metric grows with every size: padding falls away at the sizes that fill whole blocks.

    Parameters
    ----------
    stage
        A stage, or ``"request"``.
    metric
        The only metric that is wanted, ``"fused_io_bytes"`` or ``"peak_activation_bytes"`` among them.
    expert_routing
        As in the functions of the stages.
    **sizes
        Sizes of the stage. Of an array, a column or a list, all sizes between its smallest and its largest are meant.
        Other sizes have their defaults.

    Returns
    -------
    Cost or int
        Integers. The metrics themselves may be smaller everywhere.

    Raises
    ------
    TypeError
        If a size is not an integer, or not a size of the stage.
    CostError
        If a size is out of range or empty, or sizes contradict each other, or there is no such stage or metric.
    """
    function, wanted = find_formulas(stage, metric)
    check_routing(expert_routing)
    parameters = sizes_of(function)
    check_names(stage, sizes, parameters, describe_routing(function))
    arrays, known = split_sizes(function, {name: sizes.get(name, size.implied) for name, size in parameters.items()})
    for name, array in arrays.items():
        if array.size == 0:
            raise CostError(f"{name} has no elements")
    formulas, find_bounds = trace_bounded(function, known, expert_routing)
    ranges = {name: range_of_size(name, array, parameters[name].minimum) for name, array in arrays.items()}
    check_agreement(formulas.space, ranges)
    highest = find_bounds(ranges).metrics[wanted]
    return IntegerCost(highest) if metric is None else highest[0]


def evaluate(
    function: str, given: Mapping[str, SizeLike | None], overflow: Overflow, engine: Engine, expert_routing: str
) -> list[Array]:
    """Return what a function of formulas returns, over arrays.

    Raises
    ------
    TypeError, CostError, OverflowError
        As the functions that people call.
    """
    if overflow not in ("error", "float64", "exact"):
        raise CostError(f'overflow must be "error", "float64" or "exact", not {show(overflow)}')
    if engine not in ("auto", "numpy", "fused"):
        raise CostError(f'engine must be "auto", "numpy" or "fused", not {show(engine)}')
    check_routing(expert_routing)
    minima = {name: size.minimum for name, size in sizes_of(function).items()}
    arrays, known = split_sizes(function, given)
    shape = shape_of(arrays)
    formulas, bound = trace_bounded(function, known, expert_routing)
    if 0 in shape:
        return [*np.empty((len(formulas.metrics), *shape), dtype=np.int64)]
    is_flat = all(array.shape == shape for array in arrays.values())
    order = tuple(range(len(shape))) if is_flat else _order_axes(shape)
    laid = (prod(shape),) if is_flat else tuple(shape[axis] for axis in order)
    arrays = {
        name: array.reshape(laid) if is_flat else _lay(array, len(shape)).transpose(order)
        for name, array in arrays.items()
    }
    axes = tuple((name, _axes_of(array)) for name, array in arrays.items())
    lengths = () if is_flat else laid
    plan_of = partial(make_plan, function, known, expert_routing, axes, lengths)
    # A divisor that was not looked at may be 0.
    is_ahead = is_flat and arrays and not formulas.space.divides
    metrics = run_ahead(plan_of, bound, arrays, minima, engine) if is_ahead else None
    if metrics is None:
        ranges = {name: range_of_size(name, array, minima[name]) for name, array in arrays.items()}
        bounds = bound(ranges)
        metrics = plan_of(bounds.fixed).run(arrays, laid, ranges, overflow, bounds.largest)
    uses = Counter(map(id, metrics))
    for metric in metrics:
        if uses[id(metric)] > 1:  # who changed one would change the other
            metric.flags.writeable = False
    return [_unfold(metric, shape, laid, order) for metric in metrics]


def evaluate_arguments(function: str, arguments: dict[str, Any]) -> list[Array]:
    """Return what a function of formulas returns, over arrays, from all arguments of the function that people call."""
    overflow, engine = arguments.pop("overflow"), arguments.pop("engine")
    expert_routing = arguments.pop("expert_routing", "uniform")
    return evaluate(function, arguments, overflow, engine, expert_routing)


def like_cost(function: Callable[Sizes, object], name: str, doc: str) -> Callable[Sizes, Cost]:
    """Return the function of a cost of the same sizes as another one."""
    like: Callable[Sizes, Cost] = _make_like(function, name, doc, Cost)
    return like


def like_metric(function: Callable[Sizes, object], stage: str, metric: str) -> Callable[Sizes, Array]:
    """Return the function of one metric of a stage, of the same sizes as another function."""
    doc = f"Return ``{metric}`` of ``{stage}`` with the same arguments."
    like: Callable[Sizes, Array] = _make_like(function, f"{stage}_{metric}", doc, lambda *metrics: metrics[0])
    return like


def _make_like(function: Any, name: str, doc: str, convert: Callable[..., Any]) -> Any:
    """Return a function with the code of another one, which returns a cost or a metric, and other formulas in it."""
    names = {
        "evaluate_arguments": lambda _, arguments: evaluate_arguments(name, arguments),
        "Cost": convert,
        "__name__": function.__module__,
    }
    like = FunctionType(function.__code__.replace(co_name=name, co_qualname=name), names, name)
    like.__kwdefaults__, like.__doc__ = function.__kwdefaults__, doc
    like.__annotations__ = {**function.__annotations__, "return": Cost if convert is Cost else Array}
    return like


def _order_axes(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the axes in the order in which they lie in memory: NumPy is slow where the last one is short."""
    axes = range(len(shape))
    return tuple(axes) if shape[-1] >= SHORT else tuple(sorted(axes, key=lambda axis: shape[axis]))


def _unfold(metric: Array, shape: tuple[int, ...], laid: tuple[int, ...], order: tuple[int, ...]) -> Array:
    """Return a metric in the shape of the result."""
    if metric.shape == shape == laid:
        return metric
    if metric.ndim == 0:
        return np.broadcast_to(metric, shape)
    if len(laid) < len(shape):
        return metric.reshape(shape)
    return np.broadcast_to(metric, laid).transpose(np.argsort(order))


def _lay(array: Array, dimensions: int) -> Array:
    """Return an array with as many axes as the result has."""
    return array.reshape((1,) * (dimensions - array.ndim) + array.shape)


def _axes_of(array: Array) -> Axes:
    """Return the axes along which an array has several elements."""
    return tuple(axis for axis, length in enumerate(array.shape) if length > 1)


def shape_of(arrays: Mapping[str, Array]) -> tuple[int, ...]:
    """Return the shape that all arrays broadcast to."""
    try:
        return np.broadcast_shapes(*(array.shape for array in arrays.values()))
    except ValueError:
        shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
        raise CostError(f"the shapes of the sizes do not broadcast: {shapes}") from None
