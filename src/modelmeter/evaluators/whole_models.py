"""Layers and training steps that are sums of stages, so that what they compute is said once: with a rest."""

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
from modelmeter.core.functions import Size
from modelmeter.core.metrics import FUSED_IO, METRICS
from modelmeter.core.symbols import names_of
from modelmeter.evaluators.spec import LayerFormula, PackageSpec
from modelmeter.model.stages import TRAINING_STEP


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


@frozen(kw_only=True)
class TrainingRest:
    """What a training step takes beside the stages of its forward: the backward of them.

    Parameters
    ----------
    stages
        The stages of the forward.
    rest
        What is to be added to each metric, an output of the program of the stages: ``training_step_metric_rest``.
    """

    stages: tuple[str, ...]
    rest: Mapping[str, Size]


_OF_LAYERS = (*METRICS, FUSED_IO)

_TIMES = {"tensor_core_flops": 3}
"""How many forwards a metric of a training step is at least: the backward of a product is two products."""


def split_training_step(spec: PackageSpec) -> TrainingRest | None:
    """Return a training step as a sum of stages and a rest; None where there is none."""
    if spec.training_step is None:
        return None
    stages = tuple(
        name
        for name, cost in spec.costs.items()
        if _names_in(*cost.as_dict().values())
        <= _names_in(*spec.training_step.as_dict().values()) | spec.free_derivations.keys()
    )
    rest: dict[str, Size] = {
        f"{TRAINING_STEP}_{metric}_rest": sympy.Add(
            spec.training_step[metric], *(-_TIMES.get(metric, 1) * spec.costs[stage][metric] for stage in stages)
        )
        for metric in METRICS
    }
    return TrainingRest(stages=stages, rest=rest)


def add_whole_models(
    program: Program, whole_models: Mapping[str, WholeModel], training: TrainingRest | None = None
) -> Program:
    """Return one program of all stages and whole models, whose outputs are ``layer_metric`` by the names of these.

    Parameters
    ----------
    program
        All metrics of the stages, their ``fused_io_bytes``, and the rest of a training step, with the sizes of the
        architecture as inputs.
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
    sums = {(layer, metric): (whole.stages, 1) for layer, whole in whole_models.items() for metric in _OF_LAYERS}
    if training is not None:
        sums |= {(TRAINING_STEP, metric): (training.stages, _TIMES.get(metric, 1)) for metric in METRICS}
    for (name, metric), (stages, times) in sums.items():
        parts = [(values[f"{stage}_{metric}"], times) for stage in stages]
        whole_name = f"{name}_{metric}"
        values[whole_name] = _add_up(whole_name, [(values.pop(f"{whole_name}_rest"), 1), *parts])
    return tidy(program.inputs, steps, list(values.values()))


def _add_up(name: str, parts: list[tuple[Output, int]]) -> Output:
    """Return the sum of outputs, each so many times, divided once."""
    parts = [(part, times) for part, times in parts if part.numerator != 0]
    denominator = lcm(*(part.denominator for part, _ in parts))
    factors = [(part.numerator, times * denominator // part.denominator) for part, times in parts]
    terms: list[Node] = [node if factor == 1 else arrange(PRODUCT, (factor, node)) for node, factor in factors]
    return Output(name, arrange(SUM, terms) if len(terms) > 1 else terms[0] if terms else 0, denominator)


def _names_in(*sizes: Size) -> set[str]:
    return {name for size in sizes for name in names_of(sympy.sympify(size))}
