"""The comparison of a layer with a counted forward of a torch module, and with a training step of it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from fractions import Fraction
from typing import Any

import torch
from attrs import evolve, fields, frozen
from torch import Tensor, nn

from modelmeter.dimensions.evaluate import evaluate
from modelmeter.dimensions.functions import Size, bounded_routed_reads
from modelmeter.graph.dtypes import default_dtype
from modelmeter.layers.base import BaseLayer
from modelmeter.layers.child import Routing
from modelmeter.layers.container import ModuleList
from modelmeter.metrics.cost import Cost, Elements, Work
from modelmeter.metrics.metric import FLOWS, METRICS, MetricName
from modelmeter.verify.counting import ForwardCount, count_forward
from modelmeter.verify.dispatch import tensors_in
from modelmeter.verify.tensor_kinds import Cache
from modelmeter.verify.training import count_training_step

# Pairwise different and odd, so that no kind of element can be counted for another, and bytes are fractions.
BITS = {"weight_bits": 5, "activation_bits": 11, "kv_bits": 3}
# Where there is a cache, it has the type of the activations: it takes keys and values as they are.
BITS_OF_A_CACHE = BITS | {"kv_bits": 11}
# Where nothing is cast.
BITS_OF_FLOAT32 = {"weight_bits": 32, "activation_bits": 32, "kv_bits": 32}


@frozen
class _Entry:
    """An operator at a module path, in numbers; the numbers of alike siblings are left out of the path."""

    path: str
    name: str
    tensor_core_flops: int | Fraction
    cuda_core_flops: int | Fraction
    reads: Elements
    writes: Elements

    def __add__(self, other: _Entry) -> _Entry:
        return _Entry(
            self.path, self.name, self.tensor_core_flops + other.tensor_core_flops,
            self.cuda_core_flops + other.cuda_core_flops, self.reads + other.reads, self.writes + other.writes,
        )  # fmt: skip

    @property
    def is_empty(self) -> bool:
        return self == _Entry(self.path, self.name, 0, 0, Elements(), Elements())


def check_layer(
    layer: BaseLayer,
    sizes: dict[str, int],
    module: nn.Module,
    forward: Callable[[], Any],
    *,
    cache: Cache = tuple,
    stored: Iterable[Tensor] | None = None,
    summed: Collection[str] = (),
) -> None:
    """Check ``layer`` against ``forward`` of ``module``: operators by module path, output shape, all six metrics.

    ``sizes`` are the values of the layer's symbols. ``stored`` are the parameters that the layer holds, where
    these are not all of the module's. ``summed`` are paths of modules whose layers state an operator once for several
    calls of it: those of one name are compared as a sum. Nothing may differ, not by one.
    """
    dtype = _find_dtype(module)
    bits = BITS_OF_FLOAT32 if dtype == torch.float32 else BITS if cache is tuple else BITS_OF_A_CACHE
    sizes = {**sizes, **bits}
    outputs: list[Tensor] = []
    with default_dtype(dtype):
        seen = count_forward(module, lambda: outputs.extend(tensors_in(forward())), cache=cache)

    derived, counted = _entries(layer, sizes), _counted(seen)
    if dtype == torch.float32:
        derived, counted = map(_join_floats, derived), map(_join_floats, counted)
    assert _merge(derived, summed) == _merge(counted, summed), "operators by module path"
    assert tuple(evaluate(size, sizes) for size in layer.output_shape) == outputs[0].shape
    parameters = sum(tensor.numel() for tensor in (module.parameters() if stored is None else stored))
    expected = find_metrics(seen.work, parameters, seen.kv_elements, bits)
    assert _value(layer.cost, sizes, routed_reads=bounded_routed_reads) == expected
    assert _value(_in_numbers(layer, sizes).cost, {}) == _value(layer.cost, sizes), "numbers give what formulas give"


def _find_dtype(module: nn.Module) -> torch.dtype:
    """Return the type that ``module`` computes with: that of its parameters, or torch's own where it has none."""
    types = {parameter.dtype for parameter in module.parameters()} or {torch.get_default_dtype()}
    (dtype,) = types
    return dtype


def check_training(layer: BaseLayer, sizes: dict[str, int], module: nn.Module, forward: Callable[[], Any]) -> None:
    """Check the backward of ``layer`` and a training step of it against ``forward`` of ``module`` and its backward.

    FLOPs, and the elements of every kind that the backward reads and writes; then all six metrics of the step, whose
    forward has the FLOPs of any forward.
    """
    dtype = _find_dtype(module)
    bits = BITS_OF_FLOAT32 if dtype == torch.float32 else BITS
    sizes = {**sizes, **bits}
    with default_dtype(dtype):
        seen = count_training_step(module, forward)

    def number(size: Size) -> int | Fraction:
        return evaluate(size, sizes, routed_reads=bounded_routed_reads)

    assert number(layer.backward_tensor_core_flops()) == seen.backward.tensor_core_flops
    assert number(layer.backward_cuda_core_flops()) == seen.backward.cuda_core_flops
    for derived, counted in (
        (layer.backward_work.reads, seen.backward.reads),
        (layer.backward_work.writes, seen.backward.writes),
    ):
        moved = _map_elements(derived, number)
        if dtype == torch.float32:
            moved, counted = _add_floats(moved), _add_floats(counted)
        assert moved == counted
    ahead = Work(
        tensor_core_flops=number(layer.forward_tensor_core_flops()),
        cuda_core_flops=number(layer.forward_cuda_core_flops()),
        reads=Elements.total(operator.reads for operator in seen.operators),
        writes=Elements.total(operator.writes for operator in seen.operators),
    )
    stored = sum(parameter.numel() for parameter in module.parameters())
    both, states = (find_metrics(work, stored, 0, bits) for work in (ahead + seen.backward, ahead))
    expected = {metric: (both if metric in FLOWS else states)[metric] for metric in METRICS}
    assert _value(layer.training_cost, sizes, routed_reads=bounded_routed_reads) == expected


