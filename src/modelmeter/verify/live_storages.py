"""Watches which storages are alive while a forward runs: independent of every formula of the cost model.

A storage is alive from the moment in which it is reserved until the code lets go of the last tensor on it, as an
allocator sees it: what a variable still names, or a caller still holds, is alive although nothing reads it again. What
the forward is given is alive from its first use on. Parameters, buffers and the KV cache are no activations.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable
from functools import partial

import torch
from attrs import field, frozen
from torch import Tensor, nn

from modelmeter.metrics.cost import Elements
from modelmeter.verify.dispatch import Dispatched, DispatchFollower, storage_key
from modelmeter.verify.known_results import KnownResults
from modelmeter.verify.tensor_kinds import Cache, TensorKinds


@frozen(kw_only=True)
class WatchedOperator:
    """An operator, and the storages that are alive when it has run.

    Parameters
    ----------
    path, name
        The module whose forward called it, and its ATen name.
    alive
        Elements of all live storages by kind, what it reads and writes among them.
    """

    path: str
    name: str
    alive: Elements


def watch_storages(
    model: nn.Module,
    forward: Callable[[], object],
    *,
    cache: Cache = tuple,
    inputs: Iterable[Tensor] = (),
) -> tuple[WatchedOperator, ...]:
    """Run ``forward`` and return its operators in their order, each with the storages alive beside it.

    Parameters
    ----------
    model
        The module that ``forward`` calls, or one that contains it; module paths start here.
    forward
        Calls the model, on meta or on real tensors.
    cache
        The KV cache.
    inputs
        Tensors that the caller has made before, and holds to the end.

    Raises
    ------
    CountError
        When an operator is not known, or a module is not part of the model.
    """
    watcher = _Watcher(model, cache, inputs)
    with torch.inference_mode(), watcher.modules.watch_modules(), watcher:
        forward()
    return tuple(watcher.operators)


@frozen
class _Storage:
    """Elements of a storage, by kind, and what tells when it is gone."""

    elements: Elements
    reference: weakref.ref[torch.UntypedStorage] = field(eq=False)


class _Watcher(DispatchFollower):
    """Knows at every operator which storages are alive."""

    def __init__(self, model: nn.Module, cache: Cache, inputs: Iterable[Tensor]) -> None:
        super().__init__(model, KnownResults())
        self.operators: list[WatchedOperator] = []
        self._kinds = TensorKinds(model, cache)
        self._alive: dict[int, _Storage] = {}
        self._buffers = {storage_key(buffer) for buffer in model.buffers()}
        self.reserve(list(inputs))

    def reserve(self, outputs: list[Tensor]) -> None:
        """Note storages from now on, until they are gone."""
        for tensor in outputs:
            storage = tensor.untyped_storage()
            key = storage_key(tensor)
            if key in self._alive or key in self._buffers or self._kinds.is_state(tensor):
                continue
            elements = self._kinds.measure(tensor, storage.nbytes() // tensor.element_size())
            self._alive[key] = _Storage(elements, weakref.ref(storage, partial(self._forget, key)))

    def note(self, operator: Dispatched) -> None:
        """Note what is alive beside an operator."""
        for key in self._kinds.refresh() & self._alive.keys():
            del self._alive[key]  # what is handed to the cache is part of it from then on
        self.reserve([*operator.inputs, *operator.outputs])
        alive = Elements.total(storage.elements for storage in self._alive.values())
        self.operators.append(WatchedOperator(path=operator.path, name=operator.name, alive=alive))

    def _forget(self, key: int, reference: object) -> None:
        known = self._alive.get(key)
        if known is not None and known.reference is reference:
            del self._alive[key]
