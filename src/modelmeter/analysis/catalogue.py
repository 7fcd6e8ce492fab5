"""The layer catalogue: every layer class of a bound model, with its formula in its own sizes."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from attrs import evolve, frozen

from modelmeter.analysis.bind import BoundCall, BoundModule
from modelmeter.analysis.totals import StageRule
from modelmeter.dimensions.evaluate import evaluate
from modelmeter.dimensions.functions import Size
from modelmeter.dimensions.symbols import ANY_LAYER, Dimensions, names_of
from modelmeter.layers.base import BaseLayer
from modelmeter.layers.container import ModuleList, Sequential
from modelmeter.metrics.cost import Cost
from modelmeter.metrics.metric import METRICS
from modelmeter.support.errors import FormulaError


@frozen(kw_only=True)
class Occurrence:
    """A place where a layer class is called.

    ``times`` is how often it is called there in one run, over all siblings that the path stands for.
    """

    path: str
    run: str
    stage: str
    times: Size


@frozen(kw_only=True)
class LayerEntry:
    """One layer class.

    Parameters
    ----------
    name
        Name of its evaluator and page (``deepseek_v2_moe``).
    class_name
        Name of the torch class that it models.
    layer
        The layer with a symbol for each of its sizes.
    cost, fused_io_bytes
        One forward of it, in those symbols.
    sizes
        A value for each symbol of ``cost``: the sizes of its first call at the default workload.
    occurrences
        Every place where the model calls it.
    """

    name: str
    class_name: str
    layer: BaseLayer
    cost: Cost
    fused_io_bytes: Size
    sizes: Mapping[str, int]
    occurrences: tuple[Occurrence, ...]


def build_catalogue(
    model: BoundModule, sizes: Mapping[str, int], stage_of: StageRule, dimensions: Dimensions = ANY_LAYER
) -> tuple[LayerEntry, ...]:
    """Return an entry for each layer class that ``model`` calls, in the order of its modules.

    Containers have no work of their own and get no entry.

    Parameters
    ----------
    model
        The root of the bound modules.
    sizes
        The default workload, storage widths and architecture, and the last step of a loop.
    stage_of
        Assigns own work to stages.
    dimensions
        Of the model: they have the symbols of its layers' own sizes.
    """
    calls: dict[type[BaseLayer], list[tuple[BoundModule, BoundCall]]] = {}
    for bound in model.walk():
        for call in bound.list_calls():
            if not isinstance(call.layer, ModuleList | Sequential):
                calls.setdefault(type(call.layer), []).append((bound, call))
    return tuple(_make_entry(layer_class, found, sizes, stage_of, dimensions) for layer_class, found in calls.items())


def _make_entry(
    layer_class: type[BaseLayer],
    calls: list[tuple[BoundModule, BoundCall]],
    sizes: Mapping[str, int],
    stage_of: StageRule,
    dimensions: Dimensions,
) -> LayerEntry:
    first = calls[0][1].layer
    # A layer made of given layers has no sizes of its own: its formula is that of its place in the model.
    is_placed = first.holds_layers or not first.has_own_sizes
    layer, local = (first, {}) if is_placed else _choose_call(layer_class.canonical(dimensions), calls, sizes)
    cost = layer.cost
    needed = {name for metric in METRICS for name in names_of(cost[metric])}
    return LayerEntry(
        name=layer_class.function_name(),
        class_name=layer_class.torch_class(),
        layer=layer,
        cost=cost,
        fused_io_bytes=layer.forward_fused_io_bytes(),
        sizes={name: value for name, value in {**sizes, **local}.items() if name in needed},
        occurrences=tuple(
            Occurrence(path=bound.node.path, run=call.run, stage=stage_of(call.run, bound.node.path), times=call.times)
            for bound, call in calls
        ),
    )


def _choose_call(
    canonical: BaseLayer, calls: list[tuple[BoundModule, BoundCall]], sizes: Mapping[str, int]
) -> tuple[BaseLayer, dict[str, int]]:
    """Return the layer in symbols, and the sizes of the first call that it describes.

    Calls whose sizes are not whole (an expert's mean share) are left out. Those with the flags of the canonical
    layer (``bias``, ``is_sparse``) come first; where there are none, the layer takes the flags of the call.
    """
    layers = sorted((call.layer for _, call in calls), key=lambda layer: layer.flags != canonical.flags)
    for layer in layers:
        values = {name: evaluate(size, sizes) for name, size in layer.own_sizes.items()}
        if not any(isinstance(value, Fraction) for value in values.values()):
            flags: dict[str, Any] = {**layer.flags}
            return evolve(canonical, **flags), {name: int(value) for name, value in values.items()}
    raise FormulaError("no call of this layer has whole sizes", place=type(canonical).__name__)
