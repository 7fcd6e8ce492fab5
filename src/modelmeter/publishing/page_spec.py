"""What the formula pages hold, before any language: records of formulas, numbers and plain text.

Formulas are presentation trees. Text is plain, or as :mod:`modelmeter.publishing.text` reads it.
"""

from __future__ import annotations

from fractions import Fraction

from attrs import frozen

from modelmeter.backends.presentation.tree import ONE, Display, Named, Number, Symbol, Tree
from modelmeter.publishing.formula import Formula, Shown
from modelmeter.publishing.peak_formula import PeakFormula


@frozen(kw_only=True)
class SizeRow:
    """A size: how it is written, what it is, and its value if it has one by default."""

    symbol: Symbol
    unit: str
    meaning: str
    value: int | None

    @property
    def name(self) -> str:
        """Its name."""
        return self.symbol.name


@frozen(kw_only=True)
class PartRow:
    """A part of the formulas that has a name: what it stands for."""

    name: Named | Symbol
    definition: Tree
    meaning: str


@frozen(kw_only=True)
class MetricBlock:
    """A metric on a page: its formula, as it is displayed, and its value."""

    formula: Formula
    blocks: tuple[Display, ...]
    value: int

    @property
    def metric(self) -> Shown:
        """Which metric."""
        return self.formula.metric


@frozen(kw_only=True)
class PeakBlock:
    """The peak of the activations: its formula, also as it is displayed, its value, and where it is by default.

    That of a request has no formula of its own: it is the largest of its stages.
    """

    formula: PeakFormula | None
    blocks: tuple[Display, ...]
    value: int
    place: Link


@frozen(kw_only=True)
class FormulaSection:
    """All metrics of one thing, the sizes in them and the parts that they name.

    ``fused_io_bytes`` stands after ``io_bytes``; a training step has none.
    """

    metrics: tuple[MetricBlock, ...]
    sizes: tuple[SizeRow, ...]
    parts: tuple[PartRow, ...]
    routes_experts: bool

    def find(self, metric: Shown) -> MetricBlock | None:
        """Return the block of a metric, or None where there is none."""
        return next((block for block in self.metrics if block.metric == metric), None)


@frozen(kw_only=True)
class Share:
    """A value, and the total that it is a part of; no total where the metric does not add up."""

    value: int | Fraction
    total: int | Fraction | None


@frozen(kw_only=True)
class Link:
    """The name of a thing and its page: empty where it has none."""

    title: str
    page: str


@frozen(kw_only=True)
class PricedOperator:
    """An operator of a layer's own forward; elements by what stores them."""

    name: str
    count: int
    tensor_core_flops: Tree
    cuda_core_flops: Tree
    reads: tuple[tuple[str, Tree], ...]
    writes: tuple[tuple[str, Tree], ...]


@frozen(kw_only=True)
class ChildRow:
    """A module inside a layer: attribute name, how many of it, how often called, and at which sizes."""

    name: str
    layer: Link
    count: Tree
    repetition: str
    times: Tree
    sizes: tuple[tuple[Symbol, Tree], ...]
    flags: tuple[str, ...]

    @property
    def is_single(self) -> bool:
        """Whether there is one of it."""
        return self.count == ONE

    @property
    def is_called(self) -> bool:
        """Whether it is called, not only stored."""
        return self.times != Number(0)


@frozen(kw_only=True)
class OccurrenceRow:
    """A call of a layer in the model: how often in a request, and its sizes."""

    path: str
    stage: str
    times: int
    sizes: tuple[tuple[Symbol, int | Fraction], ...]
    flags: tuple[str, ...]


@frozen(kw_only=True)
class ShareRow:
    """One metric of all modules of a class: by stage, and in the request."""

    metric: Shown
    stages: tuple[Share, ...]
    request: Share | None


@frozen(kw_only=True)
class Variant:
    """A form of a layer that the model also has: the metrics that differ, at the sizes of its first call."""

    flags: tuple[str, ...]
    section: FormulaSection


@frozen(kw_only=True)
class LayerPage:
    """The page of a layer class; ``flags`` say which of its forms the formulas and the evaluator are of.

    ``run`` is that of its first call: where the layer ``is_placed``, the formulas are of it.
    """

    name: str
    title: str
    description: tuple[str, ...]
    flags: tuple[str, ...]
    is_placed: bool
    run: str
    section: FormulaSection
    variants: tuple[Variant, ...]
    operators: tuple[PricedOperator, ...]
    children: tuple[ChildRow, ...]
    occurrences: tuple[OccurrenceRow, ...]
    stages: tuple[str, ...]
    shares: tuple[ShareRow, ...]
    evidence: tuple[str, ...]

    @property
    def has_mean_sizes(self) -> bool:
        """Whether a call stands for the mean of several: an expert's share of the tokens."""
        return any(isinstance(size, Fraction) for row in self.occurrences for _, size in row.sizes)


@frozen(kw_only=True)
class ModuleRow:
    """A top-level module, or a stage, in a breakdown: a share of each metric."""

    title: str
    layer: Link
    shares: tuple[Share, ...]


@frozen(kw_only=True)
class StagePage:
    """The page of a stage, of the whole request, or of a training step, which has no peak."""

    name: str
    description: str
    section: FormulaSection
    peak: PeakBlock | None
    chained: tuple[PartRow, ...]
    shares: tuple[ShareRow, ...]
    modules: tuple[ModuleRow, ...]
    classes: tuple[ModuleRow, ...]
    evidence: tuple[str, ...]


@frozen(kw_only=True)
class TreeRow:
    """A module of the model tree, with its depth."""

    depth: int
    name: str
    layer: Link
    count: int
    repetition: str
    calls: tuple[tuple[str, int], ...]


@frozen(kw_only=True)
class Pages:
    """Everything that the pages say."""

    sizes: tuple[tuple[str, tuple[SizeRow, ...]], ...]
    layers: tuple[LayerPage, ...]
    stages: tuple[StagePage, ...]
    tree: tuple[TreeRow, ...]
