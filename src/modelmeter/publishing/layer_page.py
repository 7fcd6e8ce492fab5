"""The page of one layer class: its formulas, its operators, where the model has it and what that costs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction

import sympy
from attrs import evolve

from modelmeter.algebra.readable import factor_readably
from modelmeter.analysis.bind import BoundCall
from modelmeter.analysis.catalogue import LayerEntry, Occurrence
from modelmeter.backends.latex.printer import print_latex
from modelmeter.backends.presentation.reader import FormulaReader
from modelmeter.backends.presentation.tree import Symbol, Tree
from modelmeter.dimensions.evaluate import evaluate
from modelmeter.dimensions.functions import Size
from modelmeter.graph.module_graph import is_inside
from modelmeter.layers.base import BaseLayer
from modelmeter.layers.child import Child
from modelmeter.layers.container import ModuleList, Sequential
from modelmeter.metrics.cost import Elements, Operator
from modelmeter.metrics.metric import FUSED_IO, METRICS
from modelmeter.publishing.conventions import describe_checks
from modelmeter.publishing.formula import SHOWN, Formula, Shown, arrange_part
from modelmeter.publishing.page_input import (
    PageInput,
    build_section,
    make_reader,
    read_flags,
)
from modelmeter.publishing.page_spec import ChildRow, LayerPage, OccurrenceRow, PricedOperator, Share, ShareRow, Variant
from modelmeter.publishing.text import describe
from modelmeter.support.errors import FormulaError

_KINDS = {
    "activation": "activations", "weight": "weights", "kv": "KV cache", "index": "indices", "float32": "in float32",
    "byte": "of one byte", "state": "of states in float32",
}  # fmt: skip
REPETITIONS = {"none": "", "for": "one after the other", "parfor": "side by side"}


def build_layer_page(source: PageInput, entry: LayerEntry, evidence: Sequence[str]) -> LayerPage:
    """Return the page of a layer class; ``evidence`` is what a verification found."""
    is_placed, flags = entry.layer.holds_layers, read_flags(entry.layer)
    calls = [call for bound in source.model.walk() for call in bound.calls if type(call.layer) is type(entry.layer)]
    values = {**source.defaults, **entry.sizes}
    formulas = _place_formulas(source, entry) if is_placed else _formulas(source, entry.layer)
    reader, abbreviations = make_reader(formulas, source.definition, source.architecture if is_placed else {})
    rows = _Rows(source, reader, fills=is_placed)
    operators = rows.operators(entry.layer)
    children = tuple(rows.children(entry.layer, ""))
    stages = tuple(stage for stage in source.totals.by_stage if _takes_part(source, entry, stage))
    return LayerPage(
        name=entry.name,
        title=type(entry.layer).__name__,
        description=tuple(describe(type(entry.layer))),
        flags=flags,
        is_placed=is_placed,
        run=entry.occurrences[0].run,
        section=build_section(
            formulas,
            reader,
            abbreviations,
            values,
            source.dimensions,
            beside=rows.printed,
            in_layer=not is_placed,
        ),
        variants=tuple(_variants(source, entry, calls)),
        operators=operators,
        children=children,
        occurrences=tuple(
            _occurrence_row(source, occurrence, call, flags)
            for occurrence, call in zip(entry.occurrences, calls, strict=True)
        ),
        stages=stages,
        shares=tuple(_share_rows(source, entry, stages)),
        evidence=describe_checks(entry.layer, source.definition, evidence),
    )


def _formulas(source: PageInput, layer: BaseLayer) -> list[Formula]:
    return [
        Formula(metric=metric, parts=(arrange_part(metric, _size_of(layer, metric), source.definition),))
        for metric in SHOWN
    ]


def _size_of(layer: BaseLayer, metric: Shown) -> Size:
    return layer.forward_fused_io_bytes() if metric == FUSED_IO else layer.cost[metric]


def _place_formulas(source: PageInput, entry: LayerEntry) -> list[Formula]:
    """Return the formulas of a layer that is made of given layers: those of its place in the model, by stage."""
    place = entry.occurrences[0]
    inside = {
        occurrence.stage
        for each in source.catalogue
        for occurrence in each.occurrences
        if occurrence.run == place.run and occurrence.times != 0 and is_inside(occurrence.path, place.path)
    }
    stages = [stage for stage in source.totals.by_stage if stage in inside]
    formulas = []
    for metric in SHOWN:
        stated = [stage for stage in stages if source.formula(place.path, stage, metric) != 0]
        parts = [source.arrange_stage(place.path, stage, metric) for stage in stated]
        if not parts or metric == "weight_bytes":
            parts = [arrange_part(metric, source.fill(_size_of(entry.layer, metric)), source.definition)]
        formulas.append(Formula(metric=metric, parts=tuple(parts)))
    return formulas


def _variants(source: PageInput, entry: LayerEntry, calls: list[BoundCall]) -> Iterator[Variant]:
    """Yield the forms of the layer, other than the canonical one, that the model calls."""
    canonical = read_flags(entry.layer)
    seen = {canonical}
    for call in calls:
        flags = read_flags(call.layer)
        values = {name: evaluate(size, source.defaults) for name, size in call.layer.own_sizes.items()}
        if flags in seen or any(isinstance(value, Fraction) for value in values.values()):
            continue
        seen.add(flags)
        changed = {flag: getattr(call.layer, flag) for flag in (each.partition("=")[0] for each in flags)}
        layer = evolve(entry.layer, **changed)
        formulas = [
            formula
            for formula in _formulas(source, layer)
            if _size_of(layer, formula.metric) != _size_of(entry.layer, formula.metric)
        ]
        reader, abbreviations = make_reader(formulas, source.definition, {})
        whole = {name: int(value) for name, value in values.items()}
        yield Variant(
            flags=tuple(flag for flag in flags if flag not in canonical),
            section=build_section(
                formulas, reader, abbreviations, {**source.defaults, **whole}, source.dimensions, in_layer=True
            ),
        )


class _Rows:
    """Reads the operators and children of a layer, and remembers the formulas in them."""

    def __init__(self, source: PageInput, reader: FormulaReader, *, fills: bool) -> None:
        self.printed: list[sympy.Expr] = []
        self._source = source
        self._reader = reader
        self._fills = fills

    def operators(self, layer: BaseLayer) -> tuple[PricedOperator, ...]:
        """Return the operators of the layer's own forward; alike ones in one row."""
        counts: dict[Operator, int] = {}
        for operator in layer.own_operators:
            counts[operator] = counts.get(operator, 0) + 1
        return tuple(
            PricedOperator(
                name=operator.name,
                count=count,
                tensor_core_flops=self._read(operator.tensor_core_flops),
                cuda_core_flops=self._read(operator.cuda_core_flops),
                reads=self._elements(operator.reads),
                writes=self._elements(operator.writes),
            )
            for operator, count in counts.items()
        )

    def children(self, layer: BaseLayer, prefix: str) -> Iterator[ChildRow]:
        """Yield a row for each call of each module below ``layer``; containers are passed through."""
        for name, child in layer.children.items():
            path = f"{prefix}{'*' if isinstance(layer, ModuleList) else name}"
            if isinstance(child.layer, ModuleList | Sequential):
                yield from self.children(child.layer, f"{path}.")
                continue
            for called, times in child.calls:
                yield self._child_row(path, child, called, times)

    def _child_row(self, path: str, child: Child, called: BaseLayer, times: Size) -> ChildRow:
        entry = self._source.entries.get(type(called))
        latex = self._source.dimensions.latex
        sizes = ((Symbol(name, latex[name]), self._read(size)) for name, size in called.own_sizes.items())
        return ChildRow(
            name=path,
            layer=self._source.link(called),
            count=self._read(child.count),
            repetition=REPETITIONS[child.repetition],
            times=self._read(times),
            sizes=tuple((symbol, size) for symbol, size in sizes if print_latex(symbol) != print_latex(size)),
            flags=tuple(flag for flag in read_flags(called) if entry and flag not in read_flags(entry.layer)),
        )

    def _elements(self, elements: Elements) -> tuple[tuple[str, Tree], ...]:
        kinds = ((name, getattr(elements, kind)) for kind, name in _KINDS.items())
        return tuple((name, self._read(count)) for name, count in kinds if count != 0)

    def _read(self, formula: Size) -> Tree:
        expression = self._source.fill(formula) if self._fills else sympy.sympify(formula)
        shown = expression if expression.is_Atom else factor_readably(expression, self._source.dimensions)
        self.printed.append(shown)
        return self._reader.read(shown)


