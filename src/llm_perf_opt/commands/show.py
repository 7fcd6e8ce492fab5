"""``modelmeter show``: the formulas of a layer or of a stage, as on their pages, with their default values."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from textwrap import wrap

import sympy
from attrs import frozen
from rich.console import RenderableType
from rich.text import Text

from llm_perf_opt.commands.names import unknown_name
from llm_perf_opt.terminal import format_integer, format_quantity, make_table, unit_of
from llm_perf_opt.typeset import Line, typeset
from modelmeter.compiler import CompiledModel
from modelmeter.cost import METRICS, Metric
from modelmeter.emit.formula import is_bytes
from modelmeter.emit.latex import multiply
from modelmeter.emit.layer_page import build_layer_page
from modelmeter.emit.page_input import PageInput
from modelmeter.emit.page_spec import FormulaSection, MetricBlock
from modelmeter.emit.stage_page import REQUEST, build_request_page, build_stage_page
from modelmeter.functions import Differs, Equals, Exceeds, RoutedReads
from modelmeter.symbols import symbols_of


@frozen(kw_only=True)
class Formulas:
    """What a page says about a layer or a stage."""

    name: str
    description: str
    section: FormulaSection


def find_formulas(compiled: CompiledModel, name: str) -> list[Formulas]:
    """Return the stage or the layer of this name, or else the layers of this torch class.

    Raises
    ------
    UnknownNameError
        If there is none.
    """
    source = PageInput(
        model=compiled.model,
        totals=compiled.totals,
        peaks=compiled.peaks,
        catalogue=compiled.catalogue,
        defaults=compiled.defaults,
    )
    stages = (*compiled.totals.by_stage, REQUEST)
    if name in stages:
        stage = build_request_page(source) if name == REQUEST else build_stage_page(source, name, ())
        return [Formulas(name=name, description=stage.description.replace("``", ""), section=stage.section)]
    entries = [entry for entry in compiled.catalogue if entry.name == name]
    entries = entries or [entry for entry in compiled.catalogue if entry.class_name == name]
    if not entries:
        names = (*stages, *(entry.name for entry in compiled.catalogue))
        raise unknown_name("layer or stage", name, names, {entry.class_name for entry in compiled.catalogue})
    pages = [build_layer_page(source, entry, ()) for entry in entries]
    return [
        Formulas(name=page.name, description=page.description[0].replace("``", ""), section=page.section)
        for page in pages
    ]


def find_metrics(name: str | None) -> tuple[Metric, ...]:
    """Return the metric of this name; all of them for None.

    Raises
    ------
    UnknownNameError
        If there is no such metric.
    """
    found = tuple(metric for metric in METRICS if name in (None, metric))
    if not found:
        raise unknown_name("metric", str(name), METRICS)
    return found


def render_latex(formulas: Formulas, metrics: Collection[Metric]) -> str:
    """Return the formulas as displayed LaTeX, after what the names in them stand for."""
    lines = [f"% {formulas.name}: {formulas.description}"]
    lines += [f"% ${size.latex}$: {size.name}, {size.meaning}" for size in formulas.section.sizes]
    lines += [f"% ${part.latex} = {part.definition}$: {part.meaning}" for part in formulas.section.parts]
    for block in _blocks(formulas, metrics):
        lines += [f"\\[\n{display}\n\\]" for display in block.blocks]
    return "\n".join(lines)


def render(formulas: Formulas, metrics: Collection[Metric], *, width: int, unicode: bool) -> Iterator[RenderableType]:
    """Yield the formulas with their values, then what is in them."""
    blocks = _blocks(formulas, metrics)
    yield Text(formulas.name, style="bold").append(f": {formulas.description}\n", style="not bold")
    for block in blocks:
        unit = unit_of(block.metric)
        about = f" ({format_quantity(block.value, unit)})" if block.value >= 1000 else ""
        yield Text(f"{block.metric} = {format_integer(block.value)} {unit}{about}", style="cyan")
        yield Text(_write_lines(_lay_out(block, width, unicode), width) + "\n")
    yield from _explain(formulas.section, blocks)


def _blocks(formulas: Formulas, metrics: Collection[Metric]) -> list[MetricBlock]:
    return [block for block in formulas.section.metrics if block.metric in metrics]


def _lay_out(block: MetricBlock, width: int, unicode: bool) -> Iterator[Line]:
    """Yield the lines of a metric; of several parts, first how they are combined."""
    parts = block.formula.parts
    if len(parts) > 1:
        labels = [part.label for part in parts]
        yield Line(1, " + ".join(labels) if block.formula.combination == "sum" else f"max({', '.join(labels)})")
    for part in parts:
        if len(parts) > 1:
            yield Line(0, f"{part.label} =")
        formula = part.shown
        if part.per_view is not None:
            dot = " · " if unicode else " * "
            tiles = f"num_width_tiles{dot}num_height_tiles"
            yield Line(1, f"{part.label}_of(batch_size, base_size)")
            yield Line(1, f"+ [{tiles} > 1]{dot}{part.label}_of(batch_size{dot}{tiles}, image_size)")
            yield Line(0, f"{part.label}_of(num_views, view_size) =")
            formula = part.per_view
        in_bytes = multiply([sympy.Rational(1, 8), formula]) if is_bytes(block.metric) else formula
        for line in typeset(in_bytes, width=width - 2, unicode=unicode):
            yield Line(line.depth + 1, line.text)


def _write_lines(lines: Iterable[Line], width: int) -> str:
    """Return the lines indented; one that is too long goes on further in."""
    return "\n".join(
        text
        for line in lines
        for text in wrap(
            line.text, width, initial_indent=line.depth * "  ", subsequent_indent=(line.depth + 2) * "  ",
            break_long_words=False,
        )
    )  # fmt: skip


def _explain(section: FormulaSection, blocks: Collection[MetricBlock]) -> Iterator[RenderableType]:
    """Yield what the formulas of ``blocks`` are made of."""
    printed = sympy.Tuple(*(expression for block in blocks for expression in block.formula.printed))
    used = symbols_of(printed)
    if used:
        table = make_table("size", "meaning", "unit", "default", text_columns=3)
        for size in section.sizes:
            if size.name in used:
                table.add_row(
                    size.name, size.meaning, size.unit, "" if size.value is None else format_integer(size.value)
                )
        yield table
    if printed.has(Differs, Equals, Exceeds):
        yield Text("[a > b] is 1 where it holds, else 0.")
    if printed.has(RoutedReads):
        yield Text(
            "routed_reads(E, k, N, W) are the parameters that N tokens read when each chooses k of E experts of W "
            "parameters: E (1 - (1 - k/E)^N) W expected under uniform routing, rounded to whole parameters."
        )
