"""``modelmeter show``: the formulas of a layer, a stage or a training step, as on their pages, with default values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from textwrap import wrap
from typing import Final

import sympy
from attrs import evolve, frozen
from rich.console import RenderableType
from rich.text import Text

from llm_perf_opt.terminal import format_integer, format_quantity, make_table, unit_of
from llm_perf_opt.typeset import Line, typeset, write_bracket
from modelmeter.analysis.catalogue import LayerEntry
from modelmeter.compiled_model import CompiledModel
from modelmeter.core.functions import BRACKETS, RoutedReads
from modelmeter.core.metrics import METRICS, PEAK
from modelmeter.model.definition import Model
from modelmeter.model.presentation import Repetition
from modelmeter.model.stages import REQUEST, TRAINING_STEP
from modelmeter.publishing.formula import Formula, is_bytes
from modelmeter.publishing.latex import multiply
from modelmeter.publishing.layer_page import build_layer_page
from modelmeter.publishing.page_input import PageInput, build_section, make_printer
from modelmeter.publishing.page_spec import FormulaSection, MetricBlock, PeakBlock, StagePage
from modelmeter.publishing.peak_formula import EIGHTH, PeakCase, PeakFormula
from modelmeter.publishing.stage_page import build_request_page, build_stage_page
from modelmeter.publishing.training_page import build_training_page
from modelmeter.support.suggestions import unknown_name

_WIDEST: Final = 1000
"""Characters of what stays on one line, however wide the terminal is."""

_LARGEST_STAGE: Final = "the largest peak of the stages"


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
        printer, abbreviations = make_printer(formulas, self.model, self.filled_in)
        beside: tuple[sympy.Expr, ...] = ()
        if peak is not None and peak.formula is not None:
            beside = peak.formula.printed
            peak = evolve(peak, blocks=peak.formula.typeset(printer))  # first: the section explains all of it
        section = build_section(
            formulas, printer, abbreviations, self.values, self.model.dimensions, beside=beside, in_layer=self.in_layer
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
        known = METRICS if formulas.peak is None else (*METRICS, PEAK)
        raise unknown_name(f"metric of {formulas.name}", metric, known)
    return formulas.restrict(blocks, peak)


def render_latex(formulas: ShownFormulas) -> str:
    """Return the formulas as displayed LaTeX, after what the names in them stand for."""
    lines = [f"% {formulas.name}: {formulas.description}"]
    lines += [f"% ${size.latex}$: {size.name}, {size.meaning}" for size in formulas.section.sizes]
    lines += [f"% ${part.latex} = {part.definition}$: {part.meaning}" for part in formulas.section.parts]
    displays = [display for block in formulas.section.metrics for display in block.blocks]
    if formulas.peak is not None:
        displays += formulas.peak.blocks
        if formulas.peak.formula is None:
            lines.append(f"% {PEAK}: {_LARGEST_STAGE}, by default that of {formulas.peak.place.title}")
    return "\n".join([*lines, *(f"\\[\n{display}\n\\]" for display in displays)])


def render(formulas: ShownFormulas, *, width: int, unicode: bool) -> Iterator[RenderableType]:
    """Yield the formulas with their values, then what is in them."""
    yield Text(formulas.name, style="bold").append(f": {formulas.description}\n", style="not bold")
    for block in formulas.section.metrics:
        yield _write_value(block.metric, block.value)
        yield Text(_write_lines(_lay_out(block, width, unicode), width) + "\n")
    if formulas.peak is not None:
        yield _write_value(PEAK, formulas.peak.value).append(f", in {formulas.peak.place.title}")
        yield Text(_write_lines(_lay_out_peak(formulas.peak.formula, width, unicode), width) + "\n")
    yield from _explain(formulas, unicode)


def _write_value(metric: str, value: int) -> Text:
    unit = unit_of(metric)
    about = f" ({format_quantity(value, unit)})" if value >= 1000 else ""
    return Text(f"{metric} = {format_integer(value)} {unit}{about}", style="cyan")


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
        if part.per_view is not None and part.repetition is not None:
            write = _Words(part.repetition, f"{part.label}_of", unicode)
            yield Line(1, f"{write.factors}{write.dot}(")
            yield Line(2, write.always)
            yield Line(2, f"+ {write.condition}{write.dot}{write.sometimes}")
            yield Line(1, ")")
            yield Line(0, f"{write.any_view} =")
            formula = part.per_view
        in_bytes = multiply([sympy.Rational(1, 8), formula]) if is_bytes(block.metric) else formula
        yield from _indent(typeset(in_bytes, width=width - 2, unicode=unicode))


def _lay_out_peak(peak: PeakFormula | None, width: int, unicode: bool) -> Iterator[Line]:
    """Yield the lines of a peak: what can be the largest, and where; then the function of views in it, if any."""
    if peak is None:
        yield Line(1, _LARGEST_STAGE)
        return
    for number, case in enumerate(peak.cases):
        yield from _lay_out_case(case, f"peak_of{chr(39) * number}", width, unicode)


def _lay_out_case(case: PeakCase, function: str, width: int, unicode: bool) -> Iterator[Line]:
    """Yield the lines of a peak where a condition holds; the peak is the sum over the conditions."""

    def write(formula: sympy.Expr) -> list[Line]:
        return typeset(formula, width=width - 6, unicode=unicode)

    dot = _write_dot(unicode)
    (eighth,), (condition,) = write(EIGHTH), write(case.condition)
    largest = f"+ {eighth.text}{dot}{condition.text}{dot}max("
    rows = [(f"in {layer}", write(row)) for layer, row in case.rows]
    if case.held is None or case.repetition is None:
        yield from _list_rows(largest, rows)
        return
    words, repetition = _Words(case.repetition, function, unicode), case.repetition
    beside_always, beside_sometimes = map(write, case.held)
    inner = [*beside_sometimes, Line(0, f"+ {words.sometimes}")]
    kinds = [
        (f"of the {repetition.always.name}", [*beside_always, Line(0, f"+ {words.always}")]),
        (
            f"of the {repetition.sometimes.name}",
            [Line(0, f"{words.condition}{dot}("), *_indent(inner), Line(0, ")")],
        ),
    ]
    yield from _list_rows(largest, kinds)
    yield Line(0, f"{words.any_view} =")
    yield from _list_rows("max(", rows)


def _list_rows(head: str, rows: Iterable[tuple[str, Iterable[Line]]]) -> Iterator[Line]:
    """Yield the lines of a maximum, of each row after what it is."""
    yield Line(1, head)
    for label, lines in rows:
        yield Line(2, f"{label}:")
        yield from _indent(lines, 3)
    yield Line(1, ")")


def _write_dot(unicode: bool) -> str:
    """Return what stands between factors."""
    return " · " if unicode else " * "


@frozen
class _Words:
    """A function of one kind of views, and what stands around it, as text."""

    repetition: Repetition
    function: str
    unicode: bool

    @property
    def dot(self) -> str:
        return _write_dot(self.unicode)

    @property
    def factors(self) -> str:
        return self.dot.join(map(self._write, self.repetition.factors))

    @property
    def condition(self) -> str:
        return self._write(self.repetition.condition)

    @property
    def always(self) -> str:
        return self._call(self.repetition.always.sizes)

    @property
    def sometimes(self) -> str:
        return self._call(self.repetition.sometimes.sizes)

    @property
    def any_view(self) -> str:
        return self._call(self.repetition.parameters)

    def _call(self, sizes: Iterable[sympy.Expr]) -> str:
        return f"{self.function}({', '.join(map(self._write, sizes))})"

    def _write(self, formula: sympy.Expr) -> str:
        (line,) = typeset(formula, width=_WIDEST, unicode=self.unicode)
        return line.text


def _indent(lines: Iterable[Line], depth: int = 1) -> Iterator[Line]:
    for line in lines:
        yield Line(line.depth + depth, line.text)


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
    brackets = [write_bracket(bracket, unicode=unicode) for bracket in BRACKETS if printed.has(bracket)]
    if brackets:
        verb = "are 1 where they hold" if len(brackets) > 1 else "is 1 where it holds"
        yield Text(f"{' and '.join(brackets)} {verb}, else 0.")
    if printed.has(RoutedReads):
        yield Text(
            "routed_reads(E, k, N, W) are the parameters that N tokens read when each chooses k of E experts of W "
            "parameters: E (1 - (1 - k/E)^N) W expected under uniform routing, rounded to whole parameters."
        )
