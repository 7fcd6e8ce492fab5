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
from itertools import count
from typing import Any

from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode  # what torch's own counters are made of
from torch.utils._pytree import tree_leaves  # knows every container that torch modules pass around
from torchinfo import summary
from torchinfo.torchinfo import clear_cached_forward_pass

from modelmeter.errors import ModelMeterError, TraceError
from modelmeter.graph import Call, ModuleGraph, ModuleNode, Shape, is_number
from modelmeter.merge import merge_siblings


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
    GraphError
        If the name of a module cannot be a part of a path.
    """
    paths = {module: path for path, module in model.named_modules()}
    recorder = _Recorder(paths)
    training = {module: module.training for module in paths}
    try:
        with recorder:
            # No device, or it would move the model; no cache, which goes by the name of the class alone.
            statistics = summary(_Runs(model, runs, recorder), input_data=(), verbose=0, cache_forward_pass=False)
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
    rows = _read_rows(statistics.summary_list, model, paths)
    graph = ModuleGraph(
        nodes=tuple(_describe(path, module, rows[path], recorder) for module, path in paths.items()),
        call_order=tuple(recorder.call_order),
        workload={},
        architecture={},
        sam_global_attn_indexes=(),
    )
    sequences = {path for module, path in paths.items() if isinstance(module, nn.Sequential)}
    return merge_siblings(graph, details=_held_shapes(paths), sequences=sequences, depend=recorder.depend)


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


class _DataFlow(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch leaves it untyped
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


class _Recorder:
    """Hooks every module and records its calls while it is entered as a context."""

    def __init__(self, paths: Mapping[nn.Module, str]) -> None:
        self.paths = paths
        self.calls: defaultdict[str, list[Call]] = defaultdict(list)
        self.outputs: defaultdict[str, list[tuple[Shape, ...]]] = defaultdict(list)
        """Every tensor that each call returned; :attr:`calls` has the first."""
        self.call_order: dict[str, None] = {}
        """The modules that are called, in the order of their first calls."""
        self.flow = _DataFlow()
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
        self.calls[path].append(Call(run=self._run, input_shapes=inputs, output_shape=outputs[0]))
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


def _read_rows(summary_list: Sequence[Any], model: nn.Module, paths: Mapping[nn.Module, str]) -> dict[str, list[Any]]:
    """Return TorchInfo's rows by module.

    The path of a row is its own name after those of the rows above it: its parent_info is a placeholder, and
    its children are all descendants.
    """
    names: defaultdict[nn.Module, set[str]] = defaultdict(set)
    for name, module in model.named_modules(remove_duplicate=False):
        names[module].add(name)
    rows: dict[str, list[Any]] = {path: [] for path in paths.values()}
    above: list[str] = []
    for row in summary_list[1:]:  # the first row is _Runs
        above[row.depth - 1 :] = [row.var_name]
        place = ".".join(above[1:])
        if place not in names[row.module]:
            raise TraceError(
                "TorchInfo has a module in another place", place=place, expected=sorted(names[row.module]),
                found=row.class_name,
            )  # fmt: skip
        rows[paths[row.module]].append(row)
    return rows


def _describe(path: str, module: nn.Module, rows: list[Any], recorder: _Recorder) -> ModuleNode:
    """Return the node of one module, after checking that TorchInfo, the module and the hooks agree on it."""
    parameter_count = _count_elements(module.parameters())
    for row in rows:
        _expect_equal("number of parameters", path, parameter_count, row.num_params)
    # A list has rows without a call of its own, above the calls of its children.
    calls = [row for row in rows if row.executed]
    _expect_equal("number of calls", path, len(recorder.calls[path]), len(calls))
    for row, outputs in zip(calls, recorder.outputs[path], strict=True):
        # Of an output that is not a tensor it records one of the tensors in it, or none.
        if row.output_size and tuple(row.output_size) not in outputs:
            _expect_equal("output", path, outputs, row.output_size)
    kind = type(module)
    return ModuleNode(
        path=path,
        members=(path.rpartition(".")[2],),
        class_name=rows[0].class_name if rows else kind.__name__,
        qualified_class_name=f"{kind.__module__}.{kind.__qualname__}",
        parameter_count=parameter_count,
        own_parameter_count=_count_elements(module.parameters(recurse=False)),
        calls=tuple(recorder.calls[path]),
        repetition="none",
        repetition_count=1,
        is_torch_builtin=kind.__module__.partition(".")[0] == "torch",
    )


def _expect_equal(what: str, path: str, known: object, seen: object) -> None:
    if known != seen:
        raise TraceError(f"TorchInfo has another {what}", place=path, expected=known, found=seen)


def _held_shapes(paths: Mapping[nn.Module, str]) -> dict[str, Hashable]:
    """Return the shapes of what each module holds itself; a module that shares a parameter is like no other."""
    holders = Counter(parameter for module in paths for parameter in module.parameters(recurse=False))
    return {
        path: (
            tuple((name, tuple(tensor.shape)) for name, tensor in _own_tensors(module)),
            path if any(holders[parameter] > 1 for parameter in module.parameters(recurse=False)) else "",
        )
        for module, path in paths.items()
    }


def _own_tensors(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    yield from module.named_parameters(recurse=False)
    yield from module.named_buffers(recurse=False)


def _count_elements(parameters: Iterable[Tensor]) -> int:
    return sum(parameter.numel() for parameter in parameters)
