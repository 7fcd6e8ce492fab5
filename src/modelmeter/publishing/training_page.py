"""The page of a training step: its formulas, and what the modules are of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction

from modelmeter.backends.presentation.tree import Symbol
from modelmeter.dimensions.symbols import names_of
from modelmeter.graph.module_graph import join_path
from modelmeter.layers.base import BaseLayer
from modelmeter.metrics.cost import Cost, Precision
from modelmeter.metrics.metric import METRICS, MetricName
from modelmeter.model.stages import TRAINING_STEP, TrainingStep
from modelmeter.publishing.conventions import describe_stage_checks
from modelmeter.publishing.derivation.stages import is_taken_apart
from modelmeter.publishing.formula import Formula, arrange_part
from modelmeter.publishing.page_input import PageInput, build_section, make_reader
from modelmeter.publishing.page_spec import ModuleRow, PartRow, Share, StagePage
from modelmeter.publishing.stage_page import chain_sizes


def build_training_page(source: PageInput, training: TrainingStep, evidence: Sequence[str] = ()) -> StagePage:
    """Return the page of a training step, with the sizes that follow from others in it."""
    model = source.definition
    cost = source.training_layers.training_cost
    # Values need no formulas: the same layers at the default sizes are numbers.
    build = training.build_layers or (lambda sizes: model.build_layers(sizes)[training.run])
    whole = build(source.defaults)
    formulas = [
        Formula(metric=metric, parts=(arrange_part(metric, source.fill(cost[metric]), model),)) for metric in METRICS
    ]
    used = {name for metric in METRICS for name in names_of(cost[metric])}
    chained = [(size, formula) for size, formula in chain_sizes(source) if size.name in used]
    reader, abbreviations = make_reader(formulas, model, source.architecture)
    totals = _evaluate(source, whole.training_cost)
    return StagePage(
        name=TRAINING_STEP,
        description=training.meaning,
        section=build_section(
            formulas,
            reader,
            abbreviations,
            source.defaults,
            source.dimensions,
            beside=[formula for _, formula in chained],
        ),
        peak=None,  # a training step keeps the activations for its backward
        chained=tuple(
            PartRow(
                name=Symbol(size.name, source.dimensions.latex[size.name]),
                definition=reader.read(formula),
                meaning=size.meaning,
            )
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
        evidence=describe_stage_checks(evidence, model.checks.training),
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
        if is_taken_apart(child.layer, below):
            yield from _walk_top(source, child.layer, below)
        else:
            yield below, child.layer, values
    yield f"{path} (its own operators)" if path else "(the model's own operators)", layer, own


def _evaluate(source: PageInput, cost: Cost) -> dict[MetricName, int | Fraction]:
    return {metric: source.value(cost[metric]) for metric in METRICS}
