"""All evaluators of a model, in the groups in which backends show them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property, reduce

from attrs import define, evolve

from modelmeter.algebra.program import Program, join_programs
from modelmeter.evaluators.breakdown import BreakdownSpec, ModuleRecord, Table, evaluate_breakdown
from modelmeter.evaluators.evaluator import Evaluator
from modelmeter.evaluators.layers import evaluate_layer, evaluate_whole_layer
from modelmeter.evaluators.peaks import build_peaks, evaluate_peaks
from modelmeter.evaluators.programs import (
    build_layer,
    build_stages,
    build_training_step,
    find_routing_sizes,
    make_parameters,
    take_layer,
)
from modelmeter.evaluators.server_steps import evaluate_server_steps
from modelmeter.evaluators.signature import Parameter
from modelmeter.evaluators.spec import LayerFormula, PackageSpec
from modelmeter.evaluators.stages import (
    evaluate_all_stages,
    evaluate_derived,
    evaluate_stages,
)
from modelmeter.evaluators.traffic import build_traffic, evaluate_traffic, list_traffic
from modelmeter.evaluators.whole_models import WholeModel, add_whole_models, split_whole_model
from modelmeter.metrics.metric import FUSED_IO

WHOLE_MODEL = "whole_model"
THIS_MODEL = "this_model"
"""What evaluators share their steps as: of stages with any architecture, and with this one."""


@define(kw_only=True, frozen=True, slots=False)  # what only some backends show is worked out once, for them
class EvaluatorPackage:
    """The evaluators of a model.

    Parameters
    ----------
    spec
        What they were built from: the words and the facts beside them.
    stages, all_stages
        The cost of each stage and of the request; and all of these at once.
    derived, general_derived
        The sizes that are no arguments; and with the sizes of the architecture as arguments.
    training
        The cost of a training step, if there is one.
    peaks, traffic
        The peak of the activations of each stage, and ``fused_io_bytes``.
    general
        Stages, traffic and training step with the sizes of the architecture as arguments.
    layers
        The cost of each layer class, and its ``fused_io_bytes``.
    whole_models
        Layers that are the sum of stages, by name.
    server_steps
        Steps of a serving engine.
    modules, tables
        The modules of the breakdown, and its rows.
    shared
        The programs whose parts several evaluators are, by name. Outputs of one number are named like the evaluator,
        those of a cost ``evaluator_metric``.
    """

    spec: PackageSpec
    stages: tuple[Evaluator, ...]
    all_stages: Evaluator
    derived: tuple[Evaluator, ...]
    general_derived: tuple[Evaluator, ...]
    training: tuple[Evaluator, ...]
    peaks: tuple[Evaluator, ...]
    traffic: tuple[Evaluator, ...]
    general: tuple[Evaluator, ...]
    layers: tuple[Evaluator, ...]
    whole_models: Mapping[str, WholeModel]
    server_steps: tuple[Evaluator, ...]
    modules: tuple[ModuleRecord, ...]
    tables: tuple[Table, ...]
    shared: Mapping[str, Program]

    @property
    def aliases(self) -> dict[str, str]:
        """The evaluators of layers by another name that they have: that of the class alone."""
        renamed = [(layer.name, layer.public_name) for layer in self.spec.layers if layer.name != layer.public_name]
        return {f"{old}{part}": f"{new}{part}" for old, new in renamed for part in ("", f"_{FUSED_IO}")}

    @property
    def stage_names(self) -> tuple[str, ...]:
        """The stages, then the request."""
        return tuple(evaluator.name for evaluator in self.stages)

    @cached_property
    def layers_of_known_experts(self) -> tuple[Evaluator, ...]:
        """The evaluators of layers, of those that choose experts at the experts of the model.

        Where the number of experts, how many a token chooses and the sizes of their weights are numbers, what is read
        of them is a table of few rows, which a language without long integers has.
        """
        found: list[Evaluator] = []
        for layer in self.spec.layers:
            constants = find_routing_sizes(layer)
            if constants:
                built = build_layer(layer, self.spec, constants)
                # A whole model has no guards of its own: rules between its sizes say more.
                found += evaluate_layer(layer, evolve(built, guards={}) if layer.name in self.whole_models else built)
            else:
                names = {layer.public_name, f"{layer.public_name}_{FUSED_IO}"}
                found += [evaluator for evaluator in self.layers if evaluator.name in names]
        return tuple(found)

    @property
    def sizes(self) -> tuple[Parameter, ...]:
        """Every size that a caller may set."""
        return list_sizes(self.spec)


def list_sizes(spec: PackageSpec) -> tuple[Parameter, ...]:
    """Return every size of the model, with what follows from what."""
    return make_parameters(spec, spec.all_defaults, spec.all_defaults, spec.derivations)


def build_evaluators(spec: PackageSpec, breakdown: BreakdownSpec) -> EvaluatorPackage:
    """Return all evaluators of a model.

    Raises
    ------
    FormulaError
        If a formula has a size without a default, or is not made of exact sums, products, powers and integer functions.
    """
    stages = build_stages(spec, spec.architecture)
    training = build_training_step(spec, spec.architecture)
    fixed = {name: size for name, size in spec.architecture.items() if name in spec.fixed}
    general_training = build_training_step(spec, fixed)
    general = build_stages(spec, fixed, list_traffic(spec))
    whole_models = {
        layer.name: whole
        for layer in spec.layers
        if layer.holds_layers and (whole := split_whole_model(layer, spec, general.program)) is not None
    }
    of_stages = add_whole_models(
        general.program,
        {layer.public_name: whole_models[layer.name] for layer in spec.layers if layer.name in whole_models},
    )
    peaks, traffic = build_peaks(stages), build_traffic(stages)
    of_training = () if training is None else (training.program,)
    shared = {
        # Of training only the steps that are there already are shared: simplified with the others, it would be slower.
        WHOLE_MODEL: of_stages if general_training is None else join_programs(of_stages, general_training.program),
        THIS_MODEL: reduce(join_programs, (stages.program, *of_training, traffic, peaks)),
    }
    layers = [_evaluate_layer(layer, spec, whole_models.get(layer.name), shared[WHOLE_MODEL]) for layer in spec.layers]
    return EvaluatorPackage(
        spec=spec,
        stages=evaluate_stages(stages, THIS_MODEL),
        all_stages=evaluate_all_stages(stages, THIS_MODEL),
        derived=evaluate_derived(stages),
        general_derived=evaluate_derived(general),
        training=() if training is None else evaluate_stages(training, THIS_MODEL),
        peaks=evaluate_peaks(stages, peaks, THIS_MODEL),
        traffic=evaluate_traffic(stages, traffic, THIS_MODEL),
        general=(
            *evaluate_stages(general, WHOLE_MODEL),
            *(() if general_training is None else evaluate_stages(general_training, WHOLE_MODEL)),
            *evaluate_traffic(general, general.program, WHOLE_MODEL),
        ),
        layers=tuple(evaluator for pair in layers for evaluator in pair),
        whole_models=whole_models,
        server_steps=evaluate_server_steps(spec),
        modules=breakdown.modules,
        tables=evaluate_breakdown(spec, breakdown),
        shared=shared,
    )


def _evaluate_layer(
    layer: LayerFormula, spec: PackageSpec, whole: WholeModel | None, program: Program
) -> tuple[Evaluator, Evaluator]:
    if whole is None:
        return evaluate_layer(layer, build_layer(layer, spec))
    return evaluate_whole_layer(layer, take_layer(layer, spec, program), whole.cancelled, WHOLE_MODEL)
