"""The walk over live storages of a function, which a tiny net calls."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from nets import meta
from torch import Tensor, nn

from modelmeter.metrics.cost import Elements
from modelmeter.verify.live_storages import WatchedOperator, watch_storages


class Apply(nn.Module):
    """Calls ``function`` with itself."""

    def __init__(self, function: Callable[..., object]) -> None:
        super().__init__()
        self.function = function
        self.widen = nn.Linear(3, 11, device="meta")
        self.narrow = nn.Linear(11, 3, device="meta")
        self.row = nn.Parameter(meta(3))
        self.register_buffer("column", meta(5, 1))

    def forward(self, *inputs: Tensor) -> object:
        return self.function(self, *inputs)


def walk(function: Callable[..., object], *inputs: Tensor, cache: Iterable[Tensor] = ()) -> tuple[WatchedOperator, ...]:
    model = Apply(function)
    return watch_storages(model, lambda: model(*inputs), cache=lambda: cache)


def watch(function: Callable[..., object], *inputs: Tensor, cache: Iterable[Tensor] = ()) -> list[tuple[str, int]]:
    """Return the name of each operator, and the activations alive when it has run, which must be all that is."""
    seen = walk(function, *inputs, cache=cache)
    assert all(live.alive == Elements(activation=live.alive.activation) for live in seen)
    return [(live.name, live.alive.activation) for live in seen]
