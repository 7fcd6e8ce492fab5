"""Every operator of every module over arrays: what ``breakdown`` has for single sizes, in bits."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

from ._array_runtime import Engine, SizeLike, evaluate
from ._operations import Array
from ._plan import Overflow
from ._program import check_names, describe_routing, sizes_of
from ._refused import check_stage
from ._rows import list_operators
from ._runtime import is_fraction, show
from .breakdown import OPERATORS, STATES

__all__ = ["OperatorCost", "StateCost", "operators", "states"]


class OperatorCost(NamedTuple):
    """All calls of one operator of one module, over all the siblings that the path stands for."""

    path: str
    operator: str
    calls: Array
    tensor_core_flops: Array
    cuda_core_flops: Array
    io_bits: Array
    activation_bits: Array


class StateCost(NamedTuple):
    """What one module holds itself, over all the siblings that the path stands for."""

    path: str
    weight_bits: Array
    kv_cache_bits: Array


def operators(
    stage: str,
    *,
    expert_routing: str = "uniform",
    overflow: Overflow = "error",
    engine: Engine = "auto",
    **sizes: SizeLike,
) -> tuple[OperatorCost, ...]:
    """Return what each operator of a stage does; ``sizes`` are the arguments of that stage's own function.

    Raises
    ------
    TypeError, CostError, OverflowError
        As the function of the stage over arrays; or if there is no such stage, or a width is a fraction: rows are not
        rounded, and arrays hold integers.
    """
    rows = _evaluate("operators", _OPERATOR_ROWS, stage, sizes, expert_routing, overflow, engine)
    return tuple(OperatorCost._make(row) for row in rows)


def states(
    stage: str,
    *,
    expert_routing: str = "uniform",
    overflow: Overflow = "error",
    engine: Engine = "auto",
    **sizes: SizeLike,
) -> tuple[StateCost, ...]:
    """Return what each module holds itself in a stage; ``sizes`` are the arguments of that stage's own function.

    Raises
    ------
    TypeError, CostError, OverflowError
        As :func:`operators`.
    """
    rows = _evaluate("states", _STATE_ROWS, stage, sizes, expert_routing, overflow, engine)
    return tuple(StateCost._make(row) for row in rows)


def _evaluate(
    kind: str,
    keys: Mapping[str, Sequence[tuple[str, ...]]],
    stage: str,
    sizes: Mapping[str, SizeLike],
    expert_routing: str,
    overflow: Overflow,
    engine: Engine,
) -> list[tuple[Any, ...]]:
    check_stage(stage, keys)
    function = f"breakdown.{stage}_{kind}"
    known = sizes_of(function)
    check_names(f"{stage}_{kind}", sizes, known, describe_routing(function))
    for name, size in sizes.items():
        if isinstance(size, Fraction) and is_fraction(size):
            raise TypeError(f"{name} must be an integer here, not {show(size)}: the bits of rows are not rounded")
    given = {name: sizes.get(name, size.implied) for name, size in known.items()}
    values = evaluate(function, given, overflow, engine, expert_routing)
    width = len(values) // max(1, len(keys[stage]))
    return [(*key, *values[place * width : (place + 1) * width]) for place, key in enumerate(keys[stage])]


_OPERATOR_ROWS = {stage: list_operators(groups) for stage, groups in OPERATORS.items()}
_STATE_ROWS = {stage: [(path,) for path in paths] for stage, paths in STATES.items()}