def _occurrence_row(
    source: PageInput, occurrence: Occurrence, call: BoundCall, canonical: tuple[str, ...]
) -> OccurrenceRow:
    loop = source.definition.loop
    steps = source.defaults[loop.count.name] if loop is not None and occurrence.stage == loop.stage else 1
    times = source.value(occurrence.times) * steps
    if isinstance(times, Fraction):
        raise FormulaError("a module is not called a whole number of times", place=occurrence.path, found=times)
    return OccurrenceRow(
        path=occurrence.path,
        stage=occurrence.stage,
        times=times,
        sizes=tuple(
            (Symbol(name, source.dimensions.latex[name]), source.value(size))
            for name, size in call.layer.own_sizes.items()
        ),
        flags=tuple(flag for flag in read_flags(call.layer) if flag not in canonical),
    )


def outermost_paths(entry: LayerEntry) -> list[str]:
    """Return the modules of a class that are not inside another of it, in the model's order."""
    paths = list(dict.fromkeys(occurrence.path for occurrence in entry.occurrences))
    return [path for path in paths if not any(path != other and is_inside(path, other) for other in paths)]


def _takes_part(source: PageInput, entry: LayerEntry, stage: str) -> bool:
    return any(source.module_value(path, stage, metric) for path in outermost_paths(entry) for metric in METRICS)


def _share_rows(source: PageInput, entry: LayerEntry, stages: tuple[str, ...]) -> Iterator[ShareRow]:
    paths = outermost_paths(entry)
    for metric in METRICS:
        request = source.request_value(metric, paths)
        yield ShareRow(
            metric=metric,
            stages=tuple(
                Share(
                    value=sum(source.module_value(path, stage, metric) for path in paths),
                    total=source.stage_value(stage, metric),
                )
                for stage in stages
            ),
            request=None if request is None else Share(value=request, total=source.request_value(metric)),
        )
