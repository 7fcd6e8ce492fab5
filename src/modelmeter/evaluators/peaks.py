"""The evaluators of the peak of a stage's activations."""

from __future__ import annotations

from attrs import evolve

from modelmeter.algebra.program import MAXIMUM, Program, select
from modelmeter.algebra.simplify import Combination, build_program
from modelmeter.dimensions.functions import Size
from modelmeter.evaluators.evaluator import Evaluator, OneValue
from modelmeter.evaluators.programs import Stages, make_parameters
from modelmeter.evaluators.signature import Signature
from modelmeter.metrics.metric import PEAK
from modelmeter.model.request import fold_metric
from modelmeter.model.stages import REQUEST


def evaluate_peaks(stages: Stages, program: Program, shared: str) -> tuple[Evaluator, ...]:
    """Return the evaluator of the peak of each stage and of the request: the largest of them; steps are ``shared``."""
    return tuple(_evaluate_peak(stages, program, stage, shared) for stage in stages.names)


def build_peaks(stages: Stages) -> Program:
    """Return one program for all peaks; its outputs are named like the evaluators."""
    spec = stages.spec
    outputs: dict[str, Size | Combination] = {**spec.derived_formulas}
    by_stage: dict[str, tuple[str, ...]] = {}
    for stage, candidates in spec.peaks.items():
        names = tuple(f"{stage}_{number}" for number in range(len(candidates)))
        outputs.update(zip(names, candidates, strict=True))
        by_stage[stage] = names
    for whole in spec.whole_names:
        by_stage[whole] = tuple(f"{stage}_{PEAK}" for stage in fold_metric(PEAK, spec.stages).stages)
    for stage in stages.names:
        outputs[f"{stage}_{PEAK}"] = Combination(MAXIMUM, by_stage[stage])
    program = build_program(outputs, constants=stages.constants, dimensions=spec.dimensions)
    return select(program, *spec.derived_formulas, *(f"{stage}_{PEAK}" for stage in stages.names))


def _evaluate_peak(stages: Stages, program: Program, stage: str, shared: str) -> Evaluator:
    name = f"{stage}_{PEAK}"
    signature = _make_signature(stages, stage, {*select(program, name).inputs})
    return Evaluator(
        name=name,
        summary=f"Return the largest bytes of activations that are alive together in ``{stage}``.",
        notes="",
        signature=signature,
        program=select(program, *signature.intermediates, name),
        result=OneValue(PEAK, name),
        shared=shared,
    )


def _make_signature(stages: Stages, stage: str, inputs: set[str]) -> Signature:
    """Return what an evaluator takes: what the stage takes.

    What is alive beside a stage may be of other stages, such as the embeddings of a prompt while images run that
    become a part of it; then sizes of these follow from others as in a request.
    """
    own = stages.signature(stage)
    needed = {parameter.name for parameter in own.parameters}
    if stage == REQUEST or inputs <= needed:
        return own
    chained = {name: rule for name, rule in stages.spec.derivations.items() if name in inputs and rule.source}
    sources = {rule.source for rule in chained.values() if rule.source}
    parameters = make_parameters(stages.spec, needed | inputs | sources, stages.spec.all_defaults, chained)
    return evolve(own, parameters=parameters, intermediates=tuple(stages.spec.derived_formulas))
