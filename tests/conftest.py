"""What several test files share: compiled models, and the comparison of a layer with a counted forward."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import pytest
from attrs import fields, frozen
from hypothesis import settings

from modelmeter.cost import FLOWS, METRICS, Cost, Elements, Metric, Work
from modelmeter.evaluate import evaluate
from modelmeter.functions import Size, bounded_routed_reads
from modelmeter.layers.base import BaseLayer
from modelmeter.layers.child import Routing
from modelmeter.layers.container import ModuleList
from modelmeter.models.deepseek_ocr.architecture import DeepSeekOCRArchitecture

if TYPE_CHECKING:
    from torch import Tensor, nn

    from modelmeter.compiler import CompiledModel
    from modelmeter.verify.counting import ForwardCount

# A busy machine may take any time over an example; how fast things are is not what the tests are about. The examples
# are the same on every run, so that a change is judged by what it changed; HYPOTHESIS_PROFILE=explore draws new ones.
settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))

# Pairwise different and odd, so that no kind of element can be counted for another, and bytes are fractions.
BITS = {"weight_bits": 5, "activation_bits": 11, "kv_bits": 3}


@pytest.fixture(scope="session")
def check_layer() -> Callable[..., None]:
    """The comparison of a layer with a forward; see :func:`_check_layer`."""
    return _check_layer


@pytest.fixture(scope="session")
def check_training() -> Callable[..., None]:
    """The comparison of a layer with a training step; see :func:`_check_training`."""
    return _check_training


@pytest.fixture(scope="session")
def expected_metrics() -> Callable[..., dict[Metric, Fraction]]:
    """The six metrics of counted work, with every byte worked out here and not by the cost model."""
    return _metrics


@pytest.fixture(scope="session")
def published() -> CompiledModel:
    """The published model, traced and compiled once a session."""
    from modelmeter.compiler import compile_model

    return compile_model(DeepSeekOCRArchitecture())


@pytest.fixture(scope="session")
def other_architecture() -> DeepSeekOCRArchitecture:
    """Another model of the family: no size is the published one, and no two sizes that could be confused agree."""
    return DeepSeekOCRArchitecture(
        hidden_size=84, intermediate_size=103, moe_intermediate_size=17, num_hidden_layers=5, first_k_dense_replace=2,
        num_attention_heads=6, num_key_value_heads=3, n_routed_experts=11, n_shared_experts=1, num_experts_per_tok=4,
        vocab_size=211, sam_image_size=16 * 19, sam_hidden_size=65, sam_num_hidden_layers=8,
        sam_global_attn_indexes=(0, 4, 7), sam_num_attention_heads=5, sam_intermediate_size=73, sam_window_size=9,
        sam_neck_channels=23, sam_downsample_channels=29, clip_image_size=75, clip_patch_size=15,
        clip_hidden_size=77, clip_num_hidden_layers=13, clip_num_attention_heads=7, clip_intermediate_size=59,
    )  # fmt: skip


@pytest.fixture(scope="session")
def other(other_architecture: DeepSeekOCRArchitecture) -> CompiledModel:
    """The other model, traced and compiled once a session."""
    from modelmeter.compiler import compile_model

    return compile_model(other_architecture)


@pytest.fixture
def full_disk() -> Iterator[None]:
    """Let no file grow past 1,000 bytes while the test runs: what a disk without room does, from inside a process."""
    import resource

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)


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


def _check_layer(
    layer: BaseLayer,
    sizes: dict[str, int],
    module: nn.Module,
    forward: Callable[[], Any],
    *,
    cache: Sequence[Tensor] = (),
    stored: Iterable[Tensor] | None = None,
) -> None:
    """Check ``layer`` against ``forward`` of ``module``: operators by module path, output shape, all six metrics.

    ``sizes`` are the values of the layer's symbols. ``stored`` are the parameters that the layer holds, where
    these are not all of the module's. Nothing may differ, not by one.
    """
    from modelmeter.verify.aten import tensors_in

    from modelmeter.verify.counting import count_forward

    sizes = {**sizes, **BITS}
    outputs: list[Tensor] = []
    seen = count_forward(module, lambda: outputs.extend(tensors_in(forward())), cache=cache)

    assert _merge_routed(_entries(layer, sizes)) == _merge_routed(_counted(seen)), "operators by module path"
    assert tuple(evaluate(size, sizes) for size in layer.output_shape) == outputs[0].shape
    parameters = sum(tensor.numel() for tensor in (module.parameters() if stored is None else stored))
    expected = _metrics(seen.work, parameters, seen.kv_elements, BITS)
    assert _value(layer.cost, sizes, routed_reads=bounded_routed_reads) == expected
    assert _value(_in_numbers(layer, sizes).cost, {}) == _value(layer.cost, sizes), "numbers give what formulas give"


def _check_training(layer: BaseLayer, sizes: dict[str, int], module: nn.Module, forward: Callable[[], Any]) -> None:
    """Check the backward of ``layer`` and a training step of it against ``forward`` of ``module`` and its backward.

    FLOPs, and the elements of every kind that the backward reads and writes; then all six metrics of the step, whose
    forward has the FLOPs of any forward.
    """
    from modelmeter.verify.training import count_training_step

    sizes = {**sizes, **BITS}
    seen = count_training_step(module, forward)

    def number(size: Size) -> int | Fraction:
        return evaluate(size, sizes, routed_reads=bounded_routed_reads)

    assert number(layer.backward_tensor_core_flops()) == seen.backward.tensor_core_flops
    assert number(layer.backward_cuda_core_flops()) == seen.backward.cuda_core_flops
    assert _map_elements(layer.backward_work.reads, number) == seen.backward.reads
    assert _map_elements(layer.backward_work.writes, number) == seen.backward.writes
    ahead = Work(
        tensor_core_flops=number(layer.forward_tensor_core_flops()),
        cuda_core_flops=number(layer.forward_cuda_core_flops()),
        reads=Elements.total(operator.reads for operator in seen.operators),
        writes=Elements.total(operator.writes for operator in seen.operators),
    )
    stored = sum(parameter.numel() for parameter in module.parameters())
    both, states = (_metrics(work, stored, 0, BITS) for work in (ahead + seen.backward, ahead))
    expected = {metric: (both if metric in FLOWS else states)[metric] for metric in METRICS}
    assert _value(layer.training_cost, sizes, routed_reads=bounded_routed_reads) == expected


def _metrics(work: Work, parameters: int, kv_elements: int, bits: dict[str, int]) -> dict[Metric, Fraction]:
    moved = work.reads + work.writes
    weight, activation, kv = bits["weight_bits"], bits["activation_bits"], bits["kv_bits"]
    return {
        "tensor_core_flops": Fraction(work.tensor_core_flops),
        "cuda_core_flops": Fraction(work.cuda_core_flops),
        "io_bytes": Fraction(
            moved.weight * weight + moved.activation * activation + moved.kv * kv + moved.index * 64, 8
        ),
        "weight_bytes": Fraction(parameters * weight, 8),
        # What operators write, but for the cache, which is a metric of its own.
        "activation_bytes": Fraction(work.writes.activation * activation + work.writes.index * 64, 8),
        "kv_cache_bytes": Fraction(kv_elements * kv, 8),
    }


def _value(cost: Cost, sizes: dict[str, int], **rule: Any) -> dict[Metric, Fraction]:
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
        Elements(activation=reads.activation, weight=weight, kv=reads.kv, index=reads.index),
        entry.writes.scale(factor),
    )  # fmt: skip


def _counted(seen: ForwardCount) -> Iterator[_Entry]:
    for operator in seen.operators:
        path = re.sub(r"\b(blocks|layers|experts)\.\d+", r"\1.*", operator.path)
        yield _Entry(
            path, operator.name, operator.tensor_core_flops, operator.cuda_core_flops, operator.reads, operator.writes
        )


def _merge_routed(entries: Iterable[_Entry]) -> Counter[_Entry]:
    """Return the multiset of the entries, with one sum for what routed experts do: their shares may differ by one."""
    routed: dict[tuple[str, str], _Entry] = {}
    others: Counter[_Entry] = Counter()
    for entry in entries:
        if "experts.*" in entry.path:
            key = (entry.path, entry.name)
            routed[key] = routed[key] + entry if key in routed else entry
        else:
            others[entry] += 1
    return others + Counter(routed.values())


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
