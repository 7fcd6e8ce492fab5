"""The evaluators of stages, of the request and of the training step; a metric of one is a part of it."""

from __future__ import annotations

from collections.abc import Mapping

from modelmeter.algebra.program import select
from modelmeter.evaluators.evaluator import Evaluator, OneCost, OneValue, StageCosts
from modelmeter.evaluators.programs import ALL_STAGES, Stages, make_parameters
from modelmeter.evaluators.signature import Signature
from modelmeter.metrics.metric import METRIC_RECORDS, METRICS
from modelmeter.model.definition import DerivedSize
from modelmeter.model.stages import TRAINING_STEP

METRIC_WORDS: Mapping[str, str] = {
    name: f"{METRIC_RECORDS[name].meaning[0].upper()}{METRIC_RECORDS[name].meaning[1:]}" for name in METRICS
}
"""The meaning of each metric of a cost, as the beginning of a sentence."""


def evaluate_stages(stages: Stages, shared: str) -> tuple[Evaluator, ...]:
    """Return the evaluator of each stage, all metrics in one call; their steps are ``shared``."""
    return tuple(_evaluate_stage(stages, stage, shared) for stage in stages.names)


def _evaluate_stage(stages: Stages, stage: str, shared: str) -> Evaluator:
    training = stages.spec.training
    notes = training.notes if training is not None and stage == TRAINING_STEP else ""
    return Evaluator(
        name=stage,
        summary=f"Return the cost of {stages.spec.stage_words[stage]}.",
        notes=notes,
        signature=stages.signature(stage),
        program=stages.part(stage, *METRICS),
        result=_cost_of(stage),
        shared=shared,
    )


def evaluate_all_stages(stages: Stages, shared: str) -> Evaluator:
    """Return the evaluator of all stages and the request at once; its steps are ``shared``."""
    return Evaluator(
        name=ALL_STAGES,
        summary=f"Return the costs of each stage{' and of the request' if stages.spec.whole_names else ''}.",
        notes="",
        signature=stages.whole_signature,
        program=stages.program,
        result=StageCosts({stage: _cost_of(stage) for stage in stages.names}),
        shared=shared,
    )


def evaluate_derived(stages: Stages) -> tuple[Evaluator, ...]:
    """Return the evaluators of the sizes that are no arguments."""
    return tuple(_evaluate_derived(stages, size) for size in stages.spec.derived)


def _evaluate_derived(stages: Stages, size: DerivedSize) -> Evaluator:
    spec = stages.spec
    program = select(stages.program, size.name)
    return Evaluator(
        name=size.name,
        summary=f"Return {size.words}.",
        notes="",
        signature=Signature(
            parameters=make_parameters(spec, program.inputs, spec.all_defaults, {}),
            has_routing=False,
            constants=stages.constants,
            model_rules=spec.rules,
        ),
        program=program,
        result=OneValue(size.name, size.name),
    )


def _cost_of(stage: str) -> OneCost:
    return OneCost({metric: f"{stage}_{metric}" for metric in METRICS})
