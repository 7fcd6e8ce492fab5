"""All evaluators of a model, in the groups in which backends show them."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

from modelmeter.core.metrics import FUSED_IO
from modelmeter.evaluators.breakdown import BreakdownSpec, ModuleRecord, Table, evaluate_breakdown
from modelmeter.evaluators.evaluator import Evaluator
from modelmeter.evaluators.layers import evaluate_layer
from modelmeter.evaluators.peaks import evaluate_peaks
from modelmeter.evaluators.programs import build_stages, build_training_step, make_parameters
from modelmeter.evaluators.server_steps import evaluate_server_steps
from modelmeter.evaluators.signature import Parameter
from modelmeter.evaluators.spec import PackageSpec
from modelmeter.evaluators.stages import (
    evaluate_all_stages,
    evaluate_derived,
    evaluate_stages,
)
from modelmeter.evaluators.traffic import evaluate_traffic
from modelmeter.evaluators.whole_models import WholeModel, split_whole_model


@frozen(kw_only=True)
class EvaluatorPackage:
    """The evaluators of a model.

    Parameters
    ----------
    spec
        What they were built from: the words and the facts beside them.
    stages, all_stages
        The cost of each stage and of the request; and all of these at once.
    derived
        The sizes that are no arguments.
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
    """

    spec: PackageSpec
    stages: tuple[Evaluator, ...]
    all_stages: Evaluator
    derived: tuple[Evaluator, ...]
    training: tuple[Evaluator, ...]
    peaks: tuple[Evaluator, ...]
    traffic: tuple[Evaluator, ...]
    general: tuple[Evaluator, ...]
    layers: tuple[Evaluator, ...]
    whole_models: Mapping[str, WholeModel]
    server_steps: tuple[Evaluator, ...]
    modules: tuple[ModuleRecord, ...]
    tables: tuple[Table, ...]

    @property
    def aliases(self) -> dict[str, str]:
        """The evaluators of layers by another name that they have: that of the class alone."""
        renamed = [(layer.name, layer.public_name) for layer in self.spec.layers if layer.name != layer.public_name]
        return {f"{old}{part}": f"{new}{part}" for old, new in renamed for part in ("", f"_{FUSED_IO}")}

    @property
    def stage_names(self) -> tuple[str, ...]:
        """The stages, then the request."""
        return tuple(evaluator.name for evaluator in self.stages)

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
    general = build_stages(spec, fixed)
    general_training = build_training_step(spec, fixed)
    return EvaluatorPackage(
        spec=spec,
        stages=evaluate_stages(stages),
        all_stages=evaluate_all_stages(stages),
        derived=evaluate_derived(stages),
        training=() if training is None else evaluate_stages(training),
        peaks=evaluate_peaks(stages),
        traffic=evaluate_traffic(stages),
        general=(
            *evaluate_stages(general),
            *evaluate_traffic(general),
            *(() if general_training is None else evaluate_stages(general_training)),
        ),
        layers=tuple(evaluator for formula in spec.layers for evaluator in evaluate_layer(formula, spec)),
        whole_models={
            layer.name: whole
            for layer in spec.layers
            if layer.holds_layers and (whole := split_whole_model(layer, spec)) is not None
        },
        server_steps=evaluate_server_steps(spec),
        modules=breakdown.modules,
        tables=evaluate_breakdown(spec, breakdown),
    )
