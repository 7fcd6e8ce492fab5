"""What evaluators are built from: formulas, defaults, and facts about them."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import Factory, field, frozen

from modelmeter.dimensions.functions import Size
from modelmeter.dimensions.size_rules import Rule
from modelmeter.dimensions.symbols import Dimensions
from modelmeter.evaluators.signature import Derivation
from modelmeter.metrics.cost import Cost
from modelmeter.model.definition import DerivedSize
from modelmeter.model.refused_stages import explain_refusal
from modelmeter.model.stages import REQUEST, TRAINING_STEP, Stage, TrainingStep

REQUEST_WORDS = "all stages, one after the other"
"""What the request is, as a part of a sentence."""


@frozen(kw_only=True)
class LayerFormula:
    """The cost of one forward of a layer class, in its own sizes.

    Parameters
    ----------
    name, class_name
        Of the layer (``deepseek_v2_moe``), and of the class that it costs.
    public_name
        Of the evaluator, where the class alone does not say what it is: ``sam_attention``.
    doc
        What the layer is, in a line of plain text.
    cost, fused_io_bytes
        Its formulas.
    sizes
        A default for each size in them.
    holds_layers
        Whether it is made of the layers of a whole model, so that its sizes are the model's.
    """

    name: str
    class_name: str
    doc: str
    cost: Cost
    fused_io_bytes: Size
    sizes: Mapping[str, int]
    holds_layers: bool = False
    public_name: str = field(default=Factory(lambda self: self.name, takes_self=True))


@frozen(kw_only=True)
class PackageSpec:
    """The evaluators of one model.

    Parameters
    ----------
    model
        The name of the model.
    dimensions
        Its sizes.
    stages
        Its stages, in the order in which they run.
    costs
        Formulas of each stage, over the workload, the storage widths and the architecture.
    server_steps
        Formulas of the steps of a serving engine, ``chunk`` and ``step``: over the same sizes, and ``cached_tokens`` or
        ``context_tokens``.
    layers
        Formulas of the layer classes.
    fused_io
        ``fused_io_bytes`` of each stage.
    peaks
        For each stage the bytes of activations that are alive together beside some operators; the largest are the
        peak.
    architecture
        The value of each architecture size.
    defaults
        The default of each workload and storage size.
    conventions
        What every number means, as lines of plain text.
    provenance
        Facts about the origin by name: versions, digests. No times and no paths.
    training, training_step
        What a training step is, and its formulas over the same sizes, if there is one.
    derived
        The sizes that are no arguments, but that rules and derivations speak of.
    rules
        What holds between sizes; every evaluator checks the rules of its own.
    derivations
        How sizes follow from others where they are not given. Those that have a source do so only where all stages
        run one after the other: in a request and in a training step.
    pairs
        Two sizes that are one axis of a grid, by the name of the axis.
    routes_experts
        Whether tokens choose among modules of the model.
    refused
        The stages that the model lacks, with the reason: then there is no request.
    fixed
        The architecture sizes that are numbers in every formula, also where the others are arguments.
    """

    model: str
    dimensions: Dimensions
    stages: tuple[Stage, ...]
    costs: Mapping[str, Cost]
    layers: tuple[LayerFormula, ...]
    fused_io: Mapping[str, Size]
    peaks: Mapping[str, tuple[Size, ...]]
    architecture: Mapping[str, int]
    defaults: Mapping[str, int]
    conventions: tuple[str, ...]
    provenance: Mapping[str, str]
    training: TrainingStep | None = None
    training_step: Cost | None = None
    derived: tuple[DerivedSize, ...] = ()
    rules: tuple[Rule, ...] = ()
    derivations: Mapping[str, Derivation] = field(factory=dict)
    fixed: frozenset[str] = frozenset()
    server_steps: Mapping[str, Cost] = field(factory=dict)
    pairs: Mapping[str, tuple[str, str]] = field(factory=dict)
    routes_experts: bool = False
    refused: Mapping[str, str] = field(factory=dict)

    @property
    def stage_words(self) -> dict[str, str]:
        """What each stage, the request if there is one, and the training step are, as a part of a sentence."""
        training = {} if self.training is None else {TRAINING_STEP: self.training.words}
        whole = dict.fromkeys(self.whole_names, REQUEST_WORDS)
        return {**{stage.name: stage.words for stage in self.stages}, **whole, **training}

    @property
    def whole_names(self) -> tuple[str, ...]:
        """The name of the request, if there is one: none has a stage that is refused."""
        return () if self.refused else (REQUEST,)

    def explain_refusals(self) -> dict[str, str]:
        """Return why there is no such stage, or no such thing that is made of all stages, by name."""
        names = [*self.refused, REQUEST, TRAINING_STEP]
        stages = [stage.name for stage in self.stages]
        return {name: why for name in names if (why := explain_refusal(name, self.refused, stages))}

    def explain_lacks(self) -> dict[str, str]:
        """Return why there is nothing that a serving engine runs, by name, where there is none."""
        if self.server_steps:
            return {}
        instead = f"ask for {' or '.join(stage.name for stage in self.stages)}"
        return {
            "step": f"this model has no steps of a serving engine, over sequences of different lengths; {instead}",
            "chunk": f"this model has no chunk of a forward, behind positions that are cached; {instead}",
        }

    @property
    def derived_formulas(self) -> dict[str, Size]:
        """The formula of each derived size."""
        return {size.name: size.formula for size in self.derived}

    @property
    def all_defaults(self) -> dict[str, int]:
        """The default of every size of the model."""
        return {**self.architecture, **self.defaults}

    @property
    def free_derivations(self) -> dict[str, Derivation]:
        """The derivations that hold in every evaluator: those without a source."""
        return {name: derivation for name, derivation in self.derivations.items() if derivation.source is None}
