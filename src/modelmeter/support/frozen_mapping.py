"""Mappings that records keep: nobody can change them later."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any


def freeze_mapping(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a copy of a mapping that cannot be changed: the converter of a field of a record."""
    return MappingProxyType(dict(values))
