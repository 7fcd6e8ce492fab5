"""The evaluators of the steps of a serving engine."""

from __future__ import annotations

from attrs import evolve

from modelmeter.algebra.simplify import build_program
from modelmeter.dimensions.functions import RoutedReads
from modelmeter.evaluators.evaluator import Evaluator, OneCost
from modelmeter.evaluators.programs import make_parameters
from modelmeter.evaluators.signature import Signature
from modelmeter.evaluators.spec import PackageSpec
from modelmeter.metrics.metric import METRICS

CHUNK = "chunk"
STEP = "step"

DEFAULTS = {"cached_tokens": 512, "context_tokens": 913}
"""Of the sizes that only steps have."""

_SUMMARIES = {
    CHUNK: "Return the cost of a chunk of each prompt, behind positions of it that are cached.",
    STEP: "Return the cost of one token of each sequence of a batch.",
}
_NOTES = {
    CHUNK: "seq_len are the positions of the chunk. With logits_tokens=0 the LM head does not run.",
    STEP: "context_tokens are the cached positions of all sequences together, however long each one is.",
}


def evaluate_server_steps(spec: PackageSpec) -> tuple[Evaluator, ...]:
    """Return the evaluators: of a chunk, and of a step by the sum of the lengths of its sequences."""
    return tuple(_evaluate_step(spec, name) for name in spec.server_steps)


def hide_step(evaluator: Evaluator) -> Evaluator:
    """Return the evaluator of a step under a name of its own: in a package, ``step`` takes a list of lengths."""
    return evolve(evaluator, name=f"_{evaluator.name}") if evaluator.name == STEP else evaluator


def _evaluate_step(spec: PackageSpec, name: str) -> Evaluator:
    cost = spec.server_steps[name]
    program = build_program(
        {metric: cost[metric] for metric in METRICS}, constants=spec.architecture, dimensions=spec.dimensions
    )
    without_head = {"logits_tokens": evolve(spec.dimensions.describe("logits_tokens"), minimum=0)}
    return Evaluator(
        name=name,
        summary=_SUMMARIES[name],
        notes=_NOTES[name],
        signature=Signature(
            parameters=make_parameters(
                spec, program.inputs, {**spec.all_defaults, **DEFAULTS}, spec.free_derivations, without_head
            ),
            has_routing=program.calls(RoutedReads.__name__),
            constants=spec.architecture,
            model_rules=spec.rules,
        ),
        program=program,
        result=OneCost({metric: metric for metric in METRICS}),
    )
