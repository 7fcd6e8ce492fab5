"""``modelmeter show``: the formulas of a layer, a stage or a training step, as on their pages, with default values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import sympy
from attrs import evolve, frozen
from rich.console import RenderableType
from rich.text import Text

from llm_perf_opt.commands.formula_text import LARGEST_STAGE, FormulaText
from llm_perf_opt.terminal import format_integer, format_quantity, make_table, unit_of
from modelmeter.analysis.catalogue import LayerEntry
from modelmeter.backends.latex.printer import print_block, print_inline
from modelmeter.backends.presentation.reader import FormulaReader
from modelmeter.backends.presentation.tree import Sign
from modelmeter.backends.terminal.printer import print_comparison
from modelmeter.compiled_model import CompiledModel
from modelmeter.dimensions.functions import BRACKETS, RoutedReads
from modelmeter.metrics.metric import PEAK
from modelmeter.model.definition import Model
from modelmeter.model.refused_stages import refuse_stage
from modelmeter.model.stages import REQUEST, TRAINING_STEP
from modelmeter.publishing.formula import Formula
from modelmeter.publishing.layer_page import build_layer_page
from modelmeter.publishing.page_input import PageInput, build_section, make_reader
from modelmeter.publishing.page_spec import FormulaSection, MetricBlock, PeakBlock, StagePage
from modelmeter.publishing.peak_formula import PeakFormula
from modelmeter.publishing.stage_page import build_request_page, build_stage_page
from modelmeter.publishing.training_page import build_training_page
from modelmeter.support.suggestions import unknown_name


@frozen(kw_only=True)
class ShownFormulas:
    """What a page says about a layer, a stage or a training step; only stages have a peak.

    Parameters
    ----------
    section
        The formulas, and the sizes and parts in them and in the peak: no others.
    model
        Whose formulas they are.
    filled_in, values, in_layer
        What the section is made with: the architecture's sizes that are numbers in the formulas, the defaults, and
        whether the sizes are those of one layer.
    """

    name: str
    description: str
    section: FormulaSection
    peak: PeakBlock | None = None
    model: Model
    filled_in: Mapping[str, int]
    values: Mapping[str, int]
    in_layer: bool = False

    def restrict(self, metrics: Iterable[MetricBlock], peak: PeakBlock | None) -> ShownFormulas:
        """Return some of the metrics and the peak, or no peak, with what is in them."""
        formulas = [block.formula for block in metrics]
        reader, abbreviations = make_reader(formulas, self.model, self.filled_in)
        beside: tuple[sympy.Expr, ...] = ()
        if peak is not None and peak.formula is not None:
            beside = peak.formula.printed
            peak = evolve(peak, blocks=peak.formula.typeset(reader))  # first: the section explains all of it
        section = build_section(
            formulas, reader, abbreviations, self.values, self.model.dimensions, beside=beside, in_layer=self.in_layer
        )
        return evolve(self, section=section, peak=peak)


def find_formulas(compiled: CompiledModel, name: str) -> list[ShownFormulas]:
    """Return the stage, the training step or the layer of this name, or else the layers of this torch class.

    Raises
    ------
    UnknownNameError
        If there is none.
    """
    source = PageInput(
        definition=compiled.definition,
        model=compiled.model,
        totals=compiled.totals,
        # They take longer than all else, and no layer shows one.
        peaks=compiled.peaks if name in compiled.stages else {},
        catalogue=compiled.catalogue,
        defaults=compiled.defaults,
    )
    if name in compiled.stages:
        stage = _build_stage(source, name)
        shown = ShownFormulas(
            name=name,
            description=stage.description.replace("``", ""),
            section=stage.section,
            peak=stage.peak,
            model=compiled.definition,
            filled_in=source.architecture,
            values=source.defaults,
        )
        return [shown.restrict(stage.section.metrics, stage.peak)]
    entries = [entry for entry in compiled.catalogue if entry.name == name]
    entries = entries or [entry for entry in compiled.catalogue if entry.class_name == name]
    if not entries:
        refuse_stage(name, compiled.definition.refused, compiled.stages)
        names = (*compiled.stages, *(entry.name for entry in compiled.catalogue))
        raise unknown_name("layer or stage", name, names, {entry.class_name for entry in compiled.catalogue})
    return [_read_layer(source, entry) for entry in entries]


def _build_stage(source: PageInput, name: str) -> StagePage:
    training = source.definition.training
    if name == REQUEST:
        return build_request_page(source)
    if name == TRAINING_STEP and training is not None:
        return build_training_page(source, training)
    return build_stage_page(source, name, ())


def _read_layer(source: PageInput, entry: LayerEntry) -> ShownFormulas:
    page = build_layer_page(source, entry, ())
    shown = ShownFormulas(
        name=page.name,
        description=page.description[0].replace("``", ""),
        section=page.section,
        model=source.definition,
        filled_in=source.architecture if page.is_placed else {},
        values={**source.defaults, **entry.sizes},
        in_layer=not page.is_placed,
    )
    return shown.restrict(page.section.metrics, None)


def choose_metric(formulas: ShownFormulas, metric: str) -> ShownFormulas:
    """Return the formulas with one metric only.

    Raises
    ------
    UnknownNameError
        If they have no such metric.
    """
    blocks = tuple(block for block in formulas.section.metrics if block.metric == metric)
    peak = formulas.peak if metric == PEAK else None
    if not blocks and peak is None:
        known = [block.metric for block in formulas.section.metrics] + ([] if formulas.peak is None else [PEAK])
        raise unknown_name(f"metric of {formulas.name}", metric, known)
    return formulas.restrict(blocks, peak)


def render_latex(formulas: ShownFormulas) -> str:
    """Return the formulas as displayed LaTeX, after what the names in them stand for."""
    lines = [f"% {formulas.name}: {formulas.description}"]
    lines += [f"% {print_inline(size.symbol)}: {size.name}, {size.meaning}" for size in formulas.section.sizes]
    lines += [
        f"% {print_inline(part.name, Sign.EQUALS, part.definition)}: {part.meaning}" for part in formulas.section.parts
    ]
    displays = [display for block in formulas.section.metrics for display in block.blocks]
    if formulas.peak is not None:
        displays += formulas.peak.blocks
        if formulas.peak.formula is None:
            lines.append(f"% {PEAK}: {LARGEST_STAGE}, by default that of {formulas.peak.place.title}")
    return "\n".join([*lines, *map(print_block, displays)])


def render(formulas: ShownFormulas, *, width: int, unicode: bool) -> Iterator[RenderableType]:
    """Yield the formulas with their values, then what is in them."""
    text = FormulaText(reader=FormulaReader(names=formulas.model.dimensions.latex), width=width, unicode=unicode)
    yield Text(formulas.name, style="bold").append(f": {formulas.description}\n", style="not bold")
    for block in formulas.section.metrics:
        yield _write_value(block.metric, block.value)
        yield Text(text.write_metric(block.formula) + "\n")
    if formulas.peak is not None:
        yield _write_value(PEAK, formulas.peak.value).append(f", in {formulas.peak.place.title}")
        yield Text(text.write_peak(formulas.peak.formula) + "\n")
    yield from _explain(formulas, unicode)


def _write_value(metric: str, value: int) -> Text:
    unit = unit_of(metric)
    about = f" ({format_quantity(value, unit)})" if value >= 1000 else ""
    return Text(f"{metric} = {format_integer(value)} {unit}{about}", style="cyan")


def _explain(formulas: ShownFormulas, unicode: bool) -> Iterator[RenderableType]:
    """Yield what the formulas are made of, and nothing else."""
    shown: list[Formula | PeakFormula] = [block.formula for block in formulas.section.metrics]
    if formulas.peak is not None and formulas.peak.formula is not None:
        shown.append(formulas.peak.formula)
    printed = sympy.Tuple(*(expression for formula in shown for expression in formula.printed))
    if formulas.section.sizes:
        table = make_table("size", "meaning", "unit", "default", text_columns=3)
        for size in formulas.section.sizes:
            table.add_row(size.name, size.meaning, size.unit, "" if size.value is None else format_integer(size.value))
        yield table
    brackets = [print_comparison(bracket, unicode=unicode) for bracket in BRACKETS if printed.has(bracket)]
    if brackets:
        verb = "are 1 where they hold" if len(brackets) > 1 else "is 1 where it holds"
        yield Text(f"{' and '.join(brackets)} {verb}, else 0.")
    if printed.has(RoutedReads):
        yield Text(
            "routed_reads(E, k, N, W) are the parameters that N tokens read when each chooses k of E experts of W "
            "parameters: E (1 - (1 - k/E)^N) W expected under uniform routing, rounded to whole parameters."
        )
