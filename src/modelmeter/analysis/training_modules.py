"""What each module costs in a training step, by its path."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import evolve

from modelmeter.analysis.bind import BoundModule
from modelmeter.dimensions.functions import Size
from modelmeter.graph.module_graph import join_path
from modelmeter.layers.base import BaseLayer
from modelmeter.layers.container import ModuleList
from modelmeter.metrics.cost import Cost, Precision


def list_training_modules(root: BaseLayer, model: BoundModule) -> dict[str, Cost]:
    """Return the formulas of each module path with everything below it, all siblings together; the model is at ``""``.

    Paths are those of the module graph that ``model`` binds. Parents come first. Inside siblings that tokens are routed
    to, nothing is told apart: what is read there follows from all of them.
    """
    # A list of layers has numbers for its groups, where the graph has their members.
    paths = {
        (id(group.layer), bound.node.path): child.node.path
        for bound in model.walk()
        if isinstance(bound.layer, ModuleList)
        for child in bound.children
        for group in child.calls
    }
    found = {"": root.training_cost}
    _add_below(root, "", siblings=1, calls=1, found=found, paths=paths)
    return found


def _add_below(
    layer: BaseLayer,
    path: str,
    *,
    siblings: Size,
    calls: Size,
    found: dict[str, Cost],
    paths: Mapping[tuple[int, str], str],
) -> None:
    """Add what is below a layer of which there are so many siblings, each called so often; none holds weights twice."""
    for name, child in layer.children.items():
        below = paths.get((id(child.layer), path)) or join_path(path, name)
        step = child.train(Precision())
        cost = evolve(step.scale(siblings * calls), weight_bytes=siblings * step.weight_bytes)
        if below in found:  # of a further call of what is above, whose weights are there already
            cost = evolve(found[below] + cost, weight_bytes=found[below].weight_bytes)
        found[below] = cost
        if child.routing is None:
            for inner, times in child.calls:
                _add_below(inner, below, siblings=siblings * child.count, calls=calls * times, found=found, paths=paths)
