"""Counts the operators of a forward: what each one reads and writes, and its arithmetic."""

from __future__ import annotations

from math import prod
from typing import Any, Final, Protocol

import torch
from attrs import evolve, field, frozen
from torch import Tensor, nn

from modelmeter.metrics.cost import Elements, Operator
from modelmeter.metrics.operator_table import (
    ATTENTION,
    LOOK_UPS,
    OVERWRITING,
    ROW_UPDATES,
)
from modelmeter.support.errors import CountError
from modelmeter.verify.dispatch import Dispatched, DispatchFollower, next_node_number, storage_key
from modelmeter.verify.known_results import KnownResults, name_size
from modelmeter.verify.tensor_kinds import Cache, Kind, TensorKinds
from modelmeter.verify.weights import count_scores, weigh

_NO_NODES: Final = range(0)


@frozen(kw_only=True)
class CountedOperator(Operator):
    """An operator as it was seen to run; all its numbers are integers.

    Parameters
    ----------
    path
        The qualified name of the module whose forward called it.
    nodes
        The sequence numbers of the autograd nodes that it made: one if an input requires a gradient, and many of
        attention.
    scores
        Pairs of a query and a key, over all heads, of an attention.
    """

    path: str
    nodes: range = field(default=range(0), eq=False)
    scores: int = 0


class Products(Protocol):
    """Counts matrix products, as FlopCounterMode does."""

    def get_total_flops(self) -> int:
        """Return what was counted by now."""


@frozen(kw_only=True)
class _Numbers:
    """What an operator is counted at, wherever in a model it runs."""

    reads: Elements
    writes: Elements
    differentiated: Elements
    gradients: Elements | None
    scores: int
    cuda_core_flops: int


