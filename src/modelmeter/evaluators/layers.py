"""The evaluators of layer classes: of their cost, and of their ``fused_io_bytes``."""

from __future__ import annotations

from modelmeter.core.metrics import FUSED_IO, METRICS
from modelmeter.evaluators.evaluator import Evaluator, OneCost, OneValue
from modelmeter.evaluators.programs import build_layer
from modelmeter.evaluators.spec import LayerFormula, PackageSpec
from modelmeter.evaluators.traffic import summarize_traffic


def evaluate_layer(formula: LayerFormula, spec: PackageSpec) -> tuple[Evaluator, Evaluator]:
    """Return the evaluators of a layer class, which take the same sizes."""
    layer = build_layer(formula, spec)
    cost = Evaluator(
        name=formula.public_name,
        summary=f"Return the cost of one forward of ``{formula.class_name}``.",
        notes=formula.doc,
        signature=layer.signature,
        program=layer.program,
        result=OneCost({metric: metric for metric in METRICS}),
        guards=layer.guards,
    )
    traffic = Evaluator(
        name=f"{formula.public_name}_{FUSED_IO}",
        summary=summarize_traffic(formula.class_name),
        notes="",
        signature=layer.signature,
        program=layer.fused_io,
        result=OneValue(FUSED_IO, FUSED_IO),
        guards=layer.guards,
    )
    return cost, traffic
