"""What the evaluator package is made of: formulas, defaults, and facts about them."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen

from modelmeter.core.cost import Cost
from modelmeter.core.functions import Size


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
    """The evaluator package of one model.

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
    fixed: frozenset[str] = frozenset()
    server_steps: Mapping[str, Cost] = field(factory=dict)
