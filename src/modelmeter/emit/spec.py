"""What the evaluator package is made of: formulas, defaults, rules between sizes, and facts about them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from attrs import frozen

from modelmeter.cost import Cost
from modelmeter.functions import Size

Relation = Literal["at_most", "divides", "divides_evenly"]
"""``a <= b``; ``b`` is a multiple of ``a``; ``b`` is an even multiple of ``a``."""


@frozen
class Rule:
    """A relation between two sizes ``a`` and ``b``, by name, that every evaluator with one of them checks.

    ``a`` may be a number.
    """

    a: str | int
    relation: Relation
    b: str

    @property
    def names(self) -> set[str]:
        """The sizes that are no numbers."""
        return {size for size in (self.a, self.b) if isinstance(size, str)}


RULES = (
    Rule("vision_batch_size", "divides", "batch_size"),
    Rule("sam_patch_size", "at_most", "base_size"),
    Rule("sam_patch_size", "at_most", "image_size"),
    Rule("logits_tokens", "at_most", "seq_len"),
    Rule("image_tokens", "at_most", "seq_len"),
    Rule("first_k_dense_replace", "at_most", "num_hidden_layers"),
    Rule("num_experts_per_tok", "at_most", "n_routed_experts"),
    Rule("num_attention_heads", "divides_evenly", "hidden_size"),
    Rule("num_key_value_heads", "divides", "num_attention_heads"),
    Rule("sam_num_global_layers", "at_most", "sam_num_hidden_layers"),
    Rule("sam_num_attention_heads", "divides", "sam_hidden_size"),
    Rule("sam_patch_size", "at_most", "sam_image_size"),
    Rule("clip_num_attention_heads", "divides", "clip_hidden_size"),
    Rule("clip_patch_size", "at_most", "clip_image_size"),
    Rule("num_heads", "divides", "hidden_size"),
    Rule(2, "divides", "head_dim"),  # only the rotary embedding has this size of its own, and turns pairs of channels
    Rule("num_queries", "at_most", "num_keys"),
    Rule("num_global_layers", "at_most", "num_layers"),
    Rule("patch_size", "at_most", "view_size"),
)
"""What holds between the sizes of this family of models; a size without a name in a function has no rule there."""


@frozen(kw_only=True)
class LayerFormula:
    """The cost of one forward of a layer class, in its own sizes.

    Parameters
    ----------
    name, class_name
        Of the evaluator (``deepseek_v2_moe``), and of the class that it costs.
    doc
        What the layer is, in a line of plain text.
    cost
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
    layers
        Formulas of the layer classes.
    peaks
        For each stage the bytes of activations that are alive together beside some operators; the largest are the
        peak.
    image_tokens
        Tokens of the images of one page, over the workload and the architecture.
    architecture
        The value of each architecture size.
    fixed
        The architecture sizes that are numbers in every formula, also where the others are arguments.
    defaults
        The default of each workload and storage size.
    conventions
        What every number means, as lines of plain text.
    provenance
        Facts about the origin by name: versions, digests. No times and no paths.
    model
        The name of the model.
    """

    stages: Mapping[str, Cost]
    training_step: Cost
    layers: tuple[LayerFormula, ...]
    peaks: Mapping[str, tuple[Size, ...]]
    image_tokens: Size
    architecture: Mapping[str, int]
    defaults: Mapping[str, int]
    conventions: tuple[str, ...]
    provenance: Mapping[str, str]
    fixed: frozenset[str] = frozenset()
    model: str = "DeepSeek-OCR"
