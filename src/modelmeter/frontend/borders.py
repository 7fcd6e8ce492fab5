"""Traces within as many positions as the code of a model has room for.

Beyond them the code fails, or does something else. That shows in a trace: its example of a long prompt fails, or torch
keeps a guard on the number of positions. Then the trace is made again for as many positions as there is room for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

import sympy
from sympy.core.relational import Relational

from modelmeter.support.errors import CountError
from modelmeter.verify.guards import GuardError

Traced = TypeVar("Traced")

_KEYS: Final = ("max_position_embeddings", "max_seq_len", "n_positions", "max_sequence_length")
"""What configs call the number of positions."""

_LEAST: Final = 80
"""The examples of a trace are below it."""

_MOST_TRIES: Final = 3


def trace_within(
    config: Any, keys: Mapping[sympy.Symbol, int], trace: Callable[[int | None], Traced]
) -> tuple[int | None, Traced]:
    """Call ``trace`` with the number of positions that it is to keep to, and return that with what it returns.

    Parameters
    ----------
    config
        The config of the model.
    keys
        By symbol of a number of positions, how many keys more the last position sees.
    trace
        Traces all stages; None stands for any number of positions.

    Raises
    ------
    CountError
        If a trace is refused for anything but the number of positions.
    """
    longest: int | None = None
    for _ in range(_MOST_TRIES):
        try:
            return longest, trace(longest)
        except CountError as error:
            narrower = _narrow(error, config, keys)
            if narrower is None or narrower < _LEAST or (longest is not None and narrower >= longest):
                raise
            longest = narrower
    return longest, trace(longest)


def _narrow(error: CountError, config: Any, keys: Mapping[sympy.Symbol, int]) -> int | None:
    """Return for how many positions a trace may succeed that failed with this error; None if they are not at fault."""
    if isinstance(error, GuardError):
        return _find_last(error.condition, keys)
    if not isinstance(error.__cause__, RuntimeError | IndexError):
        return None
    text = config.get_text_config()
    found = [getattr(text, key, None) for key in _KEYS]
    return next((size for size in found if type(size) is int), None)


def _find_last(condition: sympy.Basic, keys: Mapping[sympy.Symbol, int]) -> int | None:
    """Return the keys at the last number of positions before a comparison that is linear in it changes."""
    if not isinstance(condition, Relational) or isinstance(condition, sympy.Eq | sympy.Ne):
        return None
    if len(condition.free_symbols) != 1 or not condition.free_symbols <= keys.keys():
        return None
    (symbol,) = condition.free_symbols
    difference = sympy.expand(condition.lhs - condition.rhs)
    if not difference.is_polynomial(symbol) or sympy.degree(difference, symbol) != 1:
        return None
    slope, constant = difference.coeff(symbol), difference.coeff(symbol, 0)
    near = int(sympy.floor(-constant / slope))
    before = (condition.xreplace({symbol: sympy.Integer(size)}) for size in (near - 1, near, near + 1))
    first, middle, last = before
    if first == last:
        return None
    return (near - 1 if first != middle else near) + keys[symbol]
