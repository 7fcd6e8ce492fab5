"""Storage widths that are fractions: weights that are quantised in groups take 5.5 bits each, scales included."""

from collections.abc import Callable
from fractions import Fraction
from math import ceil
from typing import Any, TypeVar

from ._runtime import Cost, check_bits, needs_rounding

Result = TypeVar("Result")


class KnownBits(Fraction):
    """A width that was checked, whose results are rounded up by who made it."""

    is_known = True


def round_up(function: Callable[..., Result], sizes: dict[str, Any]) -> Result:
    """Return what ``function`` returns, whole bytes rounded up from exact fractions; rows keep their fractions."""
    widths = {
        name: KnownBits(check_bits(name, size, 1))
        for name, size in sizes.items()
        if name.endswith("_bits") and needs_rounding(size)
    }
    rounded: Result = _round(function(**{**sizes, **widths}))
    return rounded


def _round(result: Any) -> Any:
    if isinstance(result, Cost):
        return Cost(map(ceil, result))
    if type(result) is tuple:  # rows of a breakdown
        return tuple(row._make(map(_reduce, row)) for row in result)
    if isinstance(result, tuple):  # the costs of all stages
        return type(result)(map(_round, result))
    return ceil(result)


def _reduce(value: Any) -> Any:
    """Return a fraction that is whole as the integer that it is."""
    return value.numerator if isinstance(value, Fraction) and value.denominator == 1 else value
