"""The published formula pages: a compiled model in, Markdown and LaTeX text out. Nothing is written here."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache

from jinja2 import Environment

from modelmeter.analysis.bind import BoundModule
from modelmeter.analysis.catalogue import LayerEntry
from modelmeter.analysis.peak import Peak
from modelmeter.analysis.totals import Totals
from modelmeter.backends.latex import printer as latex
from modelmeter.backends.markdown import printer as markdown
from modelmeter.backends.presentation.tree import Sign
from modelmeter.metrics.metric import METRIC_RECORDS, METRICS, PEAK
from modelmeter.metrics.operator_table import (
    FRESH_MEMORY,
    MATRIX_OPERATORS,
    MOVING_OPERATORS,
    VECTOR_FLOPS,
    VIEW_OPERATORS,
)
from modelmeter.model.definition import Model
from modelmeter.model.stages import REQUEST, TRAINING_STEP
from modelmeter.publishing import conventions, text
from modelmeter.publishing.counting_rules import list_conventions
from modelmeter.publishing.formula import SHOWN, Shown, is_bytes, is_flow
from modelmeter.publishing.layer_page import REPETITIONS, build_layer_page
from modelmeter.publishing.page_input import PageInput, size_row
from modelmeter.publishing.page_spec import Pages, StagePage, TreeRow
from modelmeter.publishing.stage_page import build_request_page, build_stage_page
from modelmeter.publishing.training_page import build_training_page
from modelmeter.support.markdown import escape_markdown
from modelmeter.support.templates import open_templates


def build_pages(
    *,
    definition: Model,
    model: BoundModule,
    totals: Totals,
    peaks: Mapping[str, Peak],
    catalogue: tuple[LayerEntry, ...],
    defaults: Mapping[str, int],
    evidence: Mapping[str, Sequence[str]] | None = None,
) -> Pages:
    """Return what the pages say; the parameters are those of :func:`render_pages`."""
    source = PageInput(
        definition=definition, model=model, totals=totals, peaks=peaks, catalogue=catalogue, defaults=defaults
    )
    return build_pages_of(source, evidence)


def build_pages_of(source: PageInput, evidence: Mapping[str, Sequence[str]] | None = None) -> Pages:
    """Return what the pages of a model say; ``evidence`` is that of :func:`render_pages`."""
    checks, catalogue, defaults = evidence or {}, source.catalogue, source.defaults
    dimensions = source.dimensions
    groups = {
        "Workload": dimensions.workload, "Storage": dimensions.storage, "Architecture": dimensions.architecture,
    }  # fmt: skip
    used = {name for entry in catalogue for name in entry.sizes}.union(dimensions.local) - dimensions.settable.keys()
    local = [name for name in dimensions.all_local if name in used]
    sizes = (
        *((title, [size_row(name, defaults, dimensions) for name in group]) for title, group in groups.items()),
        ("One layer", [size_row(name, {}, dimensions) for name in local]),
    )
    stages = [build_stage_page(source, stage, checks.get(stage, ())) for stage in source.totals.by_stage]
    return Pages(
        sizes=tuple((title, tuple(rows)) for title, rows in sizes if rows),
        layers=tuple(build_layer_page(source, entry, checks.get(entry.name, ())) for entry in catalogue),
        stages=(*stages, *_build_request_pages(source), *_build_training_pages(source, checks.get(TRAINING_STEP, ()))),
        tree=tuple(_tree_rows(source, source.model, 0)),
    )


def _build_request_pages(source: PageInput) -> Iterator[StagePage]:
    if not source.definition.refused:
        yield build_request_page(source)


def _build_training_pages(source: PageInput, evidence: Sequence[str]) -> Iterator[StagePage]:
    if source.definition.training is not None:
        yield build_training_page(source, source.definition.training, evidence)


def render_pages(
    *,
    definition: Model,
    model: BoundModule,
    totals: Totals,
    peaks: Mapping[str, Peak],
    catalogue: tuple[LayerEntry, ...],
    defaults: Mapping[str, int],
    name: str,
    evidence: Mapping[str, Sequence[str]] | None = None,
    has_accuracy: bool = False,
) -> dict[str, str]:
    """Return the formula pages as text by relative path: the same text for the same formulas.

    Parameters
    ----------
    definition
        The family of models.
    model, totals, peaks, catalogue
        The bound modules, their totals, the peaks of their activations by stage, and the layer classes.
    defaults
        A value for every dimension, and for the last step of a loop: what the values and shares on the pages are of.
    name
        The name of the model.
    evidence
        By name of a layer or stage, how its formulas were checked: lines of text with code in double backquotes.
        Where there are none, the page names the tests.
    has_accuracy
        Whether the pages about other counters and another implementation, ``accuracy.md`` and ``bytes.md``, stand
        beside these.

    Raises
    ------
    FormulaError
        If a formula has a size without a LaTeX name, or one that cannot be printed or evaluated.
    """
    pages = build_pages(
        definition=definition, model=model, totals=totals, peaks=peaks, catalogue=catalogue, defaults=defaults,
        evidence=evidence,
    )  # fmt: skip
    return _render(pages, definition, model, name=name, has_accuracy=has_accuracy)


def describe_common(
    pages: Pages, definition: Model, model: BoundModule, *, name: str, has_accuracy: bool = False
) -> dict[str, object]:
    """Return what all templates of pages are given."""
    return {
        "metrics": METRICS,
        "shown": SHOWN,
        "flows": [metric for metric in SHOWN if is_flow(metric)],
        "meanings": {name: metric.meaning for name, metric in METRIC_RECORDS.items()},
        "model": definition,
        "routes_experts": model.routes_experts,
        "runs": [_describe_run(definition, call.run) for call in model.calls],
        "conventions": list(list_conventions(definition, routes_experts=model.routes_experts)),
        "vector_flops": VECTOR_FLOPS,
        "matrix_operators": sorted(MATRIX_OPERATORS),
        "moving_operators": sorted(MOVING_OPERATORS),
        "free_operators": sorted(VIEW_OPERATORS | FRESH_MEMORY),
        "repetitions": REPETITIONS,
        "pages": pages,
        "name": name,
        "has_accuracy": has_accuracy,
        "request": REQUEST,
        "has_request": not definition.refused,
        "peak": PEAK,
        "peak_meaning": conventions.PEAK_MEANING,
        "peak_checks": definition.checks.peaks,
        "training": TRAINING_STEP,
    }


def _render(pages: Pages, definition: Model, model: BoundModule, *, name: str, has_accuracy: bool) -> dict[str, str]:
    common = describe_common(pages, definition, model, name=name, has_accuracy=has_accuracy)
    of_markdown, of_latex = open_markdown_templates(), open_latex_templates()
    texts = {"README.md": of_markdown.get_template("formula_index.md.jinja").render(**common)}
    layer, stage = (of_markdown.get_template(f"{kind}_page.md.jinja") for kind in ("layer", "stage"))
    for page in pages.layers:
        texts[f"layers/{page.name}.md"] = layer.render(page=page, **common)
    for stage_page in pages.stages:
        texts[f"stages/{stage_page.name}.md"] = stage.render(page=stage_page, **common)
    texts["formulas.tex"] = of_latex.get_template("formulas.tex.jinja").render(**common)
    return {path: tidy(rendered) for path, rendered in texts.items()}


def _describe_run(model: Model, run: str) -> str:
    if model.loop is not None and run == model.loop.stage:
        return f"in one {run} step"
    return f"in the {run} run at the default workload"


def tidy(rendered: str) -> str:
    """Return a text with at most one empty line between paragraphs, and one newline at its end."""
    return re.sub(r"\n{3,}", "\n\n", rendered.strip()) + "\n"


@cache
def open_markdown_templates() -> Environment:
    """Return the templates of Markdown, with what prints text, numbers and formulas in it."""
    environment = open_templates(
        "modelmeter.publishing", **_number_filters(escape_markdown), markdown=text.to_markdown, plain=escape_markdown
    )
    environment.globals.update(inline=markdown.print_inline, block=markdown.print_block, EQUALS=Sign.EQUALS)
    return environment


def open_latex_templates() -> Environment:
    """Return the templates of LaTeX, with what prints text, numbers and formulas in it."""
    environment = open_typesetting_templates(text.escape_latex)
    environment.filters.update(latex=text.to_latex)
    environment.globals = {**environment.globals, "inline": latex.print_inline, "block": latex.print_breakable_block}
    return environment


def open_typesetting_templates(escape: Callable[[str], str]) -> Environment:
    """Return the templates of a language for typesetting, with what prints numbers, and text that it escapes."""
    # These languages are full of braces and percent signs, so the templates have other delimiters.
    environment = open_markdown_templates().overlay(
        variable_start_string="<<", variable_end_string=">>", block_start_string="<%", block_end_string="%>",
        comment_start_string="<#", comment_end_string="#>",
    )  # fmt: skip
    environment.filters = {**environment.filters, **_number_filters(escape), "plain": escape}
    return environment


def _number_filters(escape: Callable[[str], str]) -> dict[str, Callable[..., str]]:
    def magnitude(value: int, metric: Shown) -> str:
        return escape(text.format_magnitude(value, "B" if is_bytes(metric) else "FLOP"))

    return {
        "number": lambda value: escape(text.format_number(value)),
        "magnitude": magnitude,
        "share": lambda share: escape(text.format_share(share.value, share.total)),
    }


def _tree_rows(source: PageInput, bound: BoundModule, depth: int) -> Iterator[TreeRow]:
    calls: dict[str, int] = {}
    for call in bound.calls:
        calls[call.run] = calls.get(call.run, 0) + int(source.value(call.member_times))
    yield TreeRow(
        depth=depth,
        name=bound.node.path.rpartition(".")[2],
        layer=source.link(bound.layer),
        count=bound.node.repetition_count,
        repetition=REPETITIONS[bound.node.repetition],
        calls=tuple(calls.items()),
    )
    for child in bound.children:
        yield from _tree_rows(source, child, depth + 1)
