"""JSON into records, strictly: a value of another kind, a missing, an extra or a repeated key is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, cast, get_args, get_origin

from cattrs import ClassValidationError, Converter, transform_error
from cattrs.cols import list_structure_factory


def parse_object(text: str) -> dict[str, Any]:
    """Return the JSON object in ``text``.

    Raises
    ------
    ValueError
        If the text is not one JSON object, repeats a key, is nested too deeply, or holds an integer of more
        digits than Python reads.
    """
    try:
        value = json.loads(text, object_pairs_hook=_refuse_repeated_keys)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(value, dict):
        raise ValueError(f"a {type(value).__name__} instead of an object")
    return value


def make_converter() -> Converter:
    """Return a cattrs converter that takes values as they are.

    A plain one would turn ``"3"`` and 3.5 into 3, and a text into a tuple of its letters.
    """
    converter = Converter(forbid_extra_keys=True)

    def take(value: object, kind: type) -> Any:
        if type(value) is not kind:
            raise TypeError(f"expected {kind.__name__}")
        return value

    for kind in (int, str, bool):
        converter.register_structure_hook(kind, take)

    def structure_tuple(kind: Any, inner: Converter) -> Callable[[Any, Any], Any]:
        elements = cast(type, list[get_args(kind)[0]])  # type: ignore[misc]  # a type that is known at run time only
        structure_list = list_structure_factory(elements, inner)
        return lambda value, _: tuple(structure_list(take(value, list), elements))

    converter.register_structure_hook_factory(_is_tuple, structure_tuple)
    return converter


def first_problem(error: ClassValidationError) -> tuple[str, str]:
    """Return where the first wrong value is (``nodes[3].calls[0].run``), and what is wrong with it."""
    problem, _, place = transform_error(error)[0].rpartition(" @ $")
    return place.lstrip("."), problem


def _is_tuple(kind: Any) -> bool:
    return get_origin(kind) is tuple


def _refuse_repeated_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = dict(pairs)
    if len(keys) < len(pairs):
        raise ValueError("an object has the same key twice")
    return keys
