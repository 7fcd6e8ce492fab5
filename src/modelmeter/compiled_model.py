"""A compiled model: what is asked of its formulas, by stage, layer and operator."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import ceil
from typing import TYPE_CHECKING

import sympy

from modelmeter.analysis.breakdown import OperatorRow
from modelmeter.analysis.division import RankFormulas, make_rank_formulas
from modelmeter.analysis.model_parts import ModelParts
from modelmeter.dimensions.evaluate import evaluate
from modelmeter.dimensions.functions import Size
from modelmeter.graph.module_graph import ModuleGraph
from modelmeter.metrics.cost import Cost
from modelmeter.metrics.metric import FUSED_IO, METRICS, PEAK
from modelmeter.model.completion import complete_sizes
from modelmeter.model.definition import Model
from modelmeter.model.refused_stages import refuse_stage
from modelmeter.model.request import fold_metric
from modelmeter.model.serving import find_serving
from modelmeter.model.stages import REQUEST, TRAINING_STEP
from modelmeter.support.suggestions import unknown_name

if TYPE_CHECKING:  # who asks for no page does without what pages are made of
    from modelmeter.publishing.identity import PublishedFormula


class CompiledModel(ModelParts):
    """The formulas of a model: what is asked of its parts."""

    @classmethod
    def open(cls, definition: Model, graph: ModuleGraph) -> CompiledModel:
        """Return the model that a graph was traced from, without torch; nothing of it is made yet.

        Raises
        ------
        ArchitectureError
            If the graph is not one of this family.
        """
        architecture = definition.read_architecture(graph)
        return cls(
            definition=definition, architecture=architecture, graph=graph, name=definition.choose_name(architecture)
        )

    def __repr__(self) -> str:
        return f"<{self.name}: {len(self.layers)} layer classes, stages {', '.join(self.definition.stage_names)}>"

    @property
    def stages(self) -> tuple[str, ...]:
        """The names that :meth:`evaluate` takes: the stages in their order, all of them, and a training step."""
        return (*self.definition.stage_names, *self.definition.whole_names)

    @property
    def layers(self) -> tuple[str, ...]:
        """The names of the layer classes, in the order of the modules."""
        return tuple(entry.name for entry in self.catalogue)

    def find_layers(self, name: str) -> tuple[str, ...]:
        """Return the layer of this name, or else those of this torch class, of which there may be several; or none."""
        if name in self.layers:
            return (name,)
        return tuple(entry.name for entry in self.catalogue if entry.class_name == name)

    def symbol(self, name: str) -> sympy.Symbol:
        """Return the symbol of a size, to be substituted in a formula.

        Raises
        ------
        FormulaError
            If the model has no size of this name.
        """
        return self.definition.dimensions.symbol(name)

    @property
    def metrics(self) -> tuple[str, ...]:
        """The names of the metrics that :meth:`formula` takes."""
        return (*METRICS, FUSED_IO, PEAK)

    def formula(self, name: str, metric: str, *, symbolic: bool = False) -> sympy.Expr:
        """Return what a stage or a layer class costs, as a formula.

        Parameters
        ----------
        name
            A stage, ``request``, ``training_step``, or a layer class, as ``deepseek_v2_moe``.
        metric
            One of :attr:`metrics`. FLOPs are integers, bytes exact rationals before they are rounded up. The symbols
            are integers and positive: ask :func:`modelmeter.symbol` for one, and :func:`modelmeter.evaluate` for a
            value, since a formula may round and have brackets.
        symbolic
            Whether the sizes of the architecture stay symbols. A layer class has all of its sizes as symbols.

        Raises
        ------
        UnknownNameError
            If there is no such stage, layer or metric, or it has no such metric.

        Examples
        --------
        >>> import modelmeter
        >>> model = modelmeter.load("deepseek-ocr")
        >>> model.formula("projector", "weight_bytes")
        328160*weight_bits
        >>> model.formula("linear", "tensor_core_flops")
        2*in_features*num_tokens*out_features
        """
        if name in self.stages:
            # Only the peaks are made with the sizes of the architecture in them: with symbols there are too many.
            if metric == PEAK and symbolic:
                raise unknown_name("formula with symbols for the architecture", metric, (*METRICS, FUSED_IO))
            found = sympy.sympify(self._stage_formula(name, metric))
            return found if symbolic else self._fill(found)
        found_layers = self.find_layers(name)
        if not found_layers:
            refuse_stage(name, self.definition.refused, self.stages)
            raise unknown_name("stage or layer", name, (*self.stages, *self.layers))
        if len(found_layers) > 1:
            raise unknown_name("single layer", name, self.layers, meant=found_layers)
        (entry,) = (entry for entry in self.catalogue if entry.name == found_layers[0])
        found = {**{each: entry.cost[each] for each in METRICS}, FUSED_IO: entry.fused_io_bytes}
        if metric not in found:
            raise unknown_name("metric of a layer", metric, found)
        return sympy.sympify(found[metric])

    def evaluate(self, stage: str, **sizes: int) -> Cost:
        """Return what a stage costs at sizes, as integers: the slow and certain way.

        Parameters
        ----------
        stage
            A stage, ``request`` or ``training_step``.
        sizes
            Of the workload, of storage and of the architecture; those that are left out follow from the others, or
            are those of the default workload and of this model.

        Raises
        ------
        UnknownNameError
            If there is no such stage or size.
        WorkloadError
            If a size is out of range, or two contradict each other.

        Examples
        --------
        >>> import modelmeter
        >>> modelmeter.load().evaluate("prefill", seq_len=913).tensor_core_flops
        1099514009088
        """
        cost = self._stage_cost(stage)
        formulas = [cost[metric] for metric in METRICS]
        values = complete_sizes(self.definition, self.defaults, sizes, formulas)
        return Cost(**{metric: ceil(evaluate(cost[metric], values)) for metric in METRICS})

    def operators(self, stage: str) -> tuple[OperatorRow, ...]:
        """Return a record for each operator of each module in a stage: module path, operator, calls and cost.

        Raises
        ------
        UnknownNameError
            If there is no such stage. The operators of a request are those of its stages.
        """
        if stage not in self.definition.stage_names:
            refuse_stage(stage, self.definition.refused, self.stages)
            raise unknown_name("stage", stage, self.definition.stage_names)
        return tuple(row for row in self._operators if row.stage == stage)

    def rank_formulas(self) -> RankFormulas:
        """Return what a rank of a tensor- and expert-parallel group holds, writes and sends; both degrees are symbols.

        The sizes of the architecture are symbols too. The rules are those of the model's ``SERVING``.

        Raises
        ------
        WorkloadError
            If the model does not say how it is served, or how it is divided.

        Examples
        --------
        >>> import modelmeter
        >>> model = modelmeter.load("deepseek-ocr")
        >>> formulas = model.rank_formulas()
        >>> modelmeter.evaluate(formulas.kv_cache_bytes, model.defaults | {"tensor_parallel_size": 2})
        28047360
        """
        serving = find_serving(self.definition.name)
        return make_rank_formulas(self.model, self.definition, serving, self._operators)

    def published_formulas(self) -> tuple[PublishedFormula, ...]:
        """Return every formula that :meth:`formula` knows, of stages and of layers, with its permanent id.

        The sizes of the architecture are symbols, but in peaks. The order is that of stages, layers and metrics.
        """
        return tuple(self._list_published())

    def pages(
        self, *, evidence: Mapping[str, Sequence[str]] | None = None, has_accuracy: bool = False
    ) -> dict[str, str]:
        """Return the formula pages as text by relative path, Markdown and LaTeX; nothing is written.

        Parameters
        ----------
        evidence
            By name of a layer or stage, how its formulas were checked.
        has_accuracy
            Whether the pages about other implementations stand beside these.
        """
        from modelmeter.publishing.pages import render_pages  # jinja2, which formulas do without

        return render_pages(
            definition=self.definition, model=self.model, totals=self.totals, peaks=self.peaks,
            catalogue=self.catalogue, defaults=self.defaults, name=self.name, evidence=evidence,
            has_accuracy=has_accuracy,
        )  # fmt: skip

    def _list_published(self) -> Iterator[PublishedFormula]:
        from modelmeter.publishing.identity import publish

        for name in (*self.stages, *self.layers):
            is_stage = name in self.stages
            for metric in self.metrics:
                if (name == TRAINING_STEP and metric not in METRICS) or (metric == PEAK and not is_stage):
                    continue
                found = self.formula(name, metric, symbolic=metric != PEAK)
                yield publish(self.definition.name, name, metric, found, is_stage=is_stage)

    def _stage_cost(self, stage: str) -> Cost:
        refuse_stage(stage, self.definition.refused, self.stages)
        if stage == TRAINING_STEP and self.training_step is not None:
            return self.training_step
        if stage == REQUEST:
            return self.totals.total
        if stage not in self.definition.stage_names:
            raise unknown_name("stage", stage, self.stages)
        return self.totals.by_stage[stage]

    def _stage_formula(self, stage: str, metric: str) -> Size:
        if metric in METRICS:
            return self._stage_cost(stage)[metric]
        if metric not in (FUSED_IO, PEAK) or stage == TRAINING_STEP:
            raise unknown_name(f"metric of {stage}", metric, METRICS if stage == TRAINING_STEP else self.metrics)
        parts = fold_metric(metric, self.definition.stages).stages if stage == REQUEST else (stage,)
        if metric == FUSED_IO:
            return sympy.Add(*(self.totals.fused_io_by_stage[part] for part in parts))
        return sympy.Max(*(size for part in parts for size in self.peaks[part].candidates), evaluate=False)

    def _fill(self, formula: sympy.Expr) -> sympy.Expr:
        sizes = self.architecture.dimension_values()
        filled: sympy.Expr = formula.xreplace({self.symbol(name): sympy.Integer(size) for name, size in sizes.items()})
        return filled
