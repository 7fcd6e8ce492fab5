"""What traces of a model say, as records: nothing here needs torch."""

from __future__ import annotations

from collections.abc import Mapping

import sympy
from attrs import evolve, field, frozen

from modelmeter.dimensions.functions import Size, exceeds
from modelmeter.dimensions.size_rules import Rule
from modelmeter.dimensions.symbols import Dimensions
from modelmeter.graph.module_graph import ModuleGraph
from modelmeter.layers.base import Shape
from modelmeter.metrics.cost import Elements, Operator
from modelmeter.model.stages import Stage


@frozen(kw_only=True)
class TracedOperator:
    """An operator of a forward, with the module whose forward calls it."""

    path: str
    operator: Operator

    @property
    def is_cast(self) -> bool:
        """Whether it casts activations, parameters or what is cached to float32 or back, and nothing else."""
        reads, writes = self.operator.reads, self.operator.writes
        if self.operator.name != "_to_copy" or reads.index != 0 or reads.byte != 0:
            return False
        is_wide = reads.float32 != 0 or reads.state != 0
        return (not is_wide and writes.float32 != 0) or (is_wide and writes.activation != 0)

    @property
    def casts_weights(self) -> bool:
        """Whether what it casts is a parameter."""
        return self.is_cast and self.operator.reads.weight != 0


@frozen(kw_only=True)
class Lifetime:
    """A tensor, by its place among the operators: alive from beside the first to beside the last, both included."""

    elements: Elements
    first: int
    last: int


@frozen(kw_only=True)
class Region:
    """The sizes from ``least`` to ``most``, both included, of a size such as the keys that a window may hold.

    Parameters
    ----------
    size
        The size, as a formula.
    least, most
        None where there is no end.
    """

    size: Size
    least: int | None = None
    most: int | None = None

    @property
    def begun(self) -> Size:
        """1 from the first size on, else 0."""
        return 1 if self.least is None else exceeds(self.size, self.least - 1)

    @property
    def holds(self) -> Size:
        """1 inside, else 0."""
        return self.begun if self.most is None else self.begun * exceeds(self.most + 1, self.size)


EVERYWHERE = Region(size=0)
"""All sizes."""


@frozen(kw_only=True)
class TracedForward:
    """A forward as formulas, for the sizes of its region where ``condition`` is 1.

    Parameters
    ----------
    condition
        A product of brackets; those of all forwards of a region are 1 together.
    at
        The sizes that are numbers in it.
    region
        A part of the sizes; the regions of a run follow each other without a gap.
    operators, lifetimes
        What ran, and which tensors were alive beside it.
    kv_elements, state_elements
        Elements of the cache by the module that keeps them; those that are in float32 whatever the others are apart.
    output_shapes
        By path of a module, the shape of the first tensor of each of its calls.
    copies
        By place of an operator that copies one tensor, the numbers of the lifetimes of what it reads and writes; None
        for what is no activation.
    call_counts
        By path of a module, how often each of its calls in ``output_shapes`` happens, where that is not once each.
    uncast_lifetimes
        Which tensors are alive where nothing is cast, if ``copies`` does not tell.
    """

    condition: Size
    at: Mapping[sympy.Symbol, sympy.Expr]
    operators: tuple[TracedOperator, ...]
    lifetimes: tuple[Lifetime, ...]
    kv_elements: Mapping[str, Size]
    output_shapes: Mapping[str, tuple[Shape, ...]]
    copies: Mapping[int, tuple[int | None, int | None]]
    region: Region = EVERYWHERE
    uncast_lifetimes: tuple[Lifetime, ...] | None = None
    call_counts: Mapping[str, tuple[Size, ...]] = field(factory=dict)
    state_elements: Mapping[str, Size] = field(factory=dict)

    @property
    def paths(self) -> set[str]:
        """The modules that do anything in it."""
        return {*self.output_shapes, *(traced.path for traced in self.operators)}

    def list_casts(self) -> set[int]:
        """Return the places of the casts, which are no operators where nothing is cast."""
        return {place for place, traced in enumerate(self.operators) if traced.is_cast}

    def merge_casts(self) -> tuple[Lifetime, ...]:
        """Return the lifetimes where nothing is cast: then a cast returns the tensor that it is given."""
        if self.uncast_lifetimes is not None:
            return self.uncast_lifetimes
        lives: list[Lifetime | None] = list(self.lifetimes)
        same: dict[int, int | None] = {}
        for place in sorted(self.list_casts()):
            read, written = self.copies.get(place, (None, None))
            if written is None:
                continue
            source = same.get(read, read) if read is not None else None
            same[written] = source
            held, made = (None if source is None else lives[source]), lives[written]
            if source is not None and held is not None and made is not None:
                lives[source] = evolve(held, last=max(held.last, made.last))
            lives[written] = None
        return tuple(life for life in lives if life is not None)


