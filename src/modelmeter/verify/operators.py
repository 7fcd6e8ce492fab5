"""Watches the leaf modules and the torch functions of a forward, and records each as one operator."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import prod
from typing import Any, Literal

import torch
from attrs import evolve, field, frozen
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from modelmeter.cost import Elements, Operator
from modelmeter.errors import CountError
from modelmeter.verify.aten import AtenCounter, Tally, next_node_number, storage_key, tensors_in
from modelmeter.verify.module_calls import ModuleFollower

Kind = Literal["activation", "weight", "kv", "index"]

FUNCTIONAL_OPERATORS = frozenset(
    {
        "add", "sub", "mul", "div", "neg", "sum", "sigmoid", "matmul", "einsum", "cat", "pad", "interpolate",
        "copy_", "index", "index_put", "scaled_dot_product_attention", "decomposed_relative_attention",
    }
)  # fmt: skip
"""Torch functions that are operators: they read their inputs once and write their output once."""

FREE_FUNCTIONS = frozenset(
    {
        # layout
        "view", "reshape", "permute", "transpose", "t", "unsqueeze", "squeeze", "flatten", "unflatten", "expand",
        "contiguous", "unbind", "split", "chunk", "getitem",
        # type
        "to", "float",
        # attributes and sizes
        "__get__", "size", "dim", "numel",
    }
)  # fmt: skip
"""Torch functions that cost nothing by the conventions of the cost model."""

FRESH_MEMORY = frozenset({"empty", "empty_like"})
"""Torch functions that only reserve memory: free too, but what they return is no copy of their input."""


@frozen(kw_only=True)
class CountedOperator(Operator):
    """An operator as it was seen to run; all its numbers are integers.

    Parameters
    ----------
    path
        The qualified name of the module whose forward called it. A leaf module is an operator at its own path.
    nodes
        The sequence numbers of the autograd nodes that it made.
    """

    path: str
    nodes: range = field(default=range(0), eq=False)


@frozen(kw_only=True)
class _Moved:
    """What an operator moves; ``wanted`` is what it reads that requires a gradient."""

    reads: Elements
    writes: Elements
    wanted: Elements


class OperatorRecorder(ModuleFollower):
    """Records leaf modules and the torch functions that composite modules call, in the order of their end.

    An operator reads those of its inputs (a leaf module's parameters and buffers too) that ATen operators
    inside it touch, each view once, and writes the outputs that were written inside it. The kind of an element
    follows the memory: what shares memory with a parameter is a weight, and so is the copy that a free
    function (a cast, a reshape) makes of it.

    Parameters
    ----------
    model
        Gives the module paths and the parameters.
    cache
        The tensors of the KV cache.
    aten, flops
        The counters that run beneath this one. An operator gets what they count while it runs.

    Raises
    ------
    CountError
        When a function is not known, a module is not part of the model, or an operator reads memory that
        none of its inputs has.
    """

    def __init__(self, model: nn.Module, cache: Iterable[Tensor], aten: AtenCounter, flops: FlopCounterMode) -> None:
        super().__init__(model)
        self.operators: list[CountedOperator] = []
        self.cached_shapes: dict[int, tuple[int, ...]] = {}
        self._aten, self._flops = aten, flops
        self._flops_before = self._nodes_before = 0
        self._kinds: dict[int, Kind] = {}
        # Kept alive, so that no other tensor can get the memory that a kind is known for.
        self._kept: list[Tensor] = []
        for parameter in model.parameters():
            self._remember(parameter, "weight")
        for tensor in cache:
            self._remember(tensor, "kv")

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: object,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Run ``func`` and record it, unless it is free or part of a leaf module."""
        kwargs = kwargs or {}
        name = name_function(func, args)
        if self.is_inside_operator() or name == "__get__":  # inside a leaf module, or the look-up of an attribute
            return func(*args, **kwargs)
        inputs = tensors_in(args, kwargs)
        if name in FREE_FUNCTIONS or name in FRESH_MEMORY:
            result = func(*args, **kwargs)
            if name not in FRESH_MEMORY:
                self._inherit(inputs, tensors_in(result))
            return result
        tally = self._open(Tally(path=self.path, name=name))
        result = func(*args, **kwargs)
        outputs = tensors_in(result)
        if any(tensor.is_floating_point() for tensor in inputs + outputs):
            self._close(tally, self._move(tally, inputs, outputs))
        self._aten.tally = None  # work on integers only is free
        return result

    def is_inside_operator(self) -> bool:
        """Tell whether what ATen does is counted for an operator."""
        return self._aten.tally is not None

    def begin_leaf(self, path: str, module: nn.Module) -> None:
        """Let ATen count for a leaf module."""
        self._open(Tally(path=path, name=type(module).__name__, is_linear=isinstance(module, nn.Linear)))

    def end_leaf(self, path: str, module: nn.Module, inputs: tuple[Any, Any], result: object) -> None:
        """Record a leaf module."""
        tally = self._aten.tally
        assert tally is not None  # or nothing would be inside an operator
        read = [*tensors_in(inputs), *module.parameters(), *module.buffers()]
        outputs = tensors_in(result)
        writes = self._elements(tensor for tensor in outputs if storage_key(tensor) in tally.written)
        if isinstance(module, nn.Embedding):
            moved = self._take_rows(module.weight, tensors_in(inputs), outputs)
        else:
            moved = self._read(tally, read, writes)
        self._close(tally, moved)

    def _open(self, tally: Tally) -> Tally:
        self._aten.tally = tally
        self._flops_before = self._flops.get_total_flops()
        self._nodes_before = next_node_number()
        return tally

    def _close(self, tally: Tally, moved: _Moved) -> None:
        self.operators.append(
            CountedOperator(
                path=tally.path,
                name=tally.name,
                reads=moved.reads,
                writes=moved.writes,
                gradients=moved.wanted if torch.is_grad_enabled() else None,
                nodes=range(self._nodes_before, next_node_number()),
                cuda_core_flops=tally.cuda_core_flops,
                tensor_core_flops=self._flops.get_total_flops() - self._flops_before,
            )
        )
        self._aten.tally = None

    def _move(self, tally: Tally, inputs: list[Tensor], outputs: list[Tensor]) -> _Moved:
        """Return what a function reads and writes."""
        match tally.name:
            case "copy_":
                target, source = inputs
                return self._pass(self._elements([source]), self._elements([target]), source)
            case "index":
                table, *indices = inputs
                return self._take_rows(table, indices, outputs)
            case "index_put":
                target, *indices, values = inputs
                if len(indices) != 1 or values.shape != indices[0].shape + target.shape[1:]:
                    raise CountError(
                        "only whole rows that one tensor of row numbers chooses can be assigned", place=tally.place
                    )
                written = Elements(**{self._kind(target): values.numel()})
                return self._pass(self._elements([values, *indices]), written, values)
            case name if name in FUNCTIONAL_OPERATORS:
                return self._read(tally, inputs, self._elements(outputs))
        raise CountError(
            "a torch function that nothing accounts for", place=tally.path, found=tally.name,
            remedy="add it to the lists in modelmeter.verify.operators",
        )  # fmt: skip

    def _take_rows(self, table: Tensor, indices: list[Tensor], outputs: list[Tensor]) -> _Moved:
        """Return the rows of ``table`` that make up the output, and the indices that choose them."""
        rows = Elements(**{self._kind(table): outputs[0].numel()})
        return self._pass(rows + self._elements(indices), self._elements(outputs), table)

    def _pass(self, reads: Elements, writes: Elements, source: Tensor) -> _Moved:
        """Return what an operator moves whose floating numbers all come from ``source``."""
        wanted = evolve(reads, index=0) if source.requires_grad else Elements()
        return _Moved(reads=reads, writes=writes, wanted=wanted)

    def _read(self, tally: Tally, inputs: list[Tensor], writes: Elements) -> _Moved:
        """Return what an operator moves that reads of its inputs what ATen operators touch."""
        if tally.read - {storage_key(tensor) for tensor in inputs}:
            raise CountError("an operator reads a tensor that is not among its inputs", place=tally.place)
        read = [tensor for tensor in inputs if storage_key(tensor) in tally.read]
        wanted = self._elements(tensor for tensor in read if tensor.requires_grad)
        return _Moved(reads=self._elements(read), writes=writes, wanted=wanted)

    def _elements(self, tensors: Iterable[Tensor]) -> Elements:
        """Return the elements of ``tensors`` by kind: equal views once, expanded dimensions once."""
        # As text: a symbolic size has no hash.
        views = {(storage_key(view), str((view.storage_offset(), view.shape, view.stride()))): view for view in tensors}
        total = Elements()
        for (key, *_), view in views.items():
            kind = self._kind(view)
            size = prod(size for size, stride in zip(view.shape, view.stride(), strict=True) if stride)
            total = total + Elements(**{kind: size})
            if kind == "kv" and size > prod(self.cached_shapes.get(key, (0,))):
                self.cached_shapes[key] = tuple(view.shape)
        return total

    def _kind(self, tensor: Tensor) -> Kind:
        if tensor.dtype == torch.int64:
            return "index"
        if not tensor.is_floating_point():
            raise CountError("a type of numbers without an agreed width", found=tensor.dtype)
        return self._kinds.get(storage_key(tensor), "activation")

    def _remember(self, tensor: Tensor, kind: Kind) -> None:
        self._kinds[storage_key(tensor)] = kind
        self._kept.append(tensor)

    def _inherit(self, sources: list[Tensor], results: list[Tensor]) -> None:
        """Give the result of a free function the kind of what it was made from."""
        for tensor in results:
            kind = self._kinds.get(storage_key(sources[0]))
            if kind and tensor.is_floating_point():
                self._remember(tensor, kind)


def name_function(func: Callable[..., Any], args: tuple[Any, ...]) -> str:
    """Return the published name of a torch function; indexing goes by whether a tensor chooses the rows."""
    name: str = func.__name__
    if name in ("__getitem__", "__setitem__"):
        is_chosen = bool(tensors_in(args[1]))
        if name == "__getitem__":
            return "index" if is_chosen else "getitem"
        return "index_put" if is_chosen else "setitem"
    return name