def find_metrics(work: Work, parameters: int, kv_elements: int, bits: dict[str, int]) -> dict[MetricName, Fraction]:
    moved = work.reads + work.writes
    weight, activation, kv = bits["weight_bits"], bits["activation_bits"], bits["kv_bits"]
    return {
        "tensor_core_flops": Fraction(work.tensor_core_flops),
        "cuda_core_flops": Fraction(work.cuda_core_flops),
        "io_bytes": Fraction(
            moved.weight * weight
            + moved.activation * activation
            + moved.kv * kv
            + moved.index * 64
            + moved.float32 * 32,
            8,
        ),
        "weight_bytes": Fraction(parameters * weight, 8),
        # What operators write, but for the cache, which is a metric of its own.
        "activation_bytes": Fraction(
            work.writes.activation * activation + work.writes.index * 64 + work.writes.float32 * 32, 8
        ),
        "kv_cache_bytes": Fraction(kv_elements * kv, 8),
    }


def _value(cost: Cost, sizes: dict[str, int], **rule: Any) -> dict[MetricName, Fraction]:
    return {metric: Fraction(evaluate(cost[metric], sizes, **rule)) for metric in METRICS}


def _entries(layer: BaseLayer, sizes: dict[str, int]) -> Iterator[_Entry]:
    """Yield the operators of ``layer`` and of all below it, as often as they are called."""

    def number(size: Size) -> int | Fraction:
        return evaluate(size, sizes, routed_reads=bounded_routed_reads)

    def walk(layer: BaseLayer, path: str, times: int, routing: Routing | None) -> Iterator[_Entry]:
        for operator in layer.operators():
            entry = _Entry(
                path, operator.name, number(operator.tensor_core_flops), number(operator.cuda_core_flops),
                _map_elements(operator.reads, number), _map_elements(operator.writes, number),
            )  # fmt: skip
            if routing is not None:
                # All chosen siblings together read min(E, k N) times the weights of one.
                share = bounded_routed_reads(
                    *(int(number(size)) for size in (
                        routing.n_routed_experts, routing.num_experts_per_tok, routing.num_tokens
                    )), int(entry.reads.weight),
                )  # fmt: skip
                entry = _scale(entry, number(routing.n_routed_experts), weight=share)
            if not entry.is_empty:
                yield from [entry] * times
        for name, child in layer.children.items():
            below = f"{path}.{'*' if isinstance(layer, ModuleList) else name}".removeprefix(".")
            for inner, calls in child.calls:
                # Routed siblings are one entry for all of them; the others one each.
                count = 1 if child.routing else int(number(child.count))
                yield from walk(inner, below, times * count * int(number(calls)), child.routing or routing)

    return walk(layer, "", 1, None)


def _scale(entry: _Entry, factor: int | Fraction, *, weight: int) -> _Entry:
    reads = entry.reads.scale(factor)
    return _Entry(
        entry.path, entry.name, factor * entry.tensor_core_flops, factor * entry.cuda_core_flops,
        evolve(reads, weight=weight), entry.writes.scale(factor),
    )  # fmt: skip


def _join_floats(entry: _Entry) -> _Entry:
    """Return the entry of a model in float32, where what is float32 anyway cannot be told from what is not."""
    return evolve(entry, reads=_add_floats(entry.reads), writes=_add_floats(entry.writes))


def _add_floats(elements: Elements) -> Elements:
    floats = elements.activation + elements.weight + elements.float32
    return Elements(activation=floats, kv=elements.kv, index=elements.index)


def _counted(seen: ForwardCount) -> Iterator[_Entry]:
    for operator in seen.operators:
        path = re.sub(r"\b(blocks|layers|experts)\.\d+", r"\1.*", operator.path)
        yield _Entry(
            path, operator.name, operator.tensor_core_flops, operator.cuda_core_flops, operator.reads, operator.writes
        )


def _merge(entries: Iterable[_Entry], summed: Collection[str]) -> Counter[_Entry]:
    """Return the multiset of the entries, with one sum for all of a name in the paths of ``summed``.

    So it is for what routed experts do: their shares may differ by one.
    """
    sums: dict[tuple[str, str], _Entry] = {}
    others: Counter[_Entry] = Counter()
    for entry in entries:
        if "experts.*" in entry.path or entry.path in summed:
            key = (entry.path, entry.name)
            sums[key] = sums[key] + entry if key in sums else entry
        else:
            others[entry] += 1
    return others + Counter(sums.values())


def _map_elements(elements: Elements, number: Callable[[Size], int | Fraction]) -> Elements:
    return Elements(**{kind.name: number(getattr(elements, kind.name)) for kind in fields(Elements)})


def _in_numbers(value: Any, sizes: dict[str, int]) -> Any:
    """Return ``value``, a layer or what layers are made of, with numbers for its formulas."""
    if isinstance(value, bool | str) or value is None:
        return value
    if isinstance(value, tuple):
        return tuple(_in_numbers(item, sizes) for item in value)
    if hasattr(type(value), "__attrs_attrs__"):
        held = {each.name: _in_numbers(getattr(value, each.name), sizes) for each in fields(type(value))}
        return type(value)(**held)
    return evaluate(value, sizes)