class OperatorRecorder(DispatchFollower):
    """Records the operators of a forward in their order.

    An operator reads each of its inputs once, equal views and expanded dimensions once, and writes its outputs.
    Look-ups read the rows that they take. The kind of an element follows the memory: that of a parameter is a weight,
    that of the cache a key or value. Of the others, 64-bit integers are indices, and 32-bit floats stay what they are
    wherever the model computes with another type.

    Parameters
    ----------
    model
        Gives the module paths and the parameters; the type of most of them is the type that the model computes with.
    cache
        The KV cache.
    flops
        The counter that runs beneath this one. An operator gets what it counts while the operator runs.

    Raises
    ------
    CountError
        When an operator is not known, a module is not part of the model, or numbers have a type without a kind.
    """

    def __init__(self, model: nn.Module, cache: Cache, flops: Products) -> None:
        self.flops = KnownResults(flops.get_total_flops)
        super().__init__(model, self.flops)
        self.operators: list[CountedOperator] = []
        self._cached: dict[int, tuple[str, int]] = {}
        self._cached_kinds: dict[int, Kind] = {}
        self._kinds = TensorKinds(model, cache)
        self._flops_before: Any = 0
        self._nodes_before = 0

    def before(self) -> None:
        """Note what is counted until an operator runs."""
        self._flops_before = self.flops.get_total_flops()
        self._nodes_before = next_node_number()

    def note(self, operator: Dispatched) -> None:
        """Record an operator."""
        self._kinds.refresh()
        self.record(operator)

    def record(self, operator: Dispatched) -> None:
        """Record an operator beside the cache as it was last looked at."""
        numbers = self._count_once(operator)
        # The node of an operator is made just before it is dispatched, those of attention after it was seen.
        flops = self.flops.get_total_flops()
        first = self._nodes_before - (0 if operator.name == ATTENTION else 1)
        is_learned = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in operator.inputs)
        self.operators.append(
            CountedOperator(
                path=operator.path,
                name=operator.name,
                reads=numbers.reads,
                writes=numbers.writes,
                differentiated=numbers.differentiated,
                gradients=numbers.gradients,
                nodes=range(first, next_node_number()) if is_learned else _NO_NODES,
                scores=numbers.scores,
                cuda_core_flops=numbers.cuda_core_flops,
                tensor_core_flops=0 if flops is self._flops_before else flops - self._flops_before,
            )
        )

    def _count_once(self, operator: Dispatched) -> _Numbers:
        """Return what an operator is counted at.

        Types, shapes and strides say that, which are known where the operator is, which memory is that of weights, and
        what wants gradients. Of one that touches the cache, or reads one memory twice, they do not say all.
        """
        inputs = list(map(storage_key, operator.inputs))
        if operator.known is None or len(set(inputs)) < len(inputs) or self._kinds.has_cached(inputs):
            return self._count_numbers(operator)
        key = (
            *map(self._kinds.is_weight, inputs),
            torch.is_grad_enabled(),
            *(each.requires_grad for each in operator.inputs),
        )
        counted: dict[tuple[bool, ...], _Numbers] = operator.known.counted
        if key not in counted:
            counted[key] = self._count_numbers(operator)
        return counted[key]

    def _count_numbers(self, operator: Dispatched) -> _Numbers:
        reads, wanted = self._read(operator)
        return _Numbers(
            reads=reads,
            writes=(
                self._kinds.measure(operator.inputs[0], operator.inputs[-1].numel())
                if operator.name in ROW_UPDATES
                else self._count_touched(operator, operator.outputs)
            ),
            differentiated=self._count_floats(operator.outputs[:1]),
            gradients=wanted if torch.is_grad_enabled() else None,
            scores=count_scores(*operator.inputs[:2]) if operator.name == ATTENTION else 0,
            cuda_core_flops=weigh(operator),
        )

    def _read(self, operator: Dispatched) -> tuple[Elements, Elements]:
        """Return what an operator reads, and what of it requires a gradient."""
        inputs, outputs = operator.inputs, operator.outputs
        if operator.name in LOOK_UPS:
            table, *indices = inputs
            rows = self._kinds.measure(table, outputs[0].numel())
            return rows + self._count(indices), rows if table.requires_grad else Elements()
        if operator.name in ROW_UPDATES:
            table, *rest = inputs
            return self._kinds.measure(table, rest[-1].numel()) + self._count(rest), self._count_floats(rest)
        read = inputs[1:] if operator.name in OVERWRITING else inputs
        wanted = [tensor for tensor in read if tensor.requires_grad] if torch.is_grad_enabled() else []
        return self._count_touched(operator, read), self._count_floats(wanted)

    def cached_by_path(self) -> dict[str, int]:
        """Return the elements of the KV cache by the module that touches them.

        Raises
        ------
        CountError
            If any of them is kept in float32 whatever keys and values are.
        """
        total: dict[str, int] = {}
        for key, (path, size) in self._cached.items():
            if self._cached_kinds[key] != "kv":
                raise CountError("a state is cached in float32, whatever keys and values are", place=path)
            total[path] = total.get(path, 0) + size
        return total

    def _count_touched(self, operator: Dispatched, tensors: list[Tensor]) -> Elements:
        """Return the elements of ``tensors``, and note what of the cache is touched."""
        for tensor in tensors:
            if self._kinds.is_cached(tensor):
                key, size = storage_key(tensor), count_stored(tensor)
                _, before = self._cached.get(key, ("", 0))
                if size > before:
                    self._cached[key] = (operator.path, size)
                    self._cached_kinds[key] = self._kinds.find(tensor)
        return self._count(tensors)

    def _count_floats(self, tensors: list[Tensor]) -> Elements:
        return evolve(self._count(tensors), index=0, byte=0)

    def _count(self, tensors: list[Tensor]) -> Elements:
        """Return the elements of ``tensors`` by kind: equal views once, expanded dimensions once."""
        views = list({_find_place(view): view for view in tensors}.values()) if len(tensors) > 1 else tensors
        measured = [self._kinds.measure(view, count_stored(view)) for view in views]
        return sum(measured[1:], start=measured[0]) if measured else Elements()


def _find_place(view: Tensor) -> tuple[Any, ...]:
    """Return which memory a view is of, and which of its numbers it shows."""
    sizes = view.storage_offset(), *view.shape, *view.stride()
    return storage_key(view), *map(name_size, sizes)


def count_stored(view: Tensor) -> int:
    """Return the elements of a view that are stored: an expanded dimension is one."""
    return prod(size for size, stride in zip(view.shape, view.stride(), strict=True) if stride)
