"""The evaluators of layer classes: of their cost, and of their ``fused_io_bytes``."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import evolve

from modelmeter.evaluators.evaluator import Evaluator, OneCost, OneValue
from modelmeter.evaluators.programs import Layer
from modelmeter.evaluators.spec import LayerFormula
from modelmeter.evaluators.traffic import summarize_traffic
from modelmeter.metrics.metric import FUSED_IO, METRICS


def evaluate_layer(formula: LayerFormula, layer: Layer) -> tuple[Evaluator, Evaluator]:
    """Return the evaluators of a layer class, which take the same sizes."""
    return _evaluate(formula, layer, {metric: metric for metric in METRICS}, FUSED_IO, None)


def evaluate_whole_layer(
    formula: LayerFormula, layer: Layer, cancelled: Mapping[str, int], shared: str
) -> tuple[Evaluator, Evaluator]:
    """Return the evaluators of a layer that is a whole model.

    Parameters
    ----------
    cancelled
        Inputs of its programs that are no sizes of it, as it does not depend on them, each with a value.
    shared
        The steps of both.
    """
    name = formula.public_name
    outputs: dict[str, str] = {metric: f"{name}_{metric}" for metric in METRICS}
    cost, traffic = _evaluate(formula, layer, outputs, f"{name}_{FUSED_IO}", shared)
    return evolve(cost, cancelled=cancelled), evolve(traffic, cancelled=cancelled)


def _evaluate(
    formula: LayerFormula, layer: Layer, outputs: dict[str, str], fused: str, shared: str | None
) -> tuple[Evaluator, Evaluator]:
    cost = Evaluator(
        name=formula.public_name,
        summary=f"Return the cost of one forward of ``{formula.class_name}``.",
        notes=formula.doc,
        signature=layer.signature,
        program=layer.program,
        result=OneCost(outputs),
        guards=layer.guards,
        shared=shared,
    )
    traffic = Evaluator(
        name=f"{formula.public_name}_{FUSED_IO}",
        summary=summarize_traffic(formula.class_name),
        notes="",
        signature=layer.signature,
        program=layer.fused_io,
        result=OneValue(FUSED_IO, fused),
        guards=layer.guards,
        shared=shared,
    )
    return cost, traffic
