"""Values in a config: where they are, and what they may be. Whatever is wrong is an error that names the key."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Final

from modelmeter.support.errors import ArchitectureError

MAX_SIZE: Final = 2**24
"""Largest size that is accepted: a hundred times the largest vocabulary, and far from what torch can count."""

ABSENT: Final = object()
"""Stands for the value of a key that a config does not have."""

NOT_MODELLED: Final = "the layers do not model this"


def find(config: dict[str, Any], path: str) -> Any:
    """Return the value at a path of keys with dots between them, or ``ABSENT``.

    Raises
    ------
    ArchitectureError
        If something on the way is no JSON object.
    """
    value: Any = config
    seen: list[str] = []
    for key in path.split(".") if path else ():
        if not isinstance(value, dict):
            raise ArchitectureError("not a JSON object", place=".".join(seen), found=show(value))
        if key not in value:
            return ABSENT
        value = value[key]
        seen.append(key)
    return value


def find_section(config: dict[str, Any], path: str) -> dict[str, Any]:
    """Return the JSON object at a path; an empty one where there is none.

    Raises
    ------
    ArchitectureError
        If there is something else.
    """
    value = find(config, path)
    if value is ABSENT:
        return {}
    if not isinstance(value, dict):
        raise ArchitectureError("not a JSON object", place=path, found=show(value))
    return value


def join(section: str, key: str) -> str:
    """Return the path of a key in a section; the top level has no name."""
    return f"{section}.{key}" if section else key


def read_size(path: str, value: object, minimum: int, maximum: int = MAX_SIZE) -> int:
    """Return ``value`` if it is an integer in range, and raise ArchitectureError otherwise."""
    # type() and not isinstance(): true is an int to Python.
    if type(value) is not int or not minimum <= value <= maximum:
        expected = f"an integer from {minimum} to {maximum}"
        raise ArchitectureError("not a size", place=path, expected=expected, found=show(value))
    return value


def read_list(path: str, value: object) -> tuple[int, ...]:
    """Return ``value`` if it is a list of integers, and raise ArchitectureError otherwise."""
    if not isinstance(value, list):
        raise ArchitectureError("not a list of sizes", place=path, found=show(value))
    return tuple(read_size(f"{path}[{index}]", item, 0) for index, item in enumerate(value))


def read_side(path: str, value: object, minimum: int) -> int:
    """Return the side of a square, which may also be written as two equal ones."""
    if isinstance(value, list) and len(value) == 2 and value[0] == value[1]:
        return read_size(f"{path}[0]", value[0], minimum)
    return read_size(path, value, minimum)


def check_agrees(path: str, value: object, other_path: str, other: object) -> None:
    """Raise ArchitectureError where two keys that say the same differ."""
    if value != other:
        raise ArchitectureError(
            "two sizes contradict each other", place=path, expected=f"{other_path} = {other}", found=value
        )


def is_one_of(value: object, allowed: Iterable[object]) -> bool:
    """Tell whether a value is among others. Types are compared too: 1 is not true, and 1.0 is not 1."""
    return any(type(value) is type(choice) and value == choice for choice in allowed)


def refuse(path: str, value: object, reason: str, *, expected: str | None = None) -> ArchitectureError:
    """Return the error that refuses the value of a key: it changes a cost, and the layers do not model how."""
    return ArchitectureError(f"{NOT_MODELLED}: {reason}", place=path, expected=expected, found=show(value))


def show_choices(allowed: Iterable[object]) -> str:
    """Return the allowed values for a message."""
    return " or ".join(show(choice) for choice in allowed if choice is not ABSENT)


def show(value: object) -> str:
    """Return ``value`` for a message: in JSON's words, and without what may be long or deep."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list) and not all(isinstance(item, str) for item in value):
        return f"a list of {len(value)}"
    if type(value) is int and value.bit_length() > 64:
        return f"an integer of {value.bit_length()} bits"
    return json.dumps(value)
