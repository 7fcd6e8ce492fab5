"""Rules between two sizes, by how they are broken: as Python, and with the error that says so."""

from collections.abc import Callable
from typing import Any

from ._runtime import CostError, contradiction, no_multiple, not_zero_together, too_large

BROKEN = {
    "differs": "{} != {}",
    "differs_in_zero": "(({}) == 0) != (({}) == 0)",
    "exceeds": "{} > {}",
    "is_negative": "{} < {}",
    "leaves_rest": "({}) % ({}) != 0",
}
"""What holds where a rule is broken."""


def is_broken(broken: str, size: Any, limit: Any) -> Any:
    """Tell whether two numbers break a rule, or where the elements of arrays do."""
    return _CONDITIONS[broken](size, limit)


def broken_rule(broken: str, name: str, size: Any, limit_name: str, limit: Any) -> CostError:
    """Return the error of a rule that these numbers break."""
    return _ERRORS[broken](name, int(size), limit_name, int(limit))


def _negative(formula: str, *_: object) -> CostError:
    return CostError(f"the sizes make {formula} negative")


_CONDITIONS: dict[str, Callable[[Any, Any], Any]] = {
    "differs": lambda size, other: size != other,
    "differs_in_zero": lambda size, other: (size == 0) != (other == 0),
    "exceeds": lambda size, limit: size > limit,
    "is_negative": lambda value, zero: value < zero,
    "leaves_rest": lambda size, divisor: size % divisor != 0,
}

_ERRORS: dict[str, Callable[[str, int, str, int], CostError]] = {
    "differs": contradiction,
    "differs_in_zero": not_zero_together,
    "exceeds": too_large,
    "is_negative": _negative,
    "leaves_rest": no_multiple,
}
