"""Costs of many points, one by one, to hold those of arrays against."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest

numpy = pytest.importorskip("numpy")


def scalar(costs: ModuleType, stage: str, sizes: dict[str, list[int]], **others: Any) -> list[tuple[int, ...]]:
    """Return the costs of all points, one by one."""
    (count,) = {len(values) for values in sizes.values()}
    return [
        tuple(getattr(costs, stage)(**{name: values[place] for name, values in sizes.items()}, **others))
        for place in range(count)
    ]


def points(found: Any) -> list[tuple[int, ...]]:
    """Return arrays of metrics as the costs of all points."""
    return [tuple(int(metric[place]) for metric in found) for place in range(len(found[0]))]
