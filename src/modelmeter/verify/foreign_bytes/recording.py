"""Watches the ATen operators of a forward: the bytes that each one reads and writes, and the storages that are alive.

An operator is what PyTorch dispatches. Views and what only reserves memory are free. Each view of the inputs is read
once, a dimension that is expanded once; each output is written once. Look-ups read the rows that they take, and
``index_add_`` touches the rows that it adds to. A storage is alive from the operator that makes it, or first gets it,
until nothing refers to it any more.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.utils._python_dispatch import TorchDispatchMode

from modelmeter.errors import CountError
from modelmeter.verify.aten import storage_key, tensors_in
from modelmeter.verify.foreign_bytes.records import LiveStorage, MovedOperator, Recording

ATTENTION = "scaled_dot_product_attention"

LOOK_UPS = frozenset({"embedding", "index"})
"""Read of their first input only the rows that they return."""

OVERWRITING = frozenset({"copy_", "fill_", "zero_"})
"""Write their first input without reading it."""

RESERVING = frozenset(
    {
        "arange", "empty", "empty_like", "new_empty", "full", "ones", "new_ones", "zeros", "new_zeros", "zeros_like",
        "detach_", "lift_fresh",
    }
)  # fmt: skip
"""Free, though they are no views."""

_IMPLICIT = torch._C.DispatchKey.CompositeImplicitAutograd


def record_forward(
    model: nn.Module, forward: Callable[[], object], *, kept: Callable[[], Iterable[Tensor]] = tuple
) -> Recording:
    """Run ``forward`` in inference mode and record it.

    Parameters
    ----------
    model
        The module that ``forward`` calls, or one that contains it; module paths start here.
    forward
        Calls the model, on meta tensors. What it returns stays alive.
    kept
        Returns, when the forward has ended, the tensors that are no activations, such as a KV cache.

    Raises
    ------
    CountError
        When a module runs that is not part of the model.
    """
    recorder = _Recorder(model)
    with torch.inference_mode(), recorder.follow_modules(), recorder:
        returned = forward()
        recorder.stop()
    keys = {storage_key(tensor) for tensor in kept()}
    del returned
    return Recording(
        operators=tuple(recorder.operators),
        places=tuple(recorder.places),
        storages=tuple(storage for storage in recorder.storages if storage.died is not None or storage.key not in keys),
    )


class _Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch leaves it untyped
    """Records operators as they are dispatched, each when it has run."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # the same
        self.operators: list[MovedOperator] = []
        self.places: list[tuple[str, str]] = []
        self.storages: list[LiveStorage] = []
        self._paths = {module: path for path, module in model.named_modules()}
        self._running: list[str] = []
        self._is_over = False
        # By the key of the memory; parameters and buffers are no activations.
        self._alive: dict[int, LiveStorage | None] = {
            storage_key(tensor): None for tensor in (*model.parameters(), *model.buffers())
        }

    @contextmanager
    def follow_modules(self) -> Iterator[None]:
        """Follow module calls while the context is open."""
        with ExitStack() as hooks:
            hooks.callback(register_module_forward_pre_hook(self._enter).remove)
            hooks.callback(register_module_forward_hook(self._leave).remove)
            yield

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
        if name == ATTENTION:
            result = _attend(*args[:3])
        elif torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), "CompositeImplicitAutograd"):
            # Not func.decompose: it prefers decompositions in Python, which no kernel goes through.
            with self:
                return func._op_dk(_IMPLICIT, *args, **kwargs)
        else:
            result = func(*args, **kwargs)
        self._record(name, func, args, tensors_in(args, kwargs), tensors_in(result))
        return result

    def _record(self, name: str, func: Any, args: tuple[Any, ...], inputs: list[Tensor], outputs: list[Tensor]) -> None:
        path = self._running[-1] if self._running else ""
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
        if written and name not in RESERVING:
            read_bytes, written_bytes = _count_bytes(name, inputs, written)
            self.operators.append(
                MovedOperator(path=path, name=name, read_bytes=read_bytes, written_bytes=written_bytes)
            )

    def _track(self, tensor: Tensor, path: str, name: str) -> None:
        """Make the storage of ``tensor`` known, unless it is."""
        memory, key = tensor.untyped_storage(), storage_key(tensor)
        if key in self._alive:
            return
        storage = LiveStorage(path=path, name=name, nbytes=memory.nbytes(), key=key, born=len(self.places))
        self._alive[key] = storage
        self.storages.append(storage)
        weakref.finalize(memory, self._bury, key)

    def _bury(self, key: int) -> None:
        storage = self._alive.pop(key)
        if storage is not None and not self._is_over:
            storage.died = len(self.places)

    def _enter(self, module: nn.Module, args: object) -> None:
        if module not in self._paths:
            raise CountError("a module runs that is not part of the model", place=type(module).__name__)
        self._running.append(self._paths[module])

    def _leave(self, module: nn.Module, args: object, result: object) -> None:
        self._running.pop()


def _attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Return what attention does: heads last but one in memory, as torch's own kernels have them on every device."""
    batch_size, heads, positions, _ = query.shape
    return query.new_empty(batch_size, positions, heads, value.shape[-1]).transpose(1, 2)


def _count_bytes(name: str, inputs: list[Tensor], written: list[Tensor]) -> tuple[int, int]:
    """Return the bytes that an operator reads, and those that it writes."""
    written_bytes = sum(tensor.nbytes for tensor in written)
    if name == "index_add_":
        (_, *rest), rows = inputs, inputs[-1].numel() * inputs[0].element_size()
        return rows + _sum_views(rest), rows
    if name in LOOK_UPS:
        return written_bytes + _sum_views(inputs[1:]), written_bytes
    return _sum_views(inputs[1:] if name in OVERWRITING else inputs), written_bytes


def _sum_views(tensors: list[Tensor]) -> int:
    """Return the bytes of distinct views; an expanded dimension is there once."""
    views = {}
    for tensor in tensors:
        stored = [
            (size, stride) for size, stride in zip(tensor.shape, tensor.stride(), strict=True) if stride and size != 1
        ]
        view = (storage_key(tensor), tensor.storage_offset(), tensor.dtype, *stored)
        views[view] = prod(size for size, _ in stored) * tensor.element_size() if tensor.numel() else 0
    return sum(views.values())
