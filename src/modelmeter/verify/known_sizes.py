"""Keeps what comes of two symbolic sizes: torch works out the same few sums and products thousands of times."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Final
from unittest.mock import patch

from torch.fx.experimental.sym_node import SymNode

Operate = Callable[[SymNode, SymNode], SymNode]

_OPERATIONS: Final = (
    "add", "sub", "mul", "int_floordiv", "mod", "eq", "ne", "lt", "le", "gt", "ge", "sym_max", "sym_min", "and_", "or_",
)  # fmt: skip
"""How torch calls them, less the underscore in front."""


@contextmanager
def known_sizes() -> Iterator[None]:
    """Let torch do each operation once for the same two formulas while the context is open, of one environment."""
    with ExitStack() as patches:
        for name in _OPERATIONS:
            patches.enter_context(patch.object(SymNode, f"_{name}", _do_once(getattr(SymNode, f"_{name}"))))
        yield


def _do_once(operate: Operate) -> Operate:
    known: dict[object, SymNode] = {}

    def operate_once(one: SymNode, other: SymNode) -> SymNode:
        key = one._expr, other._expr, one.pytype, other.pytype  # as they were made, which is known without a search
        found = known.get(key)
        if found is None:
            found = known[key] = operate(one, other)
        return found

    return operate_once
