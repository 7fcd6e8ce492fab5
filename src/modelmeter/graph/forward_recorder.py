"""Watches forwards run: the calls of every module with their shapes, and which sibling reads what another made."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from itertools import count
from typing import Any

from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode  # what torch's own counters are made of
from torch.utils._pytree import tree_leaves  # knows every container that torch modules pass around

from modelmeter.graph.module_graph import ModuleCall, Shape, is_number
from modelmeter.support.errors import TraceError


class DataFlow(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch leaves it untyped
    """Follows which numbered siblings took part in making each tensor. A set of siblings is a bit mask.

    Attributes
    ----------
    active
        The siblings inside whose calls the next operator runs.
    reads
        By set of active siblings, the siblings that made what operators read there.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        self.active = 0
        self.reads: defaultdict[int, int] = defaultdict(int)
        self._makers: dict[StorageWeakRef, int] = {}

    def forget(self) -> None:
        """Begin a run: what an earlier one left behind does not order the siblings of this one."""
        self._makers.clear()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        read = _storages((args, kwargs))
        makers = 0
        for storage in read:
            makers |= self._makers.get(storage, 0)
        self.reads[self.active] |= makers
        # A view makes nothing, and its result is in the storage that it reads. Operators that write into their
        # arguments return them, or nothing at all.
        written = _storages(args if result is None else result)
        for storage in written if func._schema.is_mutable else written - read:
            self._makers[storage] = self._makers.get(storage, 0) | makers | self.active
        return result


class ForwardRecorder:
    """Hooks every module and records its calls while it is entered as a context.

    Parameters
    ----------
    paths
        The path of each module, parents before their children.

    Attributes
    ----------
    calls
        The calls of each module, by its path.
    outputs
        The shapes of all tensors that each call returned; ``calls`` has those of the first.
    call_order
        The paths of the modules that are called, in the order of their first calls.

    Raises
    ------
    TraceError
        In a call of a module that returns no tensor.
    """

    def __init__(self, paths: Mapping[nn.Module, str]) -> None:
        self.paths = paths
        self.calls: defaultdict[str, list[ModuleCall]] = defaultdict(list)
        self.outputs: defaultdict[str, list[tuple[Shape, ...]]] = defaultdict(list)
        self.call_order: dict[str, None] = {}
        self.flow = DataFlow()
        self._bits: dict[str, int] = {}
        """A bit for each module with a number for a name."""
        self._around: dict[str, int] = {}
        """The bits of each module and of what it is in."""
        bits = (1 << position for position in count())
        for path in paths.values():
            parent, _, name = path.rpartition(".")
            self._bits[path] = next(bits) if is_number(name) else 0
            self._around[path] = self._bits[path] | self._around.get(parent, 0)
        self._run = ""
        self._stack: list[tuple[str, int, tuple[Shape, ...]]] = []
        self._exit = ExitStack()

    @property
    def place(self) -> str:
        """The run and the module that are being executed."""
        return " ".join(name for name in (self._run, self._stack[-1][0] if self._stack else "") if name)

    def begin(self, run: str) -> None:
        """Begin a run."""
        self._run = run
        self.flow.forget()

    def depend(self, siblings: Iterable[str]) -> bool:
        """Tell whether, in one run, one of ``siblings`` read what another one made."""
        group = sum(self._bits[path] for path in siblings)
        return any(active & group and makers & group & ~active for active, makers in self.flow.reads.items())

    def __enter__(self) -> None:
        for module in self.paths:
            for handle in (
                module.register_forward_pre_hook(self._enter_module, with_kwargs=True),
                module.register_forward_hook(self._leave_module, with_kwargs=True),
            ):
                self._exit.callback(handle.remove)
        self._exit.enter_context(self.flow)

    def __exit__(self, *failure: Any) -> None:
        self._exit.close()

    def _enter_module(self, module: nn.Module, args: Any, kwargs: dict[str, Any]) -> None:
        path = self.paths[module]
        self.call_order[path] = None
        self._stack.append((path, self.flow.active, _shapes((args, kwargs))))
        self.flow.active |= self._around[path]

    def _leave_module(self, module: nn.Module, args: Any, kwargs: dict[str, Any], output: object) -> None:
        outputs = _shapes(output)
        if not outputs:
            raise TraceError("a module returns no tensor", place=self.place, found=type(output).__name__)
        path, self.flow.active, inputs = self._stack.pop()
        self.calls[path].append(ModuleCall(run=self._run, input_shapes=inputs, output_shape=outputs[0]))
        self.outputs[path].append(outputs)


def _tensors(values: object) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(values) if isinstance(leaf, Tensor)]


def _shapes(values: object) -> tuple[Shape, ...]:
    return tuple(tuple(tensor.shape) for tensor in _tensors(values))


def _storages(values: object) -> set[StorageWeakRef]:
    """Return weak references, which keep the identity of a storage from being used again but not its memory."""
    return {
        StorageWeakRef(tensor.untyped_storage())  # type: ignore[no-untyped-call]  # torch leaves it untyped
        for tensor in _tensors(values)
    }
