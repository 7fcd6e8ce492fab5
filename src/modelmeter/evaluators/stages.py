"""The evaluators of stages, of the request and of the training step, and those of their single metrics."""

from __future__ import annotations

from collections.abc import Mapping

from modelmeter.algebra.program import select
from modelmeter.core.metrics import METRIC_RECORDS, METRICS, MetricName
from modelmeter.evaluators.evaluator import Evaluator, OneCost, OneValue, StageCosts
from modelmeter.evaluators.programs import Stages, make_parameters
from modelmeter.evaluators.signature import IMAGE_TOKENS, Signature
from modelmeter.model.stages import REQUEST, TRAINING_STEP

METRIC_WORDS: Mapping[str, str] = {
    name: f"{METRIC_RECORDS[name].meaning[0].upper()}{METRIC_RECORDS[name].meaning[1:]}" for name in METRICS
}
"""The meaning of each metric of a cost, as the beginning of a sentence."""

_TRAINING_NOTES = (
    "FLOPs and io_bytes are those of the forward and the backward. The backward starts at the gradients of the logits "
    "and makes those of all parameters that are used. No layer is computed again; the loss and the optimiser are not "
    "counted. weight_bytes are the parameters without their gradients, activation_bytes all operator outputs of the "
    "forward, which are kept for the backward, and kv_cache_bytes is 0: training keeps no cache."
)


def evaluate_stages(stages: Stages, model: str) -> tuple[Evaluator, ...]:
    """Return the evaluator of each stage, all metrics in one call; ``model`` is what it is of."""
    return tuple(_evaluate_stage(stages, stage, model) for stage in stages.names)


def _evaluate_stage(stages: Stages, stage: str, model: str) -> Evaluator:
    notes = _TRAINING_NOTES if stage == TRAINING_STEP else ""
    return Evaluator(
        name=stage,
        summary=f"Return the cost of {stages.spec.stage_words[stage]}.",
        notes=f"{notes} The formulas are those of {model}.".lstrip(),
        signature=stages.signature(stage),
        program=stages.part(stage, *METRICS),
        result=_cost_of(stage),
    )


def evaluate_all_stages(stages: Stages) -> Evaluator:
    """Return the evaluator of all stages and the request at once."""
    return Evaluator(
        name="stages",
        summary="Return the costs of each stage and of the request.",
        notes=f"The formulas are those of {stages.spec.model}.",
        signature=stages.signature(REQUEST),
        program=stages.program,
        result=StageCosts({stage: _cost_of(stage) for stage in stages.names}),
    )


def evaluate_metrics(stages: Stages) -> tuple[Evaluator, ...]:
    """Return an evaluator for each metric of each stage."""
    return tuple(_evaluate_metric(stages, stage, metric) for stage in stages.names for metric in METRICS)


def _evaluate_metric(stages: Stages, stage: str, metric: MetricName) -> Evaluator:
    return Evaluator(
        name=f"{stage}_{metric}",
        summary=f"Return ``{metric}`` of ``{stage}`` with the same arguments.",
        notes=f"{METRIC_WORDS[metric]}.",
        signature=stages.signature(stage),
        program=stages.part(stage, metric),
        result=OneValue(metric, f"{stage}_{metric}"),
    )


def evaluate_image_tokens(stages: Stages) -> Evaluator:
    """Return the evaluator of the tokens of a page."""
    program = select(stages.program, IMAGE_TOKENS)
    return Evaluator(
        name=IMAGE_TOKENS,
        summary="Return the tokens of the image of one page: of its global view and of its tiles.",
        notes=f"The formula is that of {stages.spec.model}.",
        signature=Signature(
            parameters=make_parameters(program.inputs, stages.spec.all_defaults, {}),
            has_routing=False,
            constants=stages.constants,
            model_rules=stages.spec.rules,
        ),
        program=program,
        result=OneValue(IMAGE_TOKENS, IMAGE_TOKENS),
    )


def _cost_of(stage: str) -> OneCost:
    return OneCost({metric: f"{stage}_{metric}" for metric in METRICS})
