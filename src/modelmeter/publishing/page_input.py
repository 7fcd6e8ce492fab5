"""A compiled model as the pages read it: its formulas, their values at the defaults, and where things are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from functools import cached_property
from math import ceil

import sympy
from attrs import frozen

from modelmeter.analysis.bind import BoundModule
from modelmeter.analysis.catalogue import LayerEntry
from modelmeter.analysis.peak import Peak
from modelmeter.analysis.totals import Totals
from modelmeter.backends.presentation.reader import FormulaReader
from modelmeter.backends.presentation.tree import Symbol
from modelmeter.dimensions.evaluate import Evaluator, evaluate
from modelmeter.dimensions.functions import RoutedReads, Size
from modelmeter.dimensions.symbols import Dimensions
from modelmeter.layers.base import BaseLayer
from modelmeter.metrics.metric import FUSED_IO
from modelmeter.model.definition import Model
from modelmeter.model.presentation import Abbreviation
from modelmeter.model.request import fold_metric
from modelmeter.publishing.abbreviations import name_parts, used_abbreviations
from modelmeter.publishing.formula import Formula, Part, Shown, arrange_part, typeset
from modelmeter.publishing.page_spec import FormulaSection, Link, MetricBlock, PartRow, SizeRow


@frozen(kw_only=True, slots=False)
class PageInput:
    """What the pages are made of.

    Parameters
    ----------
    definition
        The family of models.
    model, totals, peaks, catalogue
        The bound modules, their totals, the peaks of their activations by stage, and the layer classes.
    defaults
        A value for every dimension, and for the last step of a loop.
    """

    definition: Model
    model: BoundModule
    totals: Totals
    peaks: Mapping[str, Peak]
    catalogue: tuple[LayerEntry, ...]
    defaults: Mapping[str, int]

    @cached_property
    def modules(self) -> dict[str, BoundModule]:
        """Every module by its path."""
        return {bound.node.path: bound for bound in self.model.walk()}

    @cached_property
    def architecture(self) -> dict[str, int]:
        """The value of every architecture size."""
        return {name: self.defaults[name] for name in self.dimensions.architecture}

    @cached_property
    def training_layers(self) -> BaseLayer:
        """The layers that a training step goes through, of a model that has one."""
        training = self.definition.training
        assert training is not None
        if training.build_layers is not None:
            return training.build_layers(self.definition.symbolic_sizes())
        (layer,) = (call.layer for call in self.model.calls if call.run == training.run)
        return layer

    @property
    def dimensions(self) -> Dimensions:
        """The sizes of the model."""
        return self.definition.dimensions

    @cached_property
    def entries(self) -> dict[type[BaseLayer], LayerEntry]:
        """Every entry of the catalogue by its layer class."""
        return {type(entry.layer): entry for entry in self.catalogue}

    @cached_property
    def _parts(self) -> dict[tuple[Size, str, Shown], Part]:
        return {}

    @cached_property
    def _evaluator(self) -> Evaluator:
        return Evaluator(self.defaults)

    @cached_property
    def _values(self) -> dict[tuple[str, str, Shown], int | Fraction]:
        return {}

    def fill(self, formula: Size) -> sympy.Expr:
        """Return ``formula`` with the architecture's sizes filled in."""
        return self._fill(sympy.sympify(formula))

    def _fill(self, expression: sympy.Expr) -> sympy.Expr:
        # As ``xreplace`` does, which does not know what it has done in another formula.
        if not expression.args:
            return self._numbers.get(expression, expression)
        if expression not in self._filled:
            filled = tuple(map(self._fill, expression.args))
            self._filled[expression] = expression if filled == expression.args else expression.func(*filled)
        return self._filled[expression]

    @cached_property
    def _numbers(self) -> dict[sympy.Symbol, sympy.Integer]:
        return {self.dimensions.symbol(name): sympy.Integer(value) for name, value in self.architecture.items()}

    @cached_property
    def _filled(self) -> dict[sympy.Expr, sympy.Expr]:
        return {}

    def formula(self, path: str, stage: str, metric: Shown) -> Size:
        """Return what a module and everything below it cost in a stage in which it takes part."""
        if metric == FUSED_IO:
            return self.totals.fused_io_by_module[path][stage]
        return self.totals.by_module[path][stage][metric]

    def arrange_stage(self, path: str, stage: str, metric: Shown) -> Part:
        """Return what a module costs in a stage as pages show it, the architecture's sizes filled in."""
        formula = self.formula(path, stage, metric)
        key = (formula, stage, metric)
        if key not in self._parts:  # several pages show the same stage
            self._parts[key] = arrange_part(
                metric, self.fill(formula), self.definition, label=stage, may_split_views=True
            )
        return self._parts[key]

    def value(self, formula: Size) -> int | Fraction:
        """Return the value of ``formula`` at the defaults."""
        return self._evaluator(formula)

    def module_value(self, path: str, stage: str, metric: Shown) -> int | Fraction:
        """Return what a module and everything below it cost in a stage: 0 where it takes no part."""
        key = (path, stage, metric)
        if key not in self._values:
            takes_part = stage in self.totals.by_module[path]
            self._values[key] = self.value(self.formula(path, stage, metric)) if takes_part else 0
        return self._values[key]

    def stage_value(self, stage: str, metric: Shown) -> int | Fraction:
        """Return what a stage costs."""
        return self.module_value(self.model.node.path, stage, metric)

    def request_value(self, metric: Shown, paths: Iterable[str] | None = None) -> int | Fraction | None:
        """Return what the modules at ``paths``, or all of them, cost in a request; None for activations of some.

        None also where there is no request, as a stage of it is refused.

        The paths do not contain each other.
        """
        if self.definition.refused:
            return None
        fold = fold_metric(metric, self.definition.stages)
        if fold.function == "largest":
            return max(self.stage_value(stage, metric) for stage in fold.stages) if paths is None else None
        roots = [self.model.node.path] if paths is None else list(paths)
        return sum(self.module_value(path, stage, metric) for path in roots for stage in fold.stages)

    def peak_value(self, stage: str) -> int | Fraction:
        """Return the most activations that are alive together in a stage."""
        return self.value(self.peaks[stage].formula)

    def link(self, layer: BaseLayer) -> Link:
        """Return the page of a layer; containers have none."""
        entry = self.entries.get(type(layer))
        return Link(title=type(layer).__name__, page=f"layers/{entry.name}.md" if entry else "")


