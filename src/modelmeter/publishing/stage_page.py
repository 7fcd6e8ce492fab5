"""The page of one stage, or of the whole request: its formulas, and what its modules and layers are of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from math import ceil

import sympy

from modelmeter.analysis.bind import BoundModule
from modelmeter.backends.presentation.tree import Display, Symbol
from modelmeter.layers.container import ModuleList
from modelmeter.metrics.metric import FLOWS, METRICS, MetricName
from modelmeter.model.definition import Derivation
from modelmeter.model.request import fold_metric
from modelmeter.model.stages import REQUEST
from modelmeter.publishing.conventions import REQUEST_CHECKS, REQUEST_MEANING, describe_stage_checks
from modelmeter.publishing.formula import SHOWN, Formula, Shown, arrange_part
from modelmeter.publishing.layer_page import outermost_paths
from modelmeter.publishing.page_input import PageInput, build_section, make_reader
from modelmeter.publishing.page_spec import Link, ModuleRow, PartRow, PeakBlock, Share, ShareRow, StagePage
from modelmeter.publishing.peak_formula import PeakFormula, arrange_peak


def build_stage_page(source: PageInput, stage: str, evidence: Sequence[str]) -> StagePage:
    """Return the page of a stage; ``evidence`` is what a verification found."""
    root = source.model.node.path
    meanings = {each.name: each.meaning for each in source.definition.stages}
    formulas = [Formula(metric=metric, parts=(source.arrange_stage(root, stage, metric),)) for metric in SHOWN]
    reader, abbreviations = make_reader(formulas, source.definition, source.architecture)
    peak = arrange_peak(stage, source.peaks[stage], source.definition)
    peak_blocks = peak.typeset(reader)  # before the section, which explains all that was printed
    return StagePage(
        name=stage,
        description=meanings[stage],
        section=build_section(formulas, reader, abbreviations, source.defaults, source.dimensions, beside=peak.printed),
        peak=_build_peak(source, stage, peak, peak_blocks),
        chained=(),
        shares=tuple(
            ShareRow(
                metric=metric,
                stages=(),
                # The largest stage is the request's, so a stage is no share of it.
                request=None
                if source.definition.refused or fold_metric(metric, source.definition.stages).function == "largest"
                else Share(value=source.stage_value(stage, metric), total=source.request_value(metric)),
            )
            for metric in SHOWN
        ),
        modules=tuple(_module_rows(source, stage)),
        classes=tuple(_class_rows(source, stage)),
        evidence=describe_stage_checks(evidence, source.definition.checks.stages),
    )


def build_request_page(source: PageInput) -> StagePage:
    """Return the page of all stages together, with the sizes that follow from others in a request."""
    formulas = [_request_formula(source, metric) for metric in SHOWN]
    chained = chain_sizes(source)
    reader, abbreviations = make_reader(formulas, source.definition, source.architecture)
    rows = tuple(
        PartRow(
            name=Symbol(size.name, source.dimensions.latex[size.name]),
            definition=reader.read(formula),
            meaning=size.meaning,
        )
        for size, formula in chained
    )
    return StagePage(
        name=REQUEST,
        description=REQUEST_MEANING,
        section=build_section(
            formulas,
            reader,
            abbreviations,
            source.defaults,
            source.dimensions,
            beside=[formula for _, formula in chained],
        ),
        peak=_find_request_peak(source),
        chained=rows,
        shares=(),
        modules=tuple(
            ModuleRow(
                title=stage,
                layer=Link(title=stage, page=f"stages/{stage}.md"),
                shares=tuple(
                    Share(
                        value=source.stage_value(stage, metric),
                        total=source.request_value(metric) if metric in FLOWS else None,
                    )
                    for metric in METRICS
                ),
            )
            for stage in source.totals.by_stage
        ),
        classes=(),
        evidence=(REQUEST_CHECKS,),
    )


def _build_peak(source: PageInput, stage: str, formula: PeakFormula, blocks: tuple[Display, ...]) -> PeakBlock:
    largest = max(source.peaks[stage].operators, key=lambda operator: source.value(operator.bits))
    entry = next((entry for entry in source.catalogue if type(entry.layer).__name__ == largest.layer), None)
    return PeakBlock(
        formula=formula,
        blocks=blocks,
        value=ceil(source.peak_value(stage)),
        place=Link(title=largest.layer, page=f"layers/{entry.name}.md" if entry else ""),
    )


def _find_request_peak(source: PageInput) -> PeakBlock:
    """Return the largest peak of a stage; its formula is on the page of that stage."""
    stage = max(source.peaks, key=source.peak_value)
    place = Link(title=stage, page=f"stages/{stage}.md")
    return PeakBlock(formula=None, blocks=(), value=ceil(source.peak_value(stage)), place=place)


def chain_sizes(source: PageInput) -> list[tuple[Derivation, sympy.Expr]]:
    """Return the sizes that a request has unless they are given, with formulas: the architecture's sizes filled in."""
    model = source.definition
    return [(size, source.fill(size.formula(model))) for size in model.derivations]


def _request_formula(source: PageInput, metric: Shown) -> Formula:
    fold, root = fold_metric(metric, source.definition.stages), source.model.node.path
    if metric == "weight_bytes" or metric == "kv_cache_bytes":  # of the whole model, not a sum of stages
        return Formula(
            metric=metric, parts=(arrange_part(metric, source.fill(source.totals.total[metric]), source.definition),)
        )
    stages = [stage for stage in fold.stages if source.formula(root, stage, metric) != 0]
    return Formula(
        metric=metric,
        parts=tuple(source.arrange_stage(root, stage, metric) for stage in stages),
        combination=fold.function,
    )


def _module_rows(source: PageInput, stage: str) -> Iterator[ModuleRow]:
    """Yield the top-level modules of a stage, and the own operators of what contains them."""
    for title, bound, values in _walk_top(source, source.model, stage):
        if any(values(metric) for metric in METRICS):
            shares = tuple(Share(value=values(metric), total=source.stage_value(stage, metric)) for metric in METRICS)
            yield ModuleRow(title=title, layer=source.link(bound.layer), shares=shares)


def _walk_top(
    source: PageInput, bound: BoundModule, stage: str
) -> Iterator[tuple[str, BoundModule, Callable[[MetricName], int | Fraction]]]:
    """Yield each top-level module with a function that returns its metrics."""
    path = bound.node.path
    if not isinstance(bound.layer, ModuleList) and not bound.layer.holds_layers:
        yield path, bound, lambda metric: source.module_value(path, stage, metric)
        return
    for child in bound.children:
        yield from _walk_top(source, child, stage)

    def own(metric: MetricName) -> int | Fraction:
        below = sum(source.module_value(child.node.path, stage, metric) for child in bound.children)
        return source.module_value(path, stage, metric) - below

    yield f"{path} (its own operators)" if path else "(the model's own operators)", bound, own


def _class_rows(source: PageInput, stage: str) -> Iterator[ModuleRow]:
    """Yield the layer classes of a stage, each with everything inside it."""
    for entry in source.catalogue:
        paths = outermost_paths(entry)
        values = {metric: sum(source.module_value(path, stage, metric) for path in paths) for metric in METRICS}
        if not entry.layer.holds_layers and any(values.values()):
            shares = tuple(Share(value=values[metric], total=source.stage_value(stage, metric)) for metric in METRICS)
            yield ModuleRow(title=type(entry.layer).__name__, layer=source.link(entry.layer), shares=shares)
