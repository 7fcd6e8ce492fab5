"""Worked derivations of the formulas of pages, each proved when it is made."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from functools import cached_property
from math import ceil

import sympy
from attrs import field, frozen

from modelmeter.analysis.catalogue import LayerEntry
from modelmeter.backends.presentation.reader import FormulaReader
from modelmeter.backends.presentation.tree import ONE, Display, Symbol, Tree
from modelmeter.dimensions.evaluate import Evaluator
from modelmeter.dimensions.functions import Size
from modelmeter.model.request import fold_metric
from modelmeter.model.stages import REQUEST, TRAINING_STEP
from modelmeter.publishing.abbreviations import used_abbreviations
from modelmeter.publishing.derivation.proof import prove_sums
from modelmeter.publishing.derivation.stages import list_stage_summands, list_training_summands
from modelmeter.publishing.derivation.summands import (
    Calls,
    LayerFormulas,
    Summand,
    key_of,
    list_layer_summands,
    to_costs,
)
from modelmeter.publishing.formula import Formula, Shown, arrange, display_shown, is_bytes
from modelmeter.publishing.page_input import PageInput, make_reader, read_flags
from modelmeter.publishing.page_spec import FormulaSection, LayerPage, Link, PartRow, StagePage
from modelmeter.support.errors import FormulaError


@frozen(kw_only=True)
class ShownCalls:
    """Calls of a layer: its page, how many there are, at which sizes, and which switches are not those of the page."""

    layer: Link
    times: Tree
    sizes: tuple[tuple[Symbol, Tree], ...]
    flags: tuple[str, ...]

    @property
    def is_single(self) -> bool:
        """Whether there is one."""
        return self.times == ONE


@frozen(kw_only=True)
class DerivationStep:
    """A part of a formula: what it is, which calls it is of, its own formula, and its value at the defaults.

    Parameters
    ----------
    page, has_metric
        The page of what it is of, if there is one, and whether that has the formula of one call, or of the stage.
    """

    title: str
    note: str
    alike: int
    page: str
    has_metric: bool
    calls: tuple[ShownCalls, ...]
    lines: Display
    value: int | Fraction


@frozen(kw_only=True)
class Derivation:
    """The parts of a formula, which add up to it or of which it is the largest, and the names in them."""

    steps: tuple[DerivationStep, ...]
    names: tuple[PartRow, ...]
    is_largest: bool = False

    @property
    def value(self) -> int:
        """What the values of the steps make at the defaults, rounded up once."""
        values = [step.value for step in self.steps]
        return ceil(max(values, default=0) if self.is_largest else sum(values))


@frozen(kw_only=True, slots=False)
class DerivationMaker:
    """Makes the derivations of a model, a page at a time."""

    source: PageInput
    _arranged: dict[tuple[Shown, sympy.Expr], sympy.Expr] = field(init=False, factory=dict)

    @cached_property
    def _formulas(self) -> LayerFormulas:
        published = {key_of(entry.layer): to_costs(entry.cost, entry.fused_io_bytes) for entry in self.source.catalogue}
        return LayerFormulas(self.source.dimensions, published)

    @cached_property
    def _entries(self) -> dict[str, LayerEntry]:
        return {entry.name: entry for entry in self.source.catalogue}

    def of_layer(self, page: LayerPage) -> dict[Shown, Derivation]:
        """Return the derivations of the page of a layer.

        Raises
        ------
        FormulaError
            If the parts of a formula do not add up to it.
        """
        entry = self._entries[page.name]
        if page.is_placed:
            return self._of_place(page, entry)
        summands = list_layer_summands(entry.layer, self._formulas)
        values = Evaluator({**self.source.defaults, **entry.sizes})
        return self._derive(page.name, page.section, lambda _: summands, values, self._read_plainly, {})

    def of_stage(self, page: StagePage) -> dict[Shown, Derivation]:
        """Return the derivations of the page of a stage, of the request, or of a training step.

        Raises
        ------
        FormulaError
            If the parts of a formula do not add up to it.
        """
        source, root = self.source, self.source.model
        if page.name == REQUEST:
            return self._derive_filled(REQUEST, page.section, self._list_request)
        if page.name == TRAINING_STEP:
            summands = list(list_training_summands(source.training_layers))
        else:
            summands = list(list_stage_summands(source, root, page.name, self._formulas))
        return self._derive_filled(page.name, page.section, lambda _: summands)

    def _of_place(self, page: LayerPage, entry: LayerEntry) -> dict[Shown, Derivation]:
        """Return those of a layer whose formulas are those of its place in the model, by stage."""
        bound = self.source.modules[entry.occurrences[0].path]
        by_stage = {
            stage: list(list_stage_summands(self.source, bound, stage, self._formulas))
            for stage in self.source.totals.by_module[bound.node.path]
        }
        held = list_layer_summands(entry.layer, self._formulas)

        def list_summands(formula: Formula) -> list[Summand]:
            if any(not part.label for part in formula.parts):  # of the whole layer, not of its stages
                return held
            return [summand for part in formula.parts for summand in by_stage[part.label]]

        return self._derive_filled(page.name, page.section, list_summands)

    def _list_request(self, formula: Formula) -> Iterator[Summand]:
        """Yield the stages that count."""
        root, metric = self.source.model.node.path, formula.metric
        for stage in fold_metric(metric, self.source.definition.stages).stages:
            yield Summand(title=stage, costs={metric: self.source.formula(root, stage, metric)})

    def _derive_filled(
        self, name: str, section: FormulaSection, list_summands: Callable[[Formula], Iterable[Summand]]
    ) -> dict[Shown, Derivation]:
        source = self.source
        return self._derive(name, section, list_summands, source.value, source.fill, source.architecture)

    @staticmethod
    def _read_plainly(size: Size) -> sympy.Expr:
        return sympy.sympify(size)

    def _derive(
        self,
        name: str,
        section: FormulaSection,
        list_summands: Callable[[Formula], Iterable[Summand]],
        evaluate: Callable[[Size], int | Fraction],
        fill: Callable[[Size], sympy.Expr],
        filled_in: Mapping[str, int],
    ) -> dict[Shown, Derivation]:
        formulas = [block.formula for block in section.metrics]
        reader, abbreviations = make_reader(formulas, self.source.definition, filled_in)
        steps: dict[Shown, tuple[DerivationStep, ...]] = {}
        sums: dict[str, tuple[sympy.Expr, list[sympy.Expr]]] = {}
        for formula in formulas:
            metric = formula.metric
            parts = [(part, fill(part.costs.get(metric, 0))) for part in list_summands(formula)]
            shown = [(part, formula_, self._arrange(metric, formula_)) for part, formula_ in parts if formula_ != 0]
            _add_sums(sums, f"{name}, {metric}", formula, [each for _, _, each in shown])
            steps[metric] = tuple(
                DerivationStep(
                    title=part.title, note=part.note, alike=part.alike, page=self._find_page(part),
                    has_metric=name != TRAINING_STEP,
                    calls=tuple(self._show_calls(calls, reader, fill) for calls in part.calls),
                    lines=display_shown(metric, arranged, reader), value=evaluate(source),
                )
                for part, source, arranged in shown
            )  # fmt: skip
        prove_sums(sums, self.source.dimensions)
        names = tuple(
            PartRow(name=named, definition=named.inner, meaning=abbreviation.meaning)
            for abbreviation, named in used_abbreviations(abbreviations, reader)
        )
        return {
            formula.metric: Derivation(
                steps=steps[formula.metric], names=names, is_largest=formula.combination == "largest"
            )
            for formula in formulas
        }

    def _arrange(self, metric: Shown, formula: sympy.Expr) -> sympy.Expr:
        key = (metric, formula)
        if key not in self._arranged:
            self._arranged[key] = arrange(metric, formula, self.source.definition)
        return self._arranged[key]

    def _find_page(self, part: Summand) -> str:
        """Return the page that has the formula of a part: of its layer, or of a stage."""
        if part.calls:
            return self.source.link(part.calls[0].layer).page
        return f"stages/{part.title}.md" if part.title in self.source.totals.by_stage else ""

    def _show_calls(self, calls: Calls, reader: FormulaReader, fill: Callable[[Size], sympy.Expr]) -> ShownCalls:
        latex = self.source.dimensions.latex
        entry = self.source.entries.get(type(calls.layer))
        return ShownCalls(
            layer=self.source.link(calls.layer),
            times=reader.read(fill(calls.count * calls.times)),
            sizes=tuple(
                (symbol, tree)
                for name, size in calls.layer.own_sizes.items()
                # A size that is that of the layer around it goes without saying.
                if (symbol := Symbol(name, latex[name])) != (tree := reader.read(fill(size)))
            ),
            flags=tuple(flag for flag in read_flags(calls.layer) if entry and flag not in read_flags(entry.layer)),
        )


def _add_sums(
    sums: dict[str, tuple[sympy.Expr, list[sympy.Expr]]], place: str, formula: Formula, shown: Sequence[sympy.Expr]
) -> None:
    """Add what has to be proved of a formula: it is what was compiled, and the sum or the largest of what is shown."""
    factor = 8 if is_bytes(formula.metric) else 1  # of bytes, the bits are shown
    wholes = [part.shown for part in formula.parts]
    for number, part in enumerate(formula.parts):
        sums[f"{place}, as shown, part {number + 1}"] = part.shown, [factor * part.source]
    if formula.combination == "sum":
        sums[place] = sympy.Add(*wholes), list(shown)
        return
    if len(shown) != len(wholes):
        raise FormulaError(
            "a formula is the largest of other parts", place=place, expected=len(wholes), found=len(shown)
        )
    for number, (whole, part) in enumerate(zip(wholes, shown, strict=True)):
        sums[f"{place}, part {number + 1}"] = whole, [part]
