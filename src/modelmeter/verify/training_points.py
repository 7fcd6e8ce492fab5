"""Training steps and the backwards of all layers, against what autograd is seen to do, at points."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from fractions import Fraction
from functools import partial
from time import perf_counter
from typing import Any

import sympy
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from modelmeter.dimensions.evaluate import evaluate
from modelmeter.dimensions.functions import Size, bounded_routed_reads
from modelmeter.graph.dtypes import default_dtype
from modelmeter.layers.base import BaseLayer
from modelmeter.metrics.cost import Cost, Precision, Work
from modelmeter.metrics.metric import BACKWARD_METRICS, FLOWS, METRICS
from modelmeter.model.stages import TRAINING_STEP
from modelmeter.support.errors import CountError
from modelmeter.verify.backward import count_backward
from modelmeter.verify.counting import count_forward
from modelmeter.verify.dispatch import tensors_in
from modelmeter.verify.model_formulas import ModelFormulas
from modelmeter.verify.proof import Progress, Verdict
from modelmeter.verify.proved_model import Point
from modelmeter.verify.training import count_training_step

# Pairwise different and odd: no kind of element can stand for another.
BITS = {"weight_bits": 7, "activation_bits": 13, "kv_bits": 3}
_PRECISION = Precision(**BITS)

Call = Callable[[], Any]


def prove_training(formulas: ModelFormulas, points: Iterable[Point], progress: Progress) -> Iterator[Verdict]:
    """Yield verdicts on a training step at each point, and on the backward of every layer where layers are plain.

    Parameters
    ----------
    formulas
        With symbols for all sizes.
    points
        Experts take every token there, so that their shares are whole; nothing is cached.
    """
    proved = formulas.proved
    for point in points:
        sizes = {**point.architecture, **point.workload, **BITS}
        domain = "; ".join(f"{name} = {size}" for name, size in point.workload.items())
        judge = partial(_judge, domain=domain, note=point.note)
        progress(f"training step at {domain}")
        start = perf_counter()
        prepared = point.prepare(proved.dtype)
        model, forward = prepared.module, prepared.forwards[proved.forward_run]
        measured = _count_step(model, forward)
        seconds = perf_counter() - start
        derived = formulas.model.layer.training_cost
        for metric in METRICS:
            yield judge("", "", metric, _number(derived[metric], sizes), measured[metric], seconds)
        if point.has_plain_layers:
            with default_dtype(proved.dtype):
                yield from _prove_layers(model, forward, formulas, sizes, judge)


def _prove_layers(
    model: nn.Module, forward: Call, formulas: ModelFormulas, sizes: Mapping[str, int], judge: Callable[..., Verdict]
) -> Iterator[Verdict]:
    calls = _record_calls(model, forward)
    for bound, members in formulas.members():
        # Some calls happen at other sizes only.
        run = formulas.proved.forward_run
        happen = (call.layer for call in bound.calls if call.run == run and _number(call.times, sizes))
        layer = next(happen, None)
        if layer is None or members[0] not in calls:
            continue
        start = perf_counter()
        measured = _count_layer(model, calls[members[0]])
        seconds = perf_counter() - start
        for metric, flops in zip(BACKWARD_METRICS, measured, strict=True):
            derived = _number(_backward(layer)[metric], sizes)
            name = type(layer).function_name()
            yield judge(bound.node.path, name, metric, derived, Fraction(flops), seconds)


def _backward(layer: BaseLayer) -> dict[str, Size]:
    return {metric: getattr(layer, metric)() for metric in BACKWARD_METRICS}


def _count_step(model: nn.Module, forward: Call) -> dict[str, Fraction]:
    """Return the metrics of a step: flows of both directions, and states of the forward."""
    ahead, step = count_forward(model, forward), count_training_step(model, forward)
    if Work.of(step.operators).reads != ahead.work.reads:
        raise CountError("two forwards of one model differ", place=type(model).__name__)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    both, states = (_weigh(work, parameters) for work in (ahead.work + step.backward, ahead.work))
    return {metric: _number((both if metric in FLOWS else states)[metric], {}) for metric in METRICS}


def _weigh(work: Work, parameters: int) -> Cost:
    return Cost.of(work=work, parameters=parameters, kv_elements=0, precision=_PRECISION)


def _record_calls(model: nn.Module, forward: Call) -> dict[str, Call]:
    """Return the first call of each module, on inputs of its own that want the same gradients."""
    paths = {module: path for path, module in model.named_modules()}
    calls: dict[str, Call] = {}

    def record(module: nn.Module, args: Any, kwargs: Any) -> None:
        if paths[module] not in calls:
            own_args, own_kwargs = tree_map(_copy, (args, kwargs))
            calls[paths[module]] = lambda: module(*own_args, **own_kwargs)

    hooks = [module.register_forward_pre_hook(record, with_kwargs=True) for module in paths]
    try:
        with torch.enable_grad():
            forward()
    finally:
        for hook in hooks:
            hook.remove()
    return calls


def _copy(value: Any) -> Any:
    return value.detach().requires_grad_(value.requires_grad) if isinstance(value, Tensor) else value


def _count_layer(model: nn.Module, call: Call) -> tuple[int, int]:
    """Return the FLOPs of a backward; none where nothing wants a gradient, as with angles."""
    with torch.enable_grad():
        if not any(tensor.requires_grad for tensor in tensors_in(call())):
            return (0, 0)
    seen = count_backward(model, call)
    return (seen.tensor_core_flops, seen.cuda_core_flops)


def _number(size: Size, sizes: Mapping[str, int]) -> Fraction:
    return Fraction(evaluate(size, sizes, routed_reads=bounded_routed_reads))


def _judge(
    subject: str,
    layer: str,
    metric: Any,
    derived: Fraction,
    measured: Fraction,
    seconds: float,
    *,
    domain: str,
    note: str,
) -> Verdict:
    return Verdict(
        implementation="reference",
        subject=subject,
        layer=layer,
        stages=TRAINING_STEP,
        metric=metric,
        kind="exact at n points",
        domain=domain,
        dimensions=tuple(part.partition(" = ")[0] for part in domain.split("; ")),
        derived=sympy.Rational(derived),
        measured=sympy.Rational(measured),
        difference=sympy.Rational(derived - measured),
        seconds=seconds,
        note=note,
    )
