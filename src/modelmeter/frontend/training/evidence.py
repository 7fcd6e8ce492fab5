"""Checks the formulas of a training step against counts of the unmodified modules, without a symbol anywhere.

Each module is called by itself, on inputs that want the same gradients as in the model, and autograd is watched as it
goes back: ``FlopCounterMode`` counts the matrix products of it, a dispatch mode all else. The attribution of these to
modules in the trace has no part in it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from math import inf
from time import perf_counter
from typing import Any

import torch
from attrs import asdict, evolve
from torch import Tensor, nn
from torch._dispatch.python import enable_python_dispatcher
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode
from transformers.cache_utils import Cache

from modelmeter.dimensions.evaluate import evaluate
from modelmeter.dimensions.functions import Size
from modelmeter.frontend.cache import make_cache
from modelmeter.frontend.counts import find_widths
from modelmeter.frontend.evidence import Checked, expect, list_modules
from modelmeter.frontend.training.recording import drop_nothing
from modelmeter.frontend.training.step import STAGE
from modelmeter.frontend.training.tracing import prepare_training
from modelmeter.graph.module_graph import ModuleGraph
from modelmeter.layers.base import BaseLayer
from modelmeter.layers.child import backward, forward_without_cache
from modelmeter.metrics.cost import Work
from modelmeter.metrics.metric import METRICS
from modelmeter.verify.dispatch import next_node_number, tensors_in
from modelmeter.verify.gradient_graph import walk
from modelmeter.verify.operators import OperatorRecorder
from modelmeter.verify.training import count_training_step

Call = Callable[[], object]


def check_training(
    model: nn.Module,
    graph: ModuleGraph,
    build_layers: Callable[[Mapping[str, Size]], BaseLayer],
    sizes: Mapping[str, int],
    *,
    layers: int,
    traced: Mapping[str, Sequence[str]] | None = None,
) -> Checked:
    """Count a training step of ``model`` at ``sizes``, and compare every metric with the formulas.

    ``traced`` has the modules of each node of the graph where the model is one of few layers: then each of them is
    compared, and else the model alone.

    Raises
    ------
    CountError
        If one differs; the message names the module and the metric.
    """
    started = perf_counter()
    dtype = next(model.parameters()).dtype
    widths = find_widths(dtype)
    numbers = {**sizes, **asdict(widths)}
    root = build_layers(numbers)
    ours = _add_up(list_modules(graph, root, traced))
    run = prepare_training(model, sizes).run
    calls = {"": [run]} if traced is None else _record_calls(model, run)
    compared = 0
    # Code of torch that is made of other operators is taken apart as in the trace: some of it has two forms.
    with enable_python_dispatcher(), drop_nothing():
        for path in _sort_inwards(ours):
            own_calls = calls.get(path, [])
            if len(own_calls) != 1:  # of two calls, the gradients of parameters are added up outside both
                continue
            compared += 1
            ahead = _count_forward(model, own_calls[0])
            both, theirs = Work.of(ours[path]), ahead + _count_backward(model, own_calls[0])
            states = ours[path][0].writes.to_bits(widths), ahead.writes.to_bits(widths)
            bits = ((work.reads + work.writes).to_bits(widths) for work in (both, theirs))
            pairs = {
                "tensor_core_flops": (both.tensor_core_flops, theirs.tensor_core_flops),
                "cuda_core_flops": (both.cuda_core_flops, theirs.cuda_core_flops),
                "io_bytes": tuple(bits),
                "activation_bytes": states,
            }  # fmt: skip
            for metric, (derived, measured) in pairs.items():
                expect(STAGE.name, path, metric, evaluate(derived, numbers), measured, sizes)
    if traced is None:
        expect(STAGE.name, "", "weight_bytes", root.parameters, graph.root.parameter_count, sizes)
    return Checked(
        stage=STAGE.name, layers=layers, sizes=dict(sizes), modules=compared, metrics=METRICS,
        dtype=str(dtype).removeprefix("torch."), seconds=perf_counter() - started,
    )  # fmt: skip


def _sort_inwards(paths: Iterable[str]) -> list[str]:
    """Return the innermost first: the first that differs is the module that does."""
    return sorted(paths, key=lambda path: path.count(".") + (path != ""), reverse=True)


def _add_up(layers: Iterable[tuple[str, BaseLayer]]) -> dict[str, tuple[Work, Work]]:
    """Return what the forward and the backward of each module do, with everything below it."""
    found: dict[str, tuple[Work, Work]] = {}
    for path, layer in layers:
        operators = layer.operators()
        forward, going_back = Work.of(map(forward_without_cache, operators)), Work.of(map(backward, operators))
        names = path.split(".") if path else []
        found.setdefault(path, (Work(), Work()))
        for depth in range(len(names) + 1):
            above = ".".join(names[:depth])
            ahead, back = found.get(above, (Work(), Work()))
            found[above] = ahead + forward, back + going_back
    return found


def _record_calls(model: nn.Module, forward: Call) -> dict[str, list[Call]]:
    """Return the calls of each module, on inputs of its own that want the same gradients.

    They return the tensors that the model goes on with: no gradient comes to others, such as scores of attention.
    """
    calls: defaultdict[str, list[Call]] = defaultdict(list)
    last_used: dict[Any, float] = {}
    """By place in the graph, the number of the last node that what stands there goes into."""

    def record(path: str, module: nn.Module, args: Any, kwargs: Any, result: Any) -> None:
        made = [(tensor.grad_fn, tensor.output_nr) for tensor in tensors_in(result)]
        end = next_node_number()

        def call() -> object:
            with torch.device("meta"):
                returned = tensors_in(module(*_copy(model, args), **_copy(model, kwargs)))
            return [tensor for place, tensor in zip(made, returned, strict=True) if last_used.get(place, -1) >= end]

        calls[path].append(call)

    hooks = [
        module.register_forward_hook(partial(record, path), with_kwargs=True)
        for path, module in model.named_modules()
        if path
    ]
    try:
        with torch.enable_grad():
            outputs = tensors_in(forward())
    finally:
        for hook in hooks:
            hook.remove()
    for node in walk(output.grad_fn for output in outputs):
        for place in node.next_functions:
            last_used[place] = max(node._sequence_nr(), last_used.get(place, -1))
    last_used |= {(output.grad_fn, output.output_nr): inf for output in outputs}
    calls[""].append(forward)
    return dict(calls)


def _copy(model: nn.Module, value: Any) -> Any:
    """Return an input without what it was made of; a cache is empty again."""
    match value:
        case Tensor():
            return value.detach().requires_grad_(value.requires_grad)
        case Cache():
            return make_cache(model)
        case dict():
            return {key: _copy(model, each) for key, each in value.items()}
        case tuple() | list():
            return type(value)(_copy(model, each) for each in value)
        case _:
            return value


def _count_forward(model: nn.Module, call: Call) -> Work:
    """Return what a forward does where gradients are wanted, with the matrix products of FlopCounterMode."""
    recorder, products = OperatorRecorder(model, tuple, FlopCounterMode(display=False)), FlopCounterMode(display=False)
    with (
        torch.enable_grad(), sdpa_kernel(SDPBackend.MATH), recorder.modules.watch_modules(), recorder,
        recorder.follow_attention(),
    ):  # fmt: skip
        call()
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), products:
        call()
    return evolve(Work.of(recorder.operators), tensor_core_flops=products.get_total_flops())


def _count_backward(model: nn.Module, call: Call) -> Work:
    """Return what a backward does; nothing where no output is made of what wants a gradient, as with angles."""
    with torch.enable_grad():
        if all(tensor.grad_fn is None for tensor in tensors_in(call())):
            return Work()
    return count_training_step(model, call).backward


def describe_training_checks(checked: Sequence[Checked]) -> str:
    """Return what was checked, as sentences with code in double backquotes."""
    text = (
        "Traced symbolically: the unmodified modules of transformers ran on the meta device with symbols for the sizes "
        "of the workload, a batch of one apart, and so did the backward that autograd makes of them. Each operator of "
        "the backward is of the module that made its node."
    )
    if not checked:
        return text
    points = {tuple(each.sizes.items()) for each in checked}
    modules, layers = (max(getattr(each, name) for each in checked) for name in ("modules", "layers"))
    return (
        f"{text} Polynomial identity test: at {len(points)} points drawn by chance, also computing in float32, each of "
        f"{modules} modules was called by itself without symbols, with what the model gives it, and autograd was "
        f"watched as it went back; the whole model with all {layers} layers was at one of them. The FLOPs of "
        "``FlopCounterMode`` and what a dispatch mode counted were equal."
    )
