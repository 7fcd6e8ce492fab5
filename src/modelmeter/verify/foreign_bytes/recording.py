"""Watches the operators of any forward: the bytes that each one reads and writes, and the storages that are alive.

The counts of :mod:`modelmeter.verify.operators` know every operator of the reference model, and refuse others. Here any
operator counts that is neither a view nor a reservation of memory, and bytes are those of the type of its numbers. So
this is a second count of the reference model, too.

Each view of the inputs is read once, a dimension that is expanded once; each output is written once. Look-ups read the
rows that they take, and ``index_add_`` touches the rows that it adds to.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable
from functools import partial
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from modelmeter.metrics.operator_table import ATTENTION, FRESH_MEMORY, LOOK_UPS, OVERWRITING
from modelmeter.verify.dispatch import lay_out_heads, storage_key, tensors_in
from modelmeter.verify.foreign_bytes.records import LiveStorage, MovedOperator, Recording
from modelmeter.verify.module_calls import ModuleFollower

_IMPLICIT = torch._C.DispatchKey.CompositeImplicitAutograd


def record_forward(
    model: nn.Module, forward: Callable[[], object], *, cache: Callable[[], Iterable[Tensor]] = tuple
) -> Recording:
    """Run ``forward`` in inference mode and record it.

    Parameters
    ----------
    model
        The module that ``forward`` calls, or one that contains it; module paths start here.
    forward
        Calls the model, on meta tensors. What it returns stays alive.
    cache
        Returns the tensors that are the KV cache now. What is handed to the cache is no activation from then on.

    Raises
    ------
    CountError
        When a module runs that is not part of the model.
    """
    recorder = _Recorder(model, cache)
    with torch.inference_mode(), recorder.modules.watch_modules(), recorder:
        returned = forward()
        recorder.stop()
    del returned
    return Recording(
        operators=tuple(recorder.operators), places=tuple(recorder.places), storages=tuple(recorder.storages)
    )


class _Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch leaves it untyped
    """Records operators as they are dispatched, each when it has run."""

    def __init__(self, model: nn.Module, cache: Callable[[], Iterable[Tensor]]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # the same
        self.modules = ModuleFollower(model)
        self.operators: list[MovedOperator] = []
        self.places: list[tuple[str, str]] = []
        self.storages: list[LiveStorage] = []
        self._cache = cache
        self._is_over = False
        # By the key of the memory; parameters, buffers and the cache are no activations.
        self._known: dict[int, LiveStorage | None] = {}
        for tensor in (*model.parameters(), *model.buffers()):
            self._leave_out(tensor)

    def stop(self) -> None:
        """Leave what dies from now on alive to the end."""
        self._is_over = True

    def __torch_dispatch__(
        self, func: Any, types: object, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run ``func``, or the operators that it is made of, and record it."""
        kwargs = kwargs or {}
        name: str = func._overloadpacket.__name__
        if func.namespace == "prim":  # meta tensors are asked for their device
            return func(*args, **kwargs)
        if name != ATTENTION and torch._C._dispatch_has_kernel_for_dispatch_key(
            func.name(), "CompositeImplicitAutograd"
        ):
            # Not func.decompose: it prefers decompositions in Python, which take apart what has a kernel.
            with self:
                return func._op_dk(_IMPLICIT, *args, **kwargs)
        result = func(*args, **kwargs)
        if name == ATTENTION:
            result = lay_out_heads(result)
        self._record(name, func, args, tensors_in(args, kwargs), tensors_in(result))
        return result

    def _record(self, name: str, func: Any, args: tuple[Any, ...], inputs: list[Tensor], outputs: list[Tensor]) -> None:
        path = self.modules.path
        for tensor in self._cache():
            self._leave_out(tensor)
        for tensor in inputs:
            self._track(tensor, path, "given")
        for tensor in outputs:
            self._track(tensor, path, name)
        self.places.append((path, name))
        held = {storage_key(tensor) for tensor in inputs}
        written = [tensor for tensor in outputs if storage_key(tensor) not in held] + [
            argument
            for argument, described in zip(args, func._schema.arguments, strict=False)
            if isinstance(argument, Tensor) and described.alias_info is not None and described.alias_info.is_write
        ]
        if written and name not in FRESH_MEMORY:
            read_bytes, written_bytes = _count_bytes(name, inputs, written)
            if read_bytes or written_bytes:  # detach_ writes an empty tensor
                self.operators.append(
                    MovedOperator(path=path, name=name, read_bytes=read_bytes, written_bytes=written_bytes)
                )

    def _track(self, tensor: Tensor, path: str, name: str) -> None:
        """Make the storage of ``tensor`` known, unless it is."""
        key = storage_key(tensor)
        if key not in self._known:
            nbytes = tensor.untyped_storage().nbytes()
            storage = LiveStorage(path=path, name=name, nbytes=nbytes, born=len(self.places))
            self.storages.append(storage)
            self._keep(tensor, storage)

    def _leave_out(self, tensor: Tensor) -> None:
        """Take the storage of ``tensor`` for no activation from now on."""
        key = storage_key(tensor)
        if self._known.get(key) is not None:
            self._bury(key)
            self._known[key] = None
        elif key not in self._known:
            self._keep(tensor, None)

    def _keep(self, tensor: Tensor, storage: LiveStorage | None) -> None:
        """Know a storage until its memory is gone, when another one may come to the same place."""
        key = storage_key(tensor)
        self._known[key] = storage
        weakref.finalize(tensor.untyped_storage(), partial(self._forget, key))

    def _forget(self, key: int) -> None:
        self._bury(key)
        del self._known[key]

    def _bury(self, key: int) -> None:
        storage = self._known[key]
        if storage is not None and not self._is_over:
            storage.died = len(self.places)


def _count_bytes(name: str, inputs: list[Tensor], written: list[Tensor]) -> tuple[int, int]:
    """Return the bytes that an operator reads, and those that it writes."""
    written_bytes = sum(tensor.nbytes for tensor in written)
    if name == "index_add_":
        target, *rest = inputs
        rows = rest[-1].numel() * target.element_size()
        return rows + _sum_views(rest), rows
    if name in LOOK_UPS:
        return written_bytes + _sum_views(inputs[1:]), written_bytes
    return _sum_views(inputs[1:] if name in OVERWRITING else inputs), written_bytes


def _sum_views(tensors: list[Tensor]) -> int:
    """Return the bytes of distinct views; an expanded dimension is there once."""
    views = {}
    for tensor in tensors:
        stored = tuple(
            (size, stride) for size, stride in zip(tensor.shape, tensor.stride(), strict=True) if stride and size != 1
        )
        view = (storage_key(tensor), tensor.storage_offset(), tensor.dtype, stored)
        views[view] = prod(size for size, _ in stored) * tensor.element_size() if tensor.numel() else 0
    return sum(views.values())
