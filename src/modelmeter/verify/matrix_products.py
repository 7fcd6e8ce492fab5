"""Counts the matrix products of any forward by module path, and refuses operators that nothing accounts for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import torch
from attrs import frozen
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode, flop_registry

from modelmeter.graph.module_graph import join_path
from modelmeter.support.errors import CountError
from modelmeter.verify.dispatch import is_listed
from modelmeter.verify.known_results import KnownResults
from modelmeter.verify.plain_mode import PlainDispatchMode

WITHOUT_PRODUCTS = frozenset({"_safe_softmax", "_unsafe_index", "argsort", "reshape", "tril"})
"""ATen operators of other implementations that are no matrix products, and that carry no tag which says so."""

TAGGED_WITHOUT_PRODUCTS = (torch.Tag.pointwise, torch.Tag.reduction)


class _Root(nn.Module):
    """Calls a function as the forward of a module, so that every path starts at one known name."""

    def __init__(self, model: nn.Module, run: Callable[[], object]) -> None:
        super().__init__()
        self.model = model
        self.run = run

    def forward(self) -> None:
        self.run()


@frozen(kw_only=True)
class MatrixProducts:
    """FLOPs of each module with all below it, by path, and how often each ATen operator ran."""

    by_path: Mapping[str, int]
    aten_calls: Mapping[str, int]


class _OperatorGuard(PlainDispatchMode):
    """Lets only operators pass that are counted, or are known to hold no matrix product."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: Counter[str] = Counter()
        self._known = KnownResults()

    def __torch_dispatch__(
        self, func: Any, types: object, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if not _is_accounted_for(func):
            raise CountError(
                "an operator that nothing accounts for", found=str(func),
                remedy="give FlopCounterMode a formula for it, or add it to modelmeter.verify.matrix_products",
            )  # fmt: skip
        self.calls[func._overloadpacket.__name__] += 1
        return func(*args, **(kwargs or {})) if func.is_view else self._known.run(func, args, kwargs or {})


def count_matrix_products(model: nn.Module, run: Callable[[], object]) -> MatrixProducts:
    """Run ``run`` under FlopCounterMode, and return what it counts.

    The model itself is at the empty path. ``run`` calls it, or modules in it.

    Raises
    ------
    CountError
        If an operator is neither counted nor known to hold no matrix product, or FLOPs are outside the model.
    """
    counter = FlopCounterMode(display=False)
    root = _Root(model, run)
    # FlopCounterMode knows the operators of attention's math path on every device. It decomposes what it does
    # not know, so the guard beneath it sees what is left.
    guard = _OperatorGuard()
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), guard, counter:
        root()
    counts = counter.get_flop_counts()
    by_path: dict[str, int] = {}
    # Children before their parents: a module that is not called, like a list, has what its children have.
    for path, module in reversed(list(root.named_modules())):
        counted = counts.get(join_path(type(root).__name__, path))
        children = (join_path(path, name) for name, _ in module.named_children())
        below = (by_path[child] for child in children if child in by_path)  # one that two modules hold has one path
        by_path[path] = sum(below) if counted is None else sum(counted.values())
    if bool(by_path["model"] != counter.get_total_flops()):
        raise CountError(
            "matrix products outside all modules", place=type(model).__name__, expected=counter.get_total_flops(),
            found=by_path["model"],
        )  # fmt: skip
    return MatrixProducts(
        by_path={path.removeprefix("model").removeprefix("."): flops for path, flops in by_path.items() if path},
        aten_calls=dict(guard.calls),
    )


@cache
def _is_accounted_for(func: Any) -> bool:
    name: str = func._overloadpacket.__name__
    return (
        func.namespace == "prim"  # a look at a tensor's device or layout
        or func._overloadpacket in flop_registry
        or func.is_view
        or any(tag in func.tags for tag in TAGGED_WITHOUT_PRODUCTS)
        or is_listed(name)
        or name in WITHOUT_PRODUCTS
    )
