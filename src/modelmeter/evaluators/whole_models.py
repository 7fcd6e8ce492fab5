"""Other forms of what a package computes: layers that are the sum of stages, so that no backend says them again."""

from __future__ import annotations

from collections.abc import Mapping

import sympy
from attrs import frozen

from modelmeter.algebra.program import Program
from modelmeter.algebra.simplify import build_program
from modelmeter.core.functions import Size
from modelmeter.core.metrics import FUSED_IO, METRICS
from modelmeter.core.symbols import names_of
from modelmeter.evaluators.spec import LayerFormula, PackageSpec


@frozen(kw_only=True)
class WholeModel:
    """A layer whose cost is that of some stages at the same sizes, and of a rest.

    Parameters
    ----------
    stages
        The stages, all of them with the sizes of the architecture as arguments.
    rest, fused_rest
        What is to be added to each metric of the stages, and to their ``fused_io_bytes``; it may be negative.
    cancelled
        Sizes of the stages that the layer does not depend on, each with a value that it may have.
    """

    stages: tuple[str, ...]
    rest: Program
    fused_rest: Program
    cancelled: Mapping[str, int]


def split_whole_model(layer: LayerFormula, spec: PackageSpec) -> WholeModel | None:
    """Return a layer as a sum of stages, or None where what is left is more than half of it."""
    stages = [
        name
        for name, cost in spec.costs.items()
        if _names_in(*cost.as_dict().values()) <= layer.sizes.keys() | spec.free_derivations.keys()
    ]
    if not stages:
        return None
    costs: dict[str, Size] = {
        metric: sympy.Add(layer.cost[metric], *(-spec.costs[stage][metric] for stage in stages)) for metric in METRICS
    }
    rest = build_program(costs, dimensions=spec.dimensions)
    whole = build_program({metric: layer.cost[metric] for metric in METRICS}, dimensions=spec.dimensions)
    if 2 * rest.operations > whole.operations:
        return None
    fused_rest = sympy.Add(layer.fused_io_bytes, *(-spec.fused_io[stage] for stage in stages))
    taken = {name for stage in stages for name in _names_in(*spec.costs[stage].as_dict().values())}
    return WholeModel(
        stages=tuple(stages),
        rest=rest,
        fused_rest=build_program({FUSED_IO: fused_rest}, dimensions=spec.dimensions),
        cancelled={name: spec.dimensions.describe(name).minimum for name in sorted(taken - layer.sizes.keys())},
    )


def _names_in(*sizes: Size) -> set[str]:
    return {name for size in sizes for name in names_of(sympy.sympify(size))}
