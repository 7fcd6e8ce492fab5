"""Random calls of an evaluator package in Python, and the answers as plain numbers or refusals."""

from __future__ import annotations

import inspect
import random
from collections.abc import Callable, Iterator
from fractions import Fraction
from types import ModuleType
from typing import Any

from javascript_process import Refusal

FEW_EXPERTS = {"n_routed_experts": 300, "num_experts_per_tok": 40}
"""Sizes that stay small, since the powers behind expected reads would take minutes."""


def list_functions(costs: Any) -> Iterator[tuple[str, Callable[..., Any]]]:
    """Yield every evaluator on integers of a package, by the name that it has in each language."""
    for name in costs.__all__:
        found = getattr(costs, name)
        if isinstance(found, ModuleType) and name in ("layers", "general"):
            yield from ((f"{name}.{inner}", getattr(found, inner)) for inner in found.__all__)
        elif inspect.isfunction(found) and name not in ("freeze", "step"):
            yield name, found


def draw_sizes(function: Callable[..., Any], draw: random.Random) -> dict[str, Any]:
    """Return some arguments, most of them in range, many of them beyond what 53 bits hold."""
    known = inspect.signature(function).parameters
    chosen = draw.sample(sorted(known), k=min(len(known), draw.choice((1, 1, 2, 2, 3, 5))))
    return {name: _draw_size(name, known[name].default, draw) for name in chosen}


def _draw_size(name: str, default: Any, draw: random.Random) -> Any:
    if name == "expert_routing":
        return draw.choice(("even", "even", "uniform", "uniform", "odd", "it's", 'a "b"', "x" * 200))
    least = 1 if default is None else default
    usual = draw.choice((1, 2, least, least * draw.randint(1, 9), least + draw.randint(1, 2000), draw.randint(1, 3000)))
    size = draw.choice((usual, usual, usual, usual, int(10 ** (30 * draw.random())), draw.randint(0, 2), 0, -usual))
    if name in FEW_EXPERTS:
        return min(size, FEW_EXPERTS[name])
    if name.endswith("_bits") and draw.random() < 0.5:
        return Fraction(size, draw.randint(1, 12))
    return 10 ** draw.randint(300, 400) if draw.random() < 0.01 else size


def answer(costs: Any, function: Callable[..., Any], sizes: dict[str, Any]) -> Any:
    """Return what a function returns as plain numbers, or its refusal."""
    try:
        return _read(function(**sizes))
    except (costs.CostError, TypeError) as error:
        return Refusal(type(error).__name__, str(error))


def _read(value: Any) -> Any:
    return value if isinstance(value, int) else {name: _read(found) for name, found in value._asdict().items()}
