"""The page of a training step: its formulas, and what the modules are of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction

from modelmeter.core.cost import Cost, Precision
from modelmeter.core.metrics import METRICS, MetricName
from modelmeter.graph.module_graph import join_path
from modelmeter.layers.base import BaseLayer
from modelmeter.model.stages import TRAINING_STEP
from modelmeter.publishing.conventions import TRAINING_CHECKS, WHOLE_MEANINGS, describe_stage_checks
from modelmeter.publishing.formula import Formula, arrange_part
from modelmeter.publishing.latex_names import LATEX_NAMES
from modelmeter.publishing.page_input import PageInput, build_section, make_printer
from modelmeter.publishing.page_spec import ModuleRow, PartRow, Share, StagePage
from modelmeter.publishing.stage_page import chain_sizes


def build_training_page(source: PageInput, evidence: Sequence[str] = ()) -> StagePage:
    """Return the page of a training step, with the sizes that follow from others in it."""
    cost = source.model.layer.training_cost
    # Values need no formulas: the same layers at the default sizes are numbers.
    whole = source.definition.build_layers(source.defaults)[source.definition.training_run]
    formulas = [Formula(metric=metric, parts=(arrange_part(metric, source.fill(cost[metric])),)) for metric in METRICS]
    chained = [(size, formula) for size, formula in chain_sizes(source) if size.name != "decode_steps"]
    printer, quantities = make_printer(formulas, source.architecture)
    totals = _evaluate(source, whole.training_cost)
    return StagePage(
        name=TRAINING_STEP,
        description=WHOLE_MEANINGS[TRAINING_STEP],
        section=build_section(
            formulas, printer, quantities, source.defaults, beside=[formula for _, formula in chained]
        ),
        peak=None,  # a training step keeps the activations for its backward
        chained=tuple(
            PartRow(latex=LATEX_NAMES[size.name], definition=printer.print(formula), meaning=size.meaning)
            for size, formula in chained
        ),
        shares=(),
        modules=tuple(
            ModuleRow(
                title=title,
                layer=source.link(layer),
                shares=tuple(Share(value=values[metric], total=totals[metric]) for metric in METRICS),
            )
            for title, layer, values in _walk_top(source, whole, "")
            if any(values.values())
        ),
        classes=(),
        evidence=describe_stage_checks(evidence, TRAINING_CHECKS),
    )


def _walk_top(
    source: PageInput, layer: BaseLayer, path: str
) -> Iterator[tuple[str, BaseLayer, dict[MetricName, int | Fraction]]]:
    """Yield each top-level module with its metrics, and what a module that contains some does itself."""
    own = _evaluate(source, layer.training_cost)
    for name, child in layer.children.items():
        below = join_path(path, name)
        values = _evaluate(source, child.train(Precision()))
        own = {metric: own[metric] - values[metric] for metric in METRICS}
        if child.layer.holds_layers:
            yield from _walk_top(source, child.layer, below)
        else:
            yield below, child.layer, values
    yield f"{path} (its own operators)" if path else "(the model's own operators)", layer, own


def _evaluate(source: PageInput, cost: Cost) -> dict[MetricName, int | Fraction]:
    return {metric: source.value(cost[metric]) for metric in METRICS}