@frozen(kw_only=True)
class TracedRun:
    """A run of a stage: its forwards, each for a part of the sizes."""

    stage: Stage
    forwards: tuple[TracedForward, ...]


@frozen(kw_only=True)
class Windows:
    """How many positions windows of attention hold.

    Parameters
    ----------
    sizes
        Of windows over all positions, in ascending order; positions that an indexer chooses have the same border.
    chosen
        How many positions an indexer chooses.
    behind_prompt
        Of a window over what was generated, in layers that keep all of the prompt.
    chunks
        Of the chunks that a prompt is cut into.
    """

    sizes: tuple[int, ...] = ()
    chosen: int | None = None
    behind_prompt: int | None = None
    chunks: tuple[int, ...] = ()


NO_WINDOWS = Windows()


@frozen(kw_only=True)
class GeneralForm:
    """The formulas of a traced model with sizes of its config as symbols.

    Parameters
    ----------
    sizes
        The value of each in the config of the model.
    rules
        What holds between them.
    fixed
        Other keys that cost depends on, as ``attention_bias = False``.
    runs
        The traces with these symbols, without what is alive: peaks are those of the config.
    parameters
        Elements of the parameters that each node of the module graph holds itself.
    counts
        How many alike siblings a node stands for, where that is a formula.
    least
        The smallest value of a size for which the formulas hold, where that is not the usual one.
    configs, fresh
        At how many configs counts were interpolated, and at how many others they were compared.
    """

    sizes: Mapping[str, int]
    rules: tuple[Rule, ...]
    fixed: tuple[str, ...]
    runs: Mapping[str, TracedRun] = field(repr=False)
    parameters: Mapping[str, Size] = field(repr=False)
    counts: Mapping[str, Size]
    least: Mapping[str, int] = field(factory=dict)
    configs: int = 0
    fresh: int = 0


@frozen(kw_only=True)
class TracedModel:
    """A model as it was traced.

    Parameters
    ----------
    title
        Its name.
    model_type
        That of transformers.
    class_name
        The class of its modules.
    graph
        All modules, alike siblings as one.
    traced_paths
        By path of a node of the graph, the paths of its members that were traced.
    runs
        By name of the stage.
    dimensions
        The sizes.
    default_workload
        A value for each size of the workload and of storage.
    image_tokens
        The tokens of the images of a prompt, where it has any.
    windows
        The windows of attention, if it has any.
    longest_context
        How many positions the code has room for, where their number has an end.
    conventions
        Counting rules of this model alone, by name.
    checks
        How the formulas were checked: sentences with code in double backquotes.
    general
        The same with sizes of the config as symbols, if that was asked for and can be done.
    general_refused
        Why it cannot be done, if it was asked for.
    training
        The forward of a training step, with operators that say what their backward does, if that was asked for.
    training_refused
        Why there is none, if it was asked for.
    training_checks
        How its formulas were checked: as ``checks``.
    refused
        The stages that are not among the runs, since an operator of theirs has no price.
    """

    title: str
    model_type: str
    class_name: str
    graph: ModuleGraph
    traced_paths: Mapping[str, tuple[str, ...]]
    runs: Mapping[str, TracedRun]
    dimensions: Dimensions
    default_workload: Mapping[str, int]
    checks: str
    image_tokens: sympy.Expr | None = None
    windows: Windows = NO_WINDOWS
    longest_context: int | None = None
    conventions: Mapping[str, str] = field(factory=dict)
    general: GeneralForm | None = None
    general_refused: str = ""
    training: TracedRun | None = None
    training_refused: str = ""
    training_checks: str = ""
    refused: Mapping[str, str] = field(factory=dict)


def describe_sizes(sizes: Mapping[str, int]) -> str:
    """Return sizes as one line."""
    return ", ".join(f"{name} = {size}" for name, size in sizes.items())
