"""Layers that are the sum of stages, so that what they compute is said once: with the stages, and a rest."""

from __future__ import annotations

from collections.abc import Mapping
from math import lcm

import sympy
from attrs import evolve, frozen

from modelmeter.algebra.program import (
    PRODUCT,
    SUM,
    Node,
    Operation,
    Output,
    Program,
    arrange,
    join_programs,
    select,
    tidy,
)
from modelmeter.algebra.simplify import build_program
from modelmeter.dimensions.functions import Size
from modelmeter.dimensions.symbols import names_of
from modelmeter.evaluators.spec import LayerFormula, PackageSpec
from modelmeter.metrics.metric import FUSED_IO, METRICS


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


def split_whole_model(layer: LayerFormula, spec: PackageSpec, stages_program: Program) -> WholeModel | None:
    """Return a layer as a sum of stages, or None where what is left is more than half of these.

    Parameters
    ----------
    stages_program
        That of all stages, with the sizes of the architecture as inputs.
    """
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
    taken_over = select(stages_program, *(f"{stage}_{metric}" for stage in stages for metric in METRICS))
    if 2 * rest.operations > taken_over.operations:
        return None
    fused_rest = sympy.Add(layer.fused_io_bytes, *(-spec.fused_io[stage] for stage in stages))
    taken = {name for stage in stages for name in _names_in(*spec.costs[stage].as_dict().values())}
    return WholeModel(
        stages=tuple(stages),
        rest=rest,
        fused_rest=build_program({FUSED_IO: fused_rest}, dimensions=spec.dimensions),
        cancelled={name: spec.dimensions.describe(name).minimum for name in sorted(taken - layer.sizes.keys())},
    )


def add_whole_models(program: Program, whole_models: Mapping[str, WholeModel]) -> Program:
    """Return one program of all stages and whole models, whose outputs are ``layer_metric`` by the names of these.

    Parameters
    ----------
    program
        All metrics of the stages and their ``fused_io_bytes``, with the sizes of the architecture as inputs.
    """
    for layer, whole in whole_models.items():
        for rest in (whole.rest, whole.fused_rest):
            outputs = tuple(output._replace(name=f"{layer}_{output.name}_rest") for output in rest.outputs)
            program = join_programs(program, evolve(rest, outputs=outputs))
    steps = list(program.steps)
    values: dict[str, Output] = {}
    for output in program.outputs:  # as steps, so that sums of them do not say them again
        node = output.numerator
        if isinstance(node, Operation):
            node = f"x{len(steps) + 1}"
            steps.append((node, output.numerator))
        values[output.name] = output._replace(numerator=node)
    for layer, whole in whole_models.items():
        for metric in (*METRICS, FUSED_IO):
            parts = [values.pop(f"{layer}_{metric}_rest"), *(values[f"{stage}_{metric}"] for stage in whole.stages)]
            values[f"{layer}_{metric}"] = _add_up(f"{layer}_{metric}", parts)
    return tidy(program.inputs, steps, list(values.values()))


def _add_up(name: str, parts: list[Output]) -> Output:
    """Return the sum of outputs, divided once."""
    parts = [part for part in parts if part.numerator != 0]
    denominator = lcm(*(part.denominator for part in parts))
    terms: list[Node] = [
        part.numerator
        if part.denominator == denominator
        else arrange(PRODUCT, (denominator // part.denominator, part.numerator))
        for part in parts
    ]
    return Output(name, arrange(SUM, terms) if len(terms) > 1 else terms[0] if terms else 0, denominator)


def _names_in(*sizes: Size) -> set[str]:
    return {name for size in sizes for name in names_of(sympy.sympify(size))}
