"""Trace torch modules into a module graph.

TorchInfo is the source of the structure: which modules there are, and what each of them holds. It leaves things
out, so three more sources fill the gaps, and everything that both sides know must agree:

* forward hooks give the shapes of every call, those of keyword arguments included;
* the model's own list of modules gives the ones that are never called, and the first name of a module that
  has two (TorchInfo keeps the last);
* a dispatch mode follows which sibling reads what another one made.

TorchInfo's mult-adds are never used: they leave out most dimensions of a linear layer.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import torch
from attrs import field, frozen
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode  # what torch's own counters are made of
from torch.utils._pytree import tree_leaves  # knows every container that torch modules pass around
from torchinfo import summary
from torchinfo.torchinfo import clear_cached_forward_pass

from modelmeter.errors import ModelMeterError, TraceError
from modelmeter.graph import Call, ModuleGraph, ModuleNode, Repetition, Shape, is_number, join_path, name_group


def trace_modules(model: nn.Module, runs: Mapping[str, Callable[[], object]]) -> ModuleGraph:
    """Trace every run of ``model`` into one graph, without gradients and in evaluation mode.

    Siblings with numbers for names collapse into one node if they are alike: same class, same shapes of
    parameters and buffers, same calls, alike children. They need not be neighbours, except in a Sequential,
    whose order is its meaning. Siblings that nothing calls stay apart, since nothing shows how they would run;
    so do modules with a parameter that another module has too, which is to be counted once.

    A group is ``for`` if, within a run, an operator inside one member reads what an operator inside another
    one wrote, directly or through other operators, and ``parfor`` if not. Reading and writing is followed by
    storage, so siblings that write into one shared buffer are taken to depend on each other.

    Parameters
    ----------
    model
        On the meta device, or with real tensors.
    runs
        By name, what to trace: functions without arguments that call the model. They run in order.

    Raises
    ------
    TraceError
        If a run fails, a module returns no tensor, or TorchInfo contradicts the modules or the hooks. An error
        of our own that a run raises passes through.
    """
    paths = {module: path for path, module in model.named_modules()}
    recorder = _Recorder(paths)
    training = {module: module.training for module in paths}
    try:
        with recorder:
            # No device, or it would move the model; no cache, which goes by the name of the class alone.
            rows = summary(_Runs(model, runs, recorder), input_data=(), verbose=0, cache_forward_pass=False)
    except RuntimeError as error:
        if isinstance(error.__cause__, ModelMeterError):
            raise error.__cause__ from None
        cause = error.__cause__ or error
        raise TraceError(
            "the forward fails", place=recorder.place, found=f"{type(cause).__name__}: {cause}"
        ) from cause  # fmt: skip
    finally:
        clear_cached_forward_pass()  # it keeps the model alive even if the cache is off
        for module, mode in training.items():
            module.training = mode  # TorchInfo sets the mode of all modules to that of the outermost
    _check_rows(_read_rows(rows.summary_list, model), recorder)
    return _Merger(paths, recorder).merge()


class _Runs(nn.Module):
    """Runs everything in turn, so that one TorchInfo summary covers all of it."""

    def __init__(self, model: nn.Module, runs: Mapping[str, Callable[[], object]], recorder: _Recorder) -> None:
        super().__init__()
        self.model = model
        self.runs = runs
        self.recorder = recorder

    def forward(self) -> None:
        """Run everything."""
        for name, run in self.runs.items():
            self.recorder.begin(name)
            run()


class _DataFlow(TorchDispatchMode):
    """Follows which numbered siblings took part in making each tensor. A set of siblings is a bit mask.

    Attributes
    ----------
    active
        The siblings inside whose calls the next operator runs.
    reads
        By set of active siblings, the siblings that made what operators read there.
    """

    def __init__(self) -> None:
        super().__init__()
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


class _Recorder:
    """Hooks every module and records its calls while it is entered as a context."""

    def __init__(self, paths: Mapping[nn.Module, str]) -> None:
        self.paths = paths
        self.calls: defaultdict[str, list[Call]] = defaultdict(list)
        self.outputs: defaultdict[str, list[tuple[Shape, ...]]] = defaultdict(list)
        """Every tensor that each call returned; :attr:`calls` has the first."""
        self.order: dict[str, int] = {}
        """When each module was first called."""
        self.flow = _DataFlow()
        self.siblings: dict[str, int] = {}
        """A bit for each numbered module."""
        self._around: dict[str, int] = {}
        """The numbered modules that each module is or is in."""
        for path in paths.values():
            parent, _, name = path.rpartition(".")
            if is_number(name):
                self.siblings[path] = 1 << len(self.siblings)
            self._around[path] = self.siblings.get(path, 0) | self._around.get(parent, 0)
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
        self.order.setdefault(path, len(self.order))
        self._stack.append((path, self.flow.active, _shapes((args, kwargs))))
        self.flow.active |= self._around[path]

    def _leave_module(self, module: nn.Module, args: Any, kwargs: dict[str, Any], output: object) -> None:
        outputs = _shapes(output)
        if not outputs:
            raise TraceError("a module returns no tensor", place=self.place, found=type(output).__name__)
        path, self.flow.active, inputs = self._stack.pop()
        self.calls[path].append(Call(run=self._run, input_shapes=inputs, output_shape=outputs[0]))
        self.outputs[path].append(outputs)


def _tensors(values: object) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(values) if isinstance(leaf, Tensor)]


def _shapes(values: object) -> tuple[Shape, ...]:
    return tuple(tuple(tensor.shape) for tensor in _tensors(values))


def _storages(values: object) -> set[StorageWeakRef]:
    """Return weak references, which keep the identity of a storage from being used again but not its memory."""
    return {StorageWeakRef(tensor.untyped_storage()) for tensor in _tensors(values)}


def _read_rows(rows: Sequence[Any], paths: Mapping[nn.Module, str], model: nn.Module) -> dict[str, list[Any]]:
    """Return TorchInfo's rows by the path of their module.

    A row has its depth and its own name; the rows above it have the rest of its path. Its parent_info and its
    children are of no use: the one is a placeholder, the others are all descendants.
    """
    all_names: defaultdict[nn.Module, set[str]] = defaultdict(set)
    for name, module in model.named_modules(remove_duplicate=False):
        all_names[module].add(name)
    found: defaultdict[str, list[Any]] = defaultdict(list)
    names: list[str] = []
    for row in rows:
        names[row.depth :] = [row.var_name]
        path = ".".join(names[2:])  # below the rows of _Runs and of the model
        if row.depth:
            if path not in all_names[row.module]:
                raise TraceError(
                    "TorchInfo has the module in another place", place=path, expected=sorted(all_names[row.module])
                )
            found[paths[row.module]].append(row)
    return found


def _check_rows(rows: Mapping[str, list[Any]], recorder: _Recorder) -> None:
    """Check that TorchInfo and the modules agree on parameters, and TorchInfo and the hooks on calls."""
    for module, path in recorder.paths.items():
        # A list has rows without a call, above each stretch of calls of its children.
        calls = [row for row in rows.get(path, []) if row.executed]
        for what, seen, known in (
            ("parameters", {row.num_params for row in rows.get(path, [])}, _count(module.parameters())),
            ("calls", {len(calls)}, len(recorder.outputs[path])),
        ):
            if seen - {known}:
                raise TraceError(f"TorchInfo counts other {what}", place=path, expected=known, found=sorted(seen))
        for row, shapes in zip(calls, recorder.outputs[path], strict=True):
            # Of an output that is not a tensor it records one tensor, not always the first, or none.
            if row.output_size and tuple(row.output_size) not in shapes:
                raise TraceError(
                    "TorchInfo saw another output", place=path, expected=list(shapes), found=row.output_size
                )


class _Merger:
    """Makes the nodes, bottom up, and one node of the siblings that are alike."""

    def __init__(self, recorder: _Recorder) -> None:
        self.recorder = recorder
        self.modules = {path: module for module, path in recorder.paths.items()}
        self.children: defaultdict[str, list[str]] = defaultdict(list)
        for path in self.modules:
            if path:
                self.children[path.rpartition(".")[0]].append(path)
        self.holders = Counter(
            parameter for module in recorder.paths for parameter in module.parameters(recurse=False)
        )
        self.groups: dict[str, list[_Group]] = {}
        self._kinds: dict[str, int] = {}
        """Alike modules have the same number; a module in which nothing is called has one of its own."""
        numbers: dict[Hashable, int] = {}
        for path in reversed(self.modules):
            self.groups[path] = list(self._group(path))
            self._kinds[path] = numbers.setdefault(self._describe(path), len(numbers))

    def merge(self) -> ModuleGraph:
        """Return the graph."""
        nodes = dict(self._walk(_Group(paths=("",), repetition="none"), path=""))
        called = [(self.recorder.order[first], node.path) for first, node in nodes.items() if node.calls]
        return ModuleGraph(
            nodes=tuple(nodes.values()), call_order=tuple(path for _, path in sorted(called)), workload={},
            architecture={}, sam_global_attn_indexes=(),
        )  # fmt: skip

    def _walk(self, group: _Group, path: str) -> Iterator[tuple[str, ModuleNode]]:
        """Yield the nodes from ``group`` down, each with the path of its first module."""
        module = self.modules[group.first]
        kind = type(module)
        yield group.first, ModuleNode(
            path=path, members=group.members, class_name=kind.__name__,
            qualified_class_name=f"{kind.__module__}.{kind.__qualname__}",
            parameter_count=_count(module.parameters()), own_parameter_count=_count(module.parameters(recurse=False)),
            calls=tuple(self.recorder.calls[group.first]), repetition=group.repetition,
            repetition_count=len(group.members), is_torch_builtin=kind.__module__.split(".")[0] == "torch",
        )  # fmt: skip
        for below in self.groups[group.first]:
            yield from self._walk(below, join_path(path, name_group(below.members)))

    def _group(self, path: str) -> Iterator[_Group]:
        """Yield the children of ``path``, alike ones together."""
        is_sequence = isinstance(self.modules[path], nn.Sequential)
        together: defaultdict[Hashable, list[str]] = defaultdict(list)
        stretch, previous = 0, None
        for child in self.children[path]:
            kind = self._kinds[child]
            stretch += is_sequence and kind != previous
            previous = kind
            together[stretch, kind, not is_number(_name(child)) and child].append(child)
        for paths in together.values():
            ...
