"""Identities that carry a proof on few layers over to every depth, and to the layer pages."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Generic, Protocol, TypeVar

import sympy
from attrs import evolve, fields, frozen

from modelmeter.analysis.bind import BoundModule
from modelmeter.dimensions.functions import Size
from modelmeter.dimensions.symbols import ANY_LAYER, Dimensions
from modelmeter.layers.base import BaseLayer
from modelmeter.layers.container import ModuleList, Sequential
from modelmeter.metrics.cost import Cost
from modelmeter.metrics.metric import FUSED_IO, METRICS, FusedMetric, MetricName
from modelmeter.verify.case import Case
from modelmeter.verify.integer_facts import Domain, resolve
from modelmeter.verify.model_formulas import ModelFormulas
from modelmeter.verify.proof import Verdict
from modelmeter.verify.symbolic_trace import SymbolicTrace

Counted = MetricName | FusedMetric

COUNTED: tuple[Counted, ...] = (*METRICS, FUSED_IO)


class Sized(Protocol):
    """An architecture."""

    def dimension_values(self) -> Mapping[str, int]:
        """Return its sizes by dimension."""


A = TypeVar("A", bound=Sized)


@frozen(kw_only=True)
class Growth(Generic[A]):
    """An architecture and the same with one more layer.

    ``path`` is that of the new layer, ``layer`` its class, ``dimensions`` are the depths that grow by one.
    """

    smaller: A
    larger: A
    dimensions: tuple[str, ...]
    path: str
    layer: type[BaseLayer]
    stages: tuple[str, ...]


def prove_growth(
    growth: Growth[A],
    formulas: ModelFormulas,
    make_case: Callable[[A], Case],
) -> Iterator[Verdict]:
    """Yield a verdict on each metric: one more layer adds what the trace of that layer has, whatever the depth.

    Ours is the difference of the whole model's formulas at n + 1 and at n layers, with n a symbol. Theirs is the
    new layer in a trace of the larger model, which also has to be the difference of the two traces.

    Parameters
    ----------
    formulas
        Of the smaller architecture, with symbols for the depths.
    make_case
        Makes the forward that is traced.
    """
    case, larger = make_case(growth.smaller), make_case(growth.larger)
    before, after = case.run(), larger.run()
    depths = growth.smaller.dimension_values()
    others = {name: size for name, size in depths.items() if name not in growth.dimensions}
    dimensions = formulas.proved.model.dimensions
    grown = {name: dimensions.symbol(name) + 1 for name in growth.dimensions}
    derived_before = read_formulas(formulas, "", case.stages, {**others, **case.sizes}, after.domain)
    derived_after = read_formulas(formulas, "", case.stages, {**others, **case.sizes, **grown}, after.domain)
    whole_before, whole_after, layer = _read_trace(before, ""), _read_trace(after, ""), _read_trace(after, growth.path)
    for metric in COUNTED:
        derived = sympy.expand(derived_after[metric] - derived_before[metric])
        measured = layer[metric]
        between = sympy.expand(whole_after[metric] - whole_before[metric])
        yield Verdict(
            implementation="reference",
            subject=growth.path,
            layer=growth.layer.function_name(),
            stages="+".join(growth.stages),
            metric=metric,
            kind="identity",
            domain=f"{' and '.join(growth.dimensions)} grow by one, from any depth; {case.describe(after.domain)}",
            dimensions=(*growth.dimensions, *case.dimensions),
            derived=derived,
            measured=measured,
            # Both have to be 0; with opposite signs they must not cancel.
            difference=sympy.expand(derived - measured) or sympy.expand(between - measured),
            seconds=before.seconds + after.seconds,
            note="one more layer adds exactly one layer",
        )


def prove_layer_formulas(model: BoundModule, dimensions: Dimensions = ANY_LAYER) -> Iterator[Verdict]:
    """Yield verdicts: the formula of a layer class, in its own sizes, is the one that the model adds up.

    That is what a layer's page and its evaluator say, at every place where the model calls the layer; ``dimensions``
    are the model's.
    """
    for bound in model.walk():
        for call in bound.calls:
            layer = call.layer
            if isinstance(layer, ModuleList | Sequential) or layer.holds_layers:
                continue
            canonical, sizes = substitute_own_sizes(layer, dimensions)
            own, used = (
                {metric: resolve(size.xreplace(values), Domain()) for metric, size in _read_layer(form).items()}
                for form, values in ((canonical, sizes), (layer, {}))
            )
            for metric in COUNTED:
                yield compare_forms(
                    bound, (call.run,), metric, own[metric], used[metric], domain="all sizes",
                    note=f"{type(layer).__name__} in its own sizes",
                )  # fmt: skip


def substitute_own_sizes(
    layer: BaseLayer, dimensions: Dimensions = ANY_LAYER
) -> tuple[BaseLayer, dict[sympy.Symbol, sympy.Expr]]:
    """Return the layer with a symbol for each of its sizes, and what ``layer`` has for each symbol."""
    values = {attribute.name: getattr(layer, attribute.name) for attribute in fields(type(layer))}
    switches: dict[str, Any] = {name: value for name, value in values.items() if isinstance(value, bool)}
    canonical = type(layer).canonical(dimensions)
    names = {name: sympy.sympify(size) for name, size in canonical.own_sizes.items()}
    sizes = {names[name]: sympy.sympify(size) for name, size in layer.own_sizes.items()}
    return evolve(canonical, **switches), sizes


def read_formulas(
    formulas: ModelFormulas, path: str, stages: Sequence[str], sizes: Mapping[str, Size], domain: Domain
) -> dict[Counted, Size]:
    """Return every counted metric of a module over ``stages`` at ``sizes``, multiplied out."""
    cost = formulas.cost(path, stages, sizes, domain)
    return _put_together(cost, formulas.fused_io(path, stages, sizes, domain))


def _read_trace(trace: SymbolicTrace, path: str) -> dict[Counted, Size]:
    return _put_together(trace.costs[path], trace.fused_io[path])


def _read_layer(layer: BaseLayer) -> dict[Counted, sympy.Expr]:
    sizes = _put_together(layer.cost, layer.forward_fused_io_bytes())
    return {metric: sympy.sympify(size) for metric, size in sizes.items()}


def _put_together(cost: Cost, fused_io: Size) -> dict[Counted, Size]:
    found: dict[Counted, Size] = {FUSED_IO: fused_io}
    for metric in METRICS:
        found[metric] = cost[metric]
    return found


def compare_forms(
    bound: BoundModule, stages: Sequence[str], metric: Counted, derived: Size, measured: Size, *, domain: str, note: str
) -> Verdict:
    """Return a verdict on two forms of one formula."""
    return Verdict(
        implementation="formulas",
        subject=bound.node.path,
        layer=type(bound.layer).function_name(),
        stages="+".join(stages),
        metric=metric,
        kind="identity",
        domain=domain,
        dimensions=(),
        derived=sympy.sympify(derived),
        measured=sympy.sympify(measured),
        difference=sympy.expand(derived - measured),
        seconds=0.0,
        note=note,
    )
