"""The checks of arguments that are not plain integers in range, such as storage widths that are fractions.

Weights that are quantised in groups take 5.5 bits each, scales included.
"""

from collections.abc import Callable, Mapping
from fractions import Fraction
from math import ceil
from typing import Any, TypeVar

from ._runtime import Cost, check_bits, check_size, is_fraction

Result = TypeVar("Result")


class KnownBits(Fraction):
    """A width that was checked, whose results are rounded up by who made it."""

    is_known = True


def check_again(function: Callable[..., Result], sizes: dict[str, Any], minima: Mapping[str, int]) -> Result | None:
    """Return what a function returns for sizes that were checked; None where they are right as they are."""
    defaults: dict[str, Any] = function.__kwdefaults__ or {}
    checked = dict(sizes)
    widths = [name for name in defaults if name.endswith("_bits")]
    for name, default in defaults.items():
        is_open = default is None and (sizes[name] is None or name not in minima)  # it follows from others
        if not (is_open or name in widths or name == "expert_routing"):
            checked[name] = check_size(name, sizes[name], minima.get(name, 1))
    if any(map(needs_rounding, (sizes[name] for name in widths))):
        return round_up(function, checked)
    for name in widths:
        checked[name] = check_bits(name, sizes[name], minima.get(name, 1))
    if all(checked[name] is sizes[name] for name in defaults):
        return None
    return function(**checked)


def needs_rounding(value: object) -> bool:
    """Tell whether a value is a fraction that :func:`round_up` does not know of."""
    return is_fraction(value) and not hasattr(value, "is_known")


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
