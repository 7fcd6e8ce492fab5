"""Units of quantities: products and quotients of them, as texts."""

from __future__ import annotations

from collections import Counter
from typing import Final

_PLURALS: Final = {"FLOPs": "FLOP", "bytes": "byte", "tokens": "token", "pages": "page", "steps": "step"}
_SINGULARS: Final = {singular: plural for plural, singular in _PLURALS.items()}


def multiply_units(one: str, other: str) -> str:
    """Return the unit of a product."""
    return _write(_read(one), _read(other))


def divide_units(one: str, other: str) -> str:
    """Return the unit of a quotient; empty where nothing is left."""
    return _write(_read(one), Counter({unit: -times for unit, times in _read(other).items()}))


def _read(unit: str) -> Counter[str]:
    found: Counter[str] = Counter()
    above, _, below = unit.partition("/")
    for text, sign in ((above, 1), (below, -1)):
        for each in filter(None, text.split("·")):
            if each != "1":
                found[_PLURALS.get(each, each)] += sign
    return found


def _write(*parts: Counter[str]) -> str:
    powers: Counter[str] = Counter()
    for part in parts:
        for unit, times in part.items():
            powers[unit] += times
    ordered = sorted(powers.items())  # so that products commute
    above = [unit for unit, times in ordered for _ in range(times)]
    below = [unit for unit, times in ordered for _ in range(-times)]
    if not below:
        return _SINGULARS.get(above[0], above[0]) if len(above) == 1 else "·".join(above)
    return f"{'·'.join(above) or '1'}/{'·'.join(below)}"
