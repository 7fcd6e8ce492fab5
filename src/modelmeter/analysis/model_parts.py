"""What a compiled model is made of: its layers, modules, totals and peaks, each made when it is first asked for."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Self

from attrs import frozen

from modelmeter.analysis.bind import BoundModule, bind
from modelmeter.analysis.breakdown import OperatorRow, list_operators
from modelmeter.analysis.catalogue import LayerEntry, build_catalogue
from modelmeter.analysis.peak import Peak, find_peaks
from modelmeter.analysis.totals import Totals, add_up
from modelmeter.analysis.training_modules import list_training_modules
from modelmeter.dimensions.evaluate import evaluate
from modelmeter.dimensions.size_rules import substitute_sizes
from modelmeter.graph.module_graph import ModuleGraph
from modelmeter.layers.base import BaseLayer
from modelmeter.metrics.cost import Cost
from modelmeter.model.definition import Architecture, Model
from modelmeter.model.request import fold_metric
from modelmeter.support.errors import FormulaError
from modelmeter.support.garbage import without_collection


@frozen(kw_only=True, slots=False, repr=False)
class ModelParts:
    """The parts of a compiled model, in the order in which they are made of each other.

    Parameters
    ----------
    definition
        The family of models.
    architecture
        The model's sizes.
    graph
        The traced modules.
    name
        The name of the model.
    """

    definition: Model
    architecture: Architecture
    graph: ModuleGraph
    name: str

    def make_all(self) -> Self:
        """Make each of the following at once, in this order, so that what fails, fails now; return the model itself."""
        for part in ("runs", "model", "totals", "peaks", "training_step", "catalogue"):
            getattr(self, part)
        return self

    @cached_property
    def runs(self) -> dict[str, BaseLayer]:
        """The layers of each run, with a formula for every size."""
        return self.definition.build_layers(self.definition.symbolic_sizes())

    @cached_property
    def model(self) -> BoundModule:
        """Module graph and layers together: the modules with their formulas, checked at the traced sizes."""
        with without_collection():
            sizes = self.definition.at_step({**self.graph.architecture, **self.graph.workload}, 1)
            return bind(self.graph, self.runs, sizes)

    @cached_property
    def totals(self) -> Totals:
        """Formulas of modules added up by stage, by module and by class; the decode loop in closed form."""
        with without_collection():
            model = self.definition
            totals = add_up(self.model, model.stage_of, stages=model.stages, loop=model.loop)
        self._check_parameters(totals)
        return totals

    @cached_property
    def peaks(self) -> Mapping[str, Peak]:
        """What is alive beside each operator, and the largest of each stage; the architecture's sizes are put in."""
        model, known = self.definition, self.architecture.dimension_values()
        sizes = {**model.symbolic_sizes(), **known}
        with without_collection():
            return find_peaks(
                model.build_layers(sizes), model.stage_of, inputs=model.list_inputs(sizes), stages=model.stage_names,
                loop=model.loop, rules=substitute_sizes(model.rules, known), dimensions=model.dimensions,
            )  # fmt: skip

    @cached_property
    def training_layers(self) -> BaseLayer | None:
        """The layers that a training step goes through, with a formula for every size; None where there is none."""
        training = self.definition.training
        if training is None or training.build_layers is None:
            return None if training is None else self.runs[training.run]
        with without_collection():
            return training.build_layers(self.definition.symbolic_sizes())

    @cached_property
    def training_step(self) -> Cost | None:
        """The cost of a forward without a cache, and of the backward of it; None where the model has none."""
        layers = self.training_layers
        return None if layers is None else layers.training_cost

    @cached_property
    def training_modules(self) -> Mapping[str, Cost]:
        """The cost of a training step by module path, with everything below each; empty where the model has none."""
        layers = self.training_layers
        if layers is None:
            return {}
        with without_collection():
            return list_training_modules(layers, self.model)

    @cached_property
    def catalogue(self) -> tuple[LayerEntry, ...]:
        """Every layer class once, with formulas in its own sizes."""
        with without_collection():
            return build_catalogue(self.model, self.defaults, self.definition.stage_of, self.definition.dimensions)

    @cached_property
    def defaults(self) -> Mapping[str, int]:
        """A value for every dimension: the architecture, the default workload, and the last step of a loop."""
        model = self.definition
        return model.at_step({**self.architecture.dimension_values(), **model.default_workload()})

    @cached_property
    def _operators(self) -> tuple[OperatorRow, ...]:
        return list_operators(self.model, self.definition.stage_of, self.definition.loop)

    def _check_parameters(self, totals: Totals) -> None:
        """Check that a request holds the parameters of its stages as often as the model does: once."""
        stages = fold_metric("weight_bytes", self.definition.stages).stages
        held = sum(evaluate(totals.by_stage[stage].weight_bytes, self.defaults) for stage in stages)
        whole = evaluate(totals.total.weight_bytes, self.defaults)
        if held != whole:
            raise FormulaError(
                "the parameters of the stages are not those of the model", place=", ".join(stages),
                expected=f"{whole} bytes", found=held,
                remedy="say of each stage that runs modules of earlier ones only that it shares parameters",
            )  # fmt: skip
