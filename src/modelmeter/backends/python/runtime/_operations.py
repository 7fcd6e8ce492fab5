"""The operations of a tape on NumPy arrays."""

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ._rules import broken_rule, is_broken
from ._runtime import routed_reads
from ._symbolic import enough_tokens
from ._tape import Check

Array: TypeAlias = NDArray[Any]

Function: TypeAlias = Callable[[Any, Any, Any], object]
"""Takes two operands, and writes into the third."""


def find_function(name: str, kind: type) -> Function:
    """Return the function of a step that gives ``kind``."""
    return (_FLOAT_FUNCTIONS if kind is np.float64 else _FUNCTIONS)[name]


def as_constant(value: int, kind: type) -> object:
    """Return an integer as an operand of a step that gives ``kind``."""
    if kind is np.float64:
        return np.array(float(value))
    # Sums and products are right modulo 2^64, whatever a factor is. NumPy takes an array faster than a scalar.
    return np.array((value + 2**63) % 2**64 - 2**63) if kind is np.int64 else value


@lru_cache
def table_of_reads(experts: int, per_token: int, fixed: int, growth: int, expert_routing: str) -> Array:
    """Return what 0, 1, 2 ... tokens read, less what all experts grow by, up to so many that more change nothing."""
    reads = [
        routed_reads(experts, per_token, tokens, fixed + growth * tokens, expert_routing) - experts * growth * tokens
        for tokens in range(enough_tokens(experts, per_token, fixed, growth) + 2)
    ]
    while len(reads) > 1 and reads[-2] == reads[-1]:
        reads.pop()
    return np.array(reads, dtype=object)


def enforce(check: Check, size: Any, limit: Any, _: object) -> None:
    """Raise an error if a rule is broken somewhere."""
    broken = np.asarray(is_broken(check.broken, size, limit))
    if broken.any():
        place = np.unravel_index(int(broken.argmax()), broken.shape)
        numbers = [np.broadcast_to(side, broken.shape)[place] for side in (size, limit)]
        raise broken_rule(check.broken, check.name, numbers[0], check.limit_name, numbers[1])


def _look_up(places: Array, table: Array, result: Array) -> None:
    if places.dtype != np.int64:
        places = np.minimum(places, len(table) - 1).astype(np.int64)
    np.take(table, places, out=result, mode="clip")


def _maximum(one: Array, other: Array, result: Array) -> None:
    np.maximum(one, other, out=result)


_FUNCTIONS: dict[str, Function] = {
    "add": np.add,
    "multiply": np.multiply,
    "floor_divide": np.floor_divide,
    "right_shift": np.right_shift,
    "maximum": _maximum,
    "differs": np.not_equal,
    "equals": np.equal,
    "exceeds": np.greater,
    "routed_reads": _look_up,
}

# Of int64 and a float, NumPy makes a float only at the end; here it has to be one before.
_FLOAT_FUNCTIONS: dict[str, Function] = {
    "add": partial(np.add, dtype=np.float64),
    "multiply": partial(np.multiply, dtype=np.float64),
    "floor_divide": partial(np.floor_divide, dtype=np.float64),
    "right_shift": lambda a, places, result: np.floor(a * 2.0**-places, out=result),
    "maximum": _maximum,
}
