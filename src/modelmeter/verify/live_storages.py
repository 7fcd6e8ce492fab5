"""Watches which storages are alive while a forward runs: independent of every formula of the cost model.

Hooks and a torch-function mode see the operators (leaf modules, functions) in their order, and the storages that
each one reads and writes. A storage is alive from the first operator that touches it to the last, so what the
forward was given counts from its first read on, and what it returns to the end. Parameters, the KV cache and
integers are no activations. A layout change or a cast only gives its input another form: where torch copies for
it, the copy is the same storage here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import torch
from attrs import define, frozen
from torch import Tensor, nn

from modelmeter.errors import CountError
from modelmeter.verify.aten import storage_key, tensors_in
from modelmeter.verify.module_calls import ModuleFollower
from modelmeter.verify.operators import FREE_FUNCTIONS, FRESH_MEMORY, FUNCTIONAL_OPERATORS, name_function


@frozen(kw_only=True)
class LiveOperator:
    """An operator, and the activations that are alive while it runs.

    Parameters
    ----------
    path, name
        The module whose forward called it (a leaf module is an operator at its own path), and what it is called.
    elements
        Elements of all live storages, what it reads and writes among them.
    """

    path: str
    name: str
    elements: int


@define
class _Storage:
    """Elements of a storage, and the places of the first and of the last operator that touches it, if one does."""

    elements: int
    first: int | None = None
    last: int | None = None

    def is_alive(self, place: int) -> bool:
        """Tell whether the storage is alive while the operator at ``place`` runs."""
        return self.first is not None and self.last is not None and self.first <= place <= self.last

    def touch(self, place: int) -> None:
        """Note that the operator at ``place`` reads or writes the storage."""
        self.first = place if self.first is None else self.first
        self.last = place


def watch_storages(
    model: nn.Module, forward: Callable[[], object], *, cache: Sequence[Tensor] = ()
) -> tuple[LiveOperator, ...]:
    """Run ``forward`` and return its operators in their order, each with the activations alive beside it.

    Parameters
    ----------
    model
        The module that ``forward`` calls, or one that contains it; module paths start here.
    forward
        Calls the model, on meta or on real tensors. What it returns stays alive.
    cache
        The tensors of the KV cache.

    Raises
    ------
    CountError
        When a function is not known, or a module is not part of the model.
    """
    watcher = _Watcher(model, cache)
    with torch.no_grad(), watcher.watch_modules(), watcher:
        returned = forward()
    watcher.keep_to_the_end(_floating(returned))
    return tuple(watcher.list_operators())


class _Watcher(ModuleFollower):
    """Notes for every storage when it is touched."""

    def __init__(self, model: nn.Module, cache: Iterable[Tensor]) -> None:
        super().__init__(model)
        self._is_in_leaf = False
        self._operators: list[tuple[str, str]] = []
        self._storages: list[_Storage] = []
        # By the key of the memory; None is what is no activation.
        self._known: dict[int, _Storage | None] = {}
        # Kept alive, so that no other tensor can get a memory that is known.
        self._kept: list[Tensor] = []
        for tensor in (*model.parameters(), *model.buffers(), *cache):
            self._remember(tensor, None)

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: object,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Run ``func``, and note what it touches unless it is part of a leaf module."""
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        name = name_function(func, args)
        if self._is_in_leaf or name == "__get__" or name in FRESH_MEMORY:
            return result
        inputs, outputs = _floating(args, kwargs), _floating(result)
        if name in FREE_FUNCTIONS:
            self._take_over(inputs, outputs)
        elif name in FUNCTIONAL_OPERATORS:
            if inputs or outputs:  # work on integers only is free
                self._note(self.path, name, (*inputs, *outputs))
        elif inputs or outputs:
            raise CountError(
                "a torch function that nothing accounts for", place=self.path, found=name,
                remedy="add it to the lists in modelmeter.verify.operators",
            )  # fmt: skip
        return result

    def keep_to_the_end(self, returned: Iterable[Tensor]) -> None:
        """Keep what the forward returns alive through the last operator."""
        for tensor in returned:
            self._touch(tensor, len(self._operators) - 1)

    def list_operators(self) -> Iterator[LiveOperator]:
        """Yield the operators with the sum of the storages that are alive."""
        for place, (path, name) in enumerate(self._operators):
            alive = (storage.elements for storage in self._storages if storage.is_alive(place))
            yield LiveOperator(path=path, name=name, elements=sum(alive))

    def is_inside_operator(self) -> bool:
        """Tell whether a leaf module runs; functions are noted when they have ended."""
        return self._is_in_leaf

    def begin_leaf(self, path: str, module: nn.Module) -> None:
        """Leave the functions that a leaf module calls unnoted."""
        self._is_in_leaf = True

    def end_leaf(self, path: str, module: nn.Module, inputs: tuple[Any, Any], result: object) -> None:
        """Note a leaf module and what it touched."""
        self._note(path, type(module).__name__, _floating(inputs, result))
        self._is_in_leaf = False  # only now: the functions that _note calls are none of the forward's

    def _note(self, path: str, name: str, tensors: Iterable[Tensor]) -> None:
        """Note an operator, and that it touches ``tensors``."""
        for tensor in tensors:
            self._touch(tensor, len(self._operators))
        self._operators.append((path, name))

    def _touch(self, tensor: Tensor, place: int) -> None:
        storage = self._find(tensor)
        if storage is not None:
            storage.touch(place)

    def _find(self, tensor: Tensor) -> _Storage | None:
        """Return the storage behind ``tensor``, which is made known; None for what is no activation."""
        if storage_key(tensor) not in self._known:
            storage = _Storage(tensor.untyped_storage().nbytes() // tensor.element_size())
            self._storages.append(storage)
            self._remember(tensor, storage)
        return self._known[storage_key(tensor)]

    def _take_over(self, inputs: list[Tensor], outputs: list[Tensor]) -> None:
        """Let the results of a free function be the storage that they were made from."""
        for tensor in outputs if inputs else ():
            self._remember(tensor, self._find(inputs[0]))

    def _remember(self, tensor: Tensor, storage: _Storage | None) -> None:
        self._known[storage_key(tensor)] = storage
        self._kept.append(tensor)


def _floating(*tree: object) -> list[Tensor]:
    return [tensor for tensor in tensors_in(*tree) if tensor.is_floating_point()]