def make_reader(
    formulas: Sequence[Formula], model: Model, filled_in: Mapping[str, int]
) -> tuple[FormulaReader, tuple[Abbreviation, ...]]:
    """Return a reader that names the parts of ``formulas``, whose sizes are ``filled_in``, and these parts."""
    abbreviations = name_parts(formulas, model, filled_in)
    names = {abbreviation.expression: abbreviation.latex for abbreviation in abbreviations}
    return FormulaReader(names, names=model.dimensions.latex), abbreviations


def build_section(
    formulas: Sequence[Formula],
    reader: FormulaReader,
    abbreviations: Iterable[Abbreviation],
    values: Mapping[str, int],
    dimensions: Dimensions,
    *,
    beside: Iterable[Size] = (),
    in_layer: bool = False,
) -> FormulaSection:
    """Return all metrics of one thing as a page shows them.

    Parameters
    ----------
    values
        The default sizes; one that the thing has no default for may be missing if it is only in ``beside``.
    dimensions
        The sizes of the model.
    beside
        What else the page prints, for the sizes in it.
    in_layer
        Whether the sizes are those of one layer.
    """
    metrics = tuple(
        MetricBlock(formula=formula, blocks=typeset(formula, reader), value=_value(formula, values))
        for formula in formulas
    )
    parts = used_abbreviations(abbreviations, reader)
    printed = [expression for block in metrics for expression in block.formula.printed]
    return FormulaSection(
        metrics=metrics,
        sizes=tuple(
            size_row(name, values, dimensions, in_layer=in_layer)
            for name in dimensions.symbols_of(sympy.Tuple(*printed, *beside))
        ),
        parts=tuple(
            PartRow(name=named, definition=named.inner, meaning=abbreviation.meaning) for abbreviation, named in parts
        ),
        routes_experts=any(expression.has(RoutedReads) for expression in printed),
    )


def size_row(name: str, values: Mapping[str, int], dimensions: Dimensions, *, in_layer: bool = False) -> SizeRow:
    """Return the row of a size of a model, or of one layer."""
    dimension = dimensions.describe_in_layer(name) if in_layer else dimensions.describe(name)
    return SizeRow(
        symbol=Symbol(name, dimensions.latex[name]),
        unit=dimension.unit,
        meaning=dimension.meaning,
        value=values.get(name),
    )


def read_flags(layer: BaseLayer) -> tuple[str, ...]:
    """Return the switches of a layer, such as ``bias=False``."""
    return tuple(f"{name}={value}" for name, value in layer.flags.items())


def _value(formula: Formula, values: Mapping[str, int]) -> int:
    parts = [evaluate(part.source, values) for part in formula.parts]
    return ceil(sum(parts) if formula.combination == "sum" else max(parts))
