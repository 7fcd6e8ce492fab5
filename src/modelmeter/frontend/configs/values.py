"""What a config has for a key, also where layers have values of their own."""

from __future__ import annotations

from typing import Any


def find_value(config: Any, key: str) -> Any:
    """Return what a config has for a key; None where it has nothing.

    Where layers differ in it, transformers raises, and this is what holds for those that say nothing of their own.
    """
    try:
        return getattr(config, key, None)
    except RuntimeError:  # the class that says so is one of later versions of transformers
        return vars(config).get(type(config).attribute_map.get(key, key))
