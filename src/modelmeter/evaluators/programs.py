"""The programs behind the evaluators of stages and layers, and what each evaluator takes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from types import MappingProxyType

import sympy
from attrs import define, frozen

from modelmeter.algebra.program import MAXIMUM, SUM, Program, select
from modelmeter.algebra.simplify import Combination, build_program
from modelmeter.dimensions.functions import CeilDiv, FloorDiv, RoutedReads, Size
from modelmeter.dimensions.symbols import Dimension, names_of
from modelmeter.evaluators.signature import Derivation, Parameter, Signature
from modelmeter.evaluators.spec import LayerFormula, PackageSpec
from modelmeter.metrics.metric import FUSED_IO, METRICS, MetricName
from modelmeter.model.request import fold_metric
from modelmeter.model.stages import REQUEST, TRAINING_STEP
from modelmeter.support.errors import FormulaError

_FUNCTIONS = {"sum": SUM, "largest": MAXIMUM}
"""Of programs, for those of a fold."""

ALL_STAGES = "stages"
"""The name of what has the costs of all stages at once, and of the request."""

_CHAINED = (ALL_STAGES, REQUEST, TRAINING_STEP)
"""Where all stages run one after the other, so that sizes of later ones follow from those of earlier ones."""


@define(kw_only=True, frozen=True, slots=False)  # the signatures are worked out once, into the dictionary
class Stages:
    """Every metric of every stage and of the request in one program, so that they share their work.

    Parameters
    ----------
    spec
        What they are built from.
    names
        The stages, then the request if there is one; or a training step.
    program
        Its outputs are the derived sizes, and each metric of each stage: ``prefill_io_bytes`` and so on.
    constants
        Sizes that are numbers in the program.
    """

    spec: PackageSpec
    names: tuple[str, ...]
    program: Program
    constants: Mapping[str, int]

    def part(self, stage: str, *metrics: MetricName) -> Program:
        """Return the program of some metrics of a stage; of the request or a training step, with the derived sizes."""
        derived = self.spec.derived_formulas if stage in _CHAINED else ()
        return select(self.program, *derived, *(f"{stage}_{metric}" for metric in metrics))

    def signature(self, stage: str) -> Signature:
        """Return what the evaluators of a stage take: the sizes in any of its formulas."""
        return self._signatures[stage]

    @property
    def whole_signature(self) -> Signature:
        """What takes the sizes of all stages: as the request does, if there is one."""
        return self._signatures[REQUEST] if REQUEST in self.names else self._make_signature(ALL_STAGES)

    @cached_property
    def _signatures(self) -> dict[str, Signature]:
        return {stage: self._make_signature(stage) for stage in self.names}

    def _make_signature(self, stage: str) -> Signature:
        program = self.program if stage == ALL_STAGES else self.part(stage, *METRICS)
        is_chained = stage in _CHAINED
        derivations = self.spec.derivations if is_chained else self.spec.free_derivations
        rules = (derivations[name] for name in program.inputs if name in derivations)
        sources = [rule.source for rule in rules if rule.source]
        return Signature(
            parameters=make_parameters(self.spec, [*program.inputs, *sources], self.spec.all_defaults, derivations),
            has_routing=program.calls(RoutedReads.__name__),
            constants=self.constants,
            intermediates=tuple(self.spec.derived_formulas) if is_chained else (),
            model_rules=self.spec.rules,
        )


def build_stages(
    spec: PackageSpec, constants: Mapping[str, int], beside: Mapping[str, Size | Combination] = MappingProxyType({})
) -> Stages:
    """Return the program of all stages; sizes that are not in ``constants`` are parameters.

    Parameters
    ----------
    beside
        More outputs, which share its steps.
    """
    outputs: dict[str, Size | Combination] = {**spec.derived_formulas}
    for stage, cost in spec.costs.items():
        for metric in METRICS:
            outputs[f"{stage}_{metric}"] = cost[metric]
    for whole in spec.whole_names:
        for metric in METRICS:
            outputs[f"{whole}_{metric}"] = combine_stages(spec, metric)
    return Stages(
        spec=spec,
        names=(*spec.costs, *spec.whole_names),
        program=build_program({**outputs, **beside}, constants=constants, dimensions=spec.dimensions),
        constants=constants,
    )


def combine_stages(spec: PackageSpec, metric: str) -> Combination:
    """Return a metric of the request as a combination of the outputs ``stage_metric``."""
    fold = fold_metric(metric, spec.stages)
    return Combination(_FUNCTIONS[fold.function], tuple(f"{stage}_{metric}" for stage in fold.stages))


def build_training_step(spec: PackageSpec, constants: Mapping[str, int]) -> Stages | None:
    """Return the program of the training step, which shares no work with the stages; None where there is none."""
    if spec.training_step is None:
        return None
    metrics = {f"{TRAINING_STEP}_{metric}": spec.training_step[metric] for metric in METRICS}
    outputs = {**spec.derived_formulas, **metrics}
    return Stages(
        spec=spec,
        names=(TRAINING_STEP,),
        program=build_program(outputs, constants=constants, dimensions=spec.dimensions),
        constants=constants,
    )


@frozen(kw_only=True)
class Layer:
    """A layer class: what its evaluators take, their programs, and what must not be negative in them.

    A quotient whose dividend has negative terms, as the output side of a convolution, has to be at least 1.

    Parameters
    ----------
    program, fused_io
        Of the six metrics, and of ``fused_io_bytes``.
    guards
        Outputs of both programs that must not be negative, each with its formula.
    """

    signature: Signature
    program: Program
    fused_io: Program
    guards: Mapping[str, str]


def build_layer(layer: LayerFormula, spec: PackageSpec, constants: Mapping[str, int] = MappingProxyType({})) -> Layer:
    """Return the programs of a layer class, its sizes as parameters.

    Parameters
    ----------
    constants
        Sizes that are numbers in the programs. They stay parameters that may have no other value.
    """
    formulas, beside, guards = _read_layer(layer, spec)
    checked = {**beside, **guards}
    program = build_program({**formulas, **checked}, constants=constants, dimensions=spec.dimensions)
    fused_io = {FUSED_IO: layer.fused_io_bytes, **checked}
    return Layer(
        signature=_sign_layer(
            layer, spec, {*program.inputs, *constants}, beside, has_routing=program.calls(RoutedReads.__name__),
            constants=constants,
        ),
        program=program,
        fused_io=build_program(fused_io, constants=constants, dimensions=spec.dimensions),
        guards={name: str(rest) for name, rest in guards.items()},
    )  # fmt: skip


def find_routing_sizes(layer: LayerFormula) -> dict[str, int]:
    """Return the sizes that the reads of experts depend on beside the tokens, each with its value in the model.

    They are the number of experts, how many a token chooses, and the sizes of their weights.
    """
    reads = {
        read for formula in (*layer.cost.as_dict().values(), layer.fused_io_bytes)
        for read in sympy.sympify(formula).atoms(RoutedReads)
    }  # fmt: skip
    names = {name for read in reads for name in _list_routing_names(*read.args)}
    return {name: size for name, size in layer.sizes.items() if name in names}


def _list_routing_names(
    experts: sympy.Expr, per_token: sympy.Expr, tokens: sympy.Expr, weights: sympy.Expr
) -> set[str]:
    """Return the names of the sizes of a read beside its tokens, which what is read of an expert may grow with."""
    of_token = names_of(sympy.cancel(weights / tokens))
    of_expert = names_of(weights) if of_token & names_of(tokens) else of_token
    return {*names_of(experts), *names_of(per_token), *of_expert}


def take_layer(layer: LayerFormula, spec: PackageSpec, program: Program) -> Layer:
    """Return a layer class whose program is a part of another one, with outputs ``layer_metric``."""
    formulas, beside, _ = _read_layer(layer, spec)
    inputs = {name for formula in (*formulas.values(), *beside.values()) for name in names_of(formula)}
    return Layer(
        signature=_sign_layer(
            layer, spec, inputs, beside, has_routing=any(formula.has(RoutedReads) for formula in formulas.values())
        ),
        program=select(program, *beside, *(f"{layer.public_name}_{metric}" for metric in METRICS)),
        fused_io=select(program, *beside, f"{layer.public_name}_{FUSED_IO}"),
        guards={},
    )


def _read_layer(
    layer: LayerFormula, spec: PackageSpec
) -> tuple[dict[str, sympy.Expr], dict[str, sympy.Expr], dict[str, sympy.Expr]]:
    """Return the formulas of a layer class, those of derived sizes beside them, and what must not be negative.

    A layer that has all sizes of a derived one, and those that rules hold against it, works it out to check them: one
    that takes both a prompt and images, the image tokens that the prompt has to hold.
    """
    formulas: dict[str, sympy.Expr] = {metric: sympy.sympify(layer.cost[metric]) for metric in METRICS}
    beside = {
        name: sympy.sympify(formula)
        for name, formula in spec.derived_formulas.items()
        if names_of(formula) | _list_compared(spec, name) <= layer.sizes.keys()
    }
    quotients = {
        quotient for formula in (*formulas.values(), *beside.values()) for quotient in formula.atoms(FloorDiv, CeilDiv)
    }
    rests = [quotient.args[0] - quotient.args[1] for quotient in sorted(quotients, key=str) if _may_fail(quotient)]
    return formulas, beside, {f"guard_{number}": rest for number, rest in enumerate(dict.fromkeys(rests))}


def _sign_layer(
    layer: LayerFormula,
    spec: PackageSpec,
    inputs: Iterable[str],
    beside: Iterable[str],
    *,
    has_routing: bool,
    constants: Mapping[str, int] = MappingProxyType({}),
) -> Signature:
    names = set(inputs)
    describe = spec.dimensions.describe_in_layer
    return Signature(
        parameters=make_parameters(
            spec, names, layer.sizes, {}, {} if layer.holds_layers else {name: describe(name) for name in names}
        ),
        has_routing=has_routing,
        constants=constants,
        intermediates=tuple(beside),
        model_rules=spec.rules,
    )


def _list_compared(spec: PackageSpec, name: str) -> set[str]:
    """Return the sizes that rules hold against a derived one."""
    return {size for rule in spec.rules if name in rule.names for size in rule.names - {name}}


def _may_fail(quotient: sympy.Expr) -> bool:
    """Tell whether the dividend may be less than nothing."""
    return any(term.could_extract_minus_sign() for term in sympy.Add.make_args(quotient.args[0]))


def make_parameters(
    spec: PackageSpec,
    names: Iterable[str],
    defaults: Mapping[str, int],
    derivations: Mapping[str, Derivation],
    dimensions: Mapping[str, Dimension] = MappingProxyType({}),
) -> tuple[Parameter, ...]:
    """Return parameters in the order of the documentation; ``dimensions`` are those that are not as elsewhere."""
    needed = set(names)
    unknown = sorted(needed - defaults.keys())
    if unknown:
        raise FormulaError("a formula has sizes without a default", found=", ".join(unknown))
    targets = {derivation.source: name for name, derivation in derivations.items() if name in needed}
    return tuple(
        Parameter(
            name=name, default=defaults[name], derivation=derivations.get(name), target=targets.get(name),
            dimension=dimensions.get(name) or spec.dimensions.describe(name),
        )
        for name in spec.dimensions.sort(needed)
    )  # fmt: skip
