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
from types import MappingProxyType
from typing import Any

from torch import Tensor, nn
from torchinfo import summary
from torchinfo.torchinfo import clear_cached_forward_pass

from modelmeter.graph.forward_recorder import ForwardRecorder
from modelmeter.graph.merge import merge_siblings
from modelmeter.graph.module_graph import ModuleGraph, ModuleNode
from modelmeter.support.errors import ModelMeterError, TraceError


def trace_modules(
    model: nn.Module, runs: Mapping[str, Callable[[], object]], *, unlike: Mapping[str, Hashable] = MappingProxyType({})
) -> ModuleGraph:
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
    unlike
        By path, what else tells a module from alike siblings, such as what it costs.

    Raises
    ------
    TraceError
        If a run fails, a module returns no tensor, or TorchInfo contradicts the modules or the hooks. An error
        of our own that a run raises passes through.
    GraphError
        If the name of a module cannot be a part of a path.
    """
    paths = {module: path for path, module in model.named_modules()}
    recorder = ForwardRecorder(paths)
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
        lists={},
    )
    sequences = {path for module, path in paths.items() if isinstance(module, nn.Sequential)}
    details = {path: (held, unlike.get(path)) for path, held in _held_shapes(paths).items()}
    return merge_siblings(graph, details=details, sequences=sequences, depend=recorder.depend)


class _Runs(nn.Module):
    """Runs everything in turn, so that one TorchInfo summary covers all of it."""

    def __init__(self, model: nn.Module, runs: Mapping[str, Callable[[], object]], recorder: ForwardRecorder) -> None:
        super().__init__()
        self.model = model
        self.runs = runs
        self.recorder = recorder

    def forward(self) -> None:
        """Run everything."""
        for name, run in self.runs.items():
            self.recorder.begin(name)
            run()


def name_rows(summary_list: Sequence[Any]) -> Iterator[tuple[str, Any]]:
    """Yield TorchInfo's rows, each after the path of its module in the model.

    The first row is left out: it is the module that runs the model, which the second row is. The path of a row is
    its own name after those of the rows above it: its parent_info is a placeholder, and its children are all
    descendants.
    """
    above: list[str] = []
    for row in summary_list[1:]:
        above[row.depth - 1 :] = [row.var_name]
        yield ".".join(above[1:]), row


def _read_rows(summary_list: Sequence[Any], model: nn.Module, paths: Mapping[nn.Module, str]) -> dict[str, list[Any]]:
    """Return TorchInfo's rows by module."""
    names: defaultdict[nn.Module, set[str]] = defaultdict(set)
    for name, module in model.named_modules(remove_duplicate=False):
        names[module].add(name)
    rows: dict[str, list[Any]] = {path: [] for path in paths.values()}
    for place, row in name_rows(summary_list):
        if place not in names[row.module]:
            raise TraceError(
                "TorchInfo has a module in another place", place=place, expected=sorted(names[row.module]),
                found=row.class_name,
            )  # fmt: skip
        rows[paths[row.module]].append(row)
    return rows


def _describe(path: str, module: nn.Module, rows: list[Any], recorder: ForwardRecorder) -> ModuleNode:
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
