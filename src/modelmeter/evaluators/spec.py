"""What evaluators are built from: formulas, defaults, and facts about them."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen

from modelmeter.core.cost import Cost
from modelmeter.core.functions import Size
from modelmeter.core.size_rules import Rule
from modelmeter.core.symbols import Dimension
from modelmeter.evaluators.signature import Derivation
from modelmeter.model.stages import REQUEST, TRAINING_STEP

WHOLE_WORDS: Mapping[str, str] = {
    REQUEST: "all stages, one after the other",
    TRAINING_STEP: "a forward over images and prompt, and of the backward of it",
}
"""What is made of stages is, as a part of a sentence."""


@frozen(kw_only=True)
class LayerFormula:
    """The cost of one forward of a layer class, in its own sizes.

    Parameters
    ----------
    name, class_name
        Of the evaluator (``deepseek_v2_moe``), and of the class that it costs.
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


@frozen(kw_only=True)
class PackageSpec:
    """The evaluators of one model.

    Parameters
    ----------
    stages
        Formulas of ``vision``, ``projector``, ``prefill`` and ``decode``, over the workload, the storage
        widths and the architecture.
    training_step
        Formulas of a training step, over the same sizes.
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
    image_tokens
        Tokens of the images of one page, over the workload and the architecture.
    architecture
        The value of each architecture size.
    defaults
        The default of each workload and storage size.
    conventions
        What every number means, as lines of plain text.
    provenance
        Facts about the origin by name: versions, digests. No times and no paths.
    model
        The name of the model.
    rules
        What holds between sizes; every evaluator checks the rules of its own.
    derivations
        How sizes follow from others where they are not given. Those that have a source do so only where the prompt
        holds the image tokens: in a request and in a training step.
    stage_words
        What each stage, the request and the training step are, as a part of a sentence.
    layer_dimensions
        What sizes are in a layer, where that is not what they are in the model.
    fixed
        The architecture sizes that are numbers in every formula, also where the others are arguments.
    """

    stages: Mapping[str, Cost]
    training_step: Cost
    layers: tuple[LayerFormula, ...]
    fused_io: Mapping[str, Size]
    peaks: Mapping[str, tuple[Size, ...]]
    image_tokens: Size
    architecture: Mapping[str, int]
    defaults: Mapping[str, int]
    conventions: tuple[str, ...]
    provenance: Mapping[str, str]
    model: str
    rules: tuple[Rule, ...]
    derivations: Mapping[str, Derivation]
    stage_words: Mapping[str, str]
    layer_dimensions: Mapping[str, Dimension] = field(factory=dict)
    fixed: frozenset[str] = frozenset()
    server_steps: Mapping[str, Cost] = field(factory=dict)

    @property
    def all_defaults(self) -> dict[str, int]:
        """The default of every size of the model."""
        return {**self.architecture, **self.defaults}

    @property
    def free_derivations(self) -> dict[str, Derivation]:
        """The derivations that hold in every evaluator: those without a source."""
        return {name: derivation for name, derivation in self.derivations.items() if derivation.source is None}
