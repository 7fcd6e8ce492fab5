"""The record of a model: all that general code may know of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Protocol

import sympy
from attrs import field, frozen

from modelmeter.dimensions.functions import Size
from modelmeter.dimensions.size_rules import Rule
from modelmeter.dimensions.symbols import Dimensions
from modelmeter.graph.module_graph import ModuleGraph
from modelmeter.layers.base import BaseLayer
from modelmeter.metrics.cost import Cost, Elements
from modelmeter.model.loop import Loop
from modelmeter.model.naming import choose_name
from modelmeter.model.presentation import Abbreviation, Checks, Repetition
from modelmeter.model.stages import REQUEST, TRAINING_STEP, Stage, TrainingStep


class Architecture(Protocol):
    """The sizes of one model of a family."""

    model: ClassVar[str]
    """The name of the family in the registry."""

    def dimension_values(self) -> dict[str, int]:
        """Return every size by name."""
        ...


@frozen(kw_only=True)
class DerivedSize:
    """A size that is no argument: it follows from others, and rules and derivations speak of it.

    Parameters
    ----------
    name
        Its name, which is also that of its evaluator.
    formula
        What it is, of sizes of the workload and of the architecture.
    words
        What it is, as a part of a sentence.
    """

    name: str
    formula: sympy.Expr
    words: str


@frozen(kw_only=True)
class Derivation:
    """A size that follows from others unless it is given.

    Parameters
    ----------
    name
        The size.
    terms
        Sizes, derived sizes and integers whose sum it is.
    words
        The sum in words, as a part of a sentence with code in double backquotes.
    meaning
        Why, as a clause.
    replaces
        The size that it makes unnecessary: where both are given, they have to agree.
    """

    name: str
    terms: tuple[str | int, ...]
    words: str
    meaning: str
    replaces: str | None = None

    def formula(self, model: Model) -> sympy.Expr:
        """Return the sum in the symbols of a model, with a formula for each of its terms that is derived."""
        derived = {size.name: size.formula for size in model.derived}
        terms = (
            term if isinstance(term, int) else derived[term] if term in derived else model.dimensions.symbol(term)
            for term in self.terms
        )
        return sympy.Add(*terms)


@frozen(kw_only=True)
class Model:
    """A family of models. What has a default here, a model may do without.

    Parameters
    ----------
    name
        In the registry, and on the command line.
    title
        The name of the published model.
    package
        The import name of its evaluators.
    dimensions
        The sizes, with their units, meanings and LaTeX.
    stages
        In the order in which they run.
    stage_of
        Assigns the own work of a module, by run and path, to the name of a stage.
    build_layers
        Returns the layer tree of each run at sizes: formulas or numbers.
    list_inputs
        Returns what each run is given at sizes.
    make_architecture
        Returns the sizes of the published model.
    read_architecture
        Returns the sizes that a module graph was traced from.
    default_workload
        Returns a value for every size of the workload and of storage.
    trace
        Returns the module graph of an architecture; needs torch.
    refused
        The stages that it lacks, with the reason: then it has neither a request nor a training step.
    loop
        The stage that runs in steps.
    training
        What a training step is of.
    rules
        What holds between the sizes.
    derivations
        The sizes that follow from others, in the order in which they do.
    derived
        The sizes that are no arguments, but that rules name.
    pairs
        Two sizes that are one axis of a grid of workloads, by the name of the axis.
    repetition
        What stages do in the same way for two kinds of views; pages show one function of a kind.
    list_abbreviations
        Returns parts of formulas that have a name on the pages, those that others are made of first; sizes of the
        architecture that are filled in are given.
    description, workload_words
        What the model is made of, and what the default workload is: a part of a sentence each.
    alive_beside
        What else is alive while a stage runs, for the convention on peaks: a sentence.
    conventions
        Counting rules of this family alone: texts with code in double backquotes, by name.
    checks
        How the formulas were checked where no evidence says so.
    list_server_steps
        Returns the costs of the steps of a serving engine, by name.
    read_config
        Returns the sizes and names in a config: see :class:`ConfigReading`.
    layer_names
        What evaluators of layer classes are called, by the name of the class in small letters, where that alone does
        not say what it is.
    aliases
        Names in configs that many models have, in small letters without dashes: the title, and others of the family.
    model_types
        What configs that ``read_config`` understands say as their ``model_type``.
    trace_artifacts
        Returns the files of a TorchInfo run of an architecture at sizes, by name, with a time or without; needs torch.
    list_proofs
        Returns the proofs of an architecture's formulas, all or the quick ones; needs torch, and may need more.
    list_studies
        Returns the scaling studies of what only this family has, beside those of any model.
    """

    name: str
    title: str
    package: str
    dimensions: Dimensions
    stages: tuple[Stage, ...]
    stage_of: Callable[[str, str], str]
    build_layers: Callable[[Mapping[str, Size]], dict[str, BaseLayer]]
    list_inputs: Callable[[Mapping[str, Size]], dict[str, Elements]]
    make_architecture: Callable[[], Architecture]
    read_architecture: Callable[[ModuleGraph], Architecture]
    default_workload: Callable[[], dict[str, int]]
    trace: Callable[[Any], ModuleGraph]
    refused: Mapping[str, str] = field(factory=dict)
    loop: Loop | None = None
    training: TrainingStep | None = None
    rules: tuple[Rule, ...] = ()
    derivations: tuple[Derivation, ...] = ()
    derived: tuple[DerivedSize, ...] = ()
    pairs: Mapping[str, tuple[str, str]] = field(factory=dict)
    repetition: Repetition | None = None
    list_abbreviations: Callable[[Mapping[str, int]], Sequence[Abbreviation]] = lambda sizes: ()
    description: str = ""
    workload_words: str = ""
    alive_beside: str = ""
    conventions: Mapping[str, str] = field(factory=dict)
    checks: Checks = Checks()
    list_server_steps: Callable[[], dict[str, Cost]] = dict
    read_config: Callable[[Path], ConfigReading] | None = None
    layer_names: Mapping[str, str] = field(factory=dict)
    aliases: frozenset[str] = frozenset()
    model_types: frozenset[str] = frozenset()
    trace_artifacts: Callable[[Any, Mapping[str, int], str | None], dict[str, str]] | None = None
    list_proofs: Callable[[Any, bool], Iterable[Callable[..., Any]]] | None = None
    list_studies: Callable[[], Iterable[Any]] = tuple

    @property
    def stage_names(self) -> tuple[str, ...]:
        """The names of the stages, in the order in which they run."""
        return tuple(stage.name for stage in self.stages)

    @property
    def whole_names(self) -> tuple[str, ...]:
        """The names of what is made of all stages: the request, and a training step if there is one.

        Where a stage is refused, there is none of these.
        """
        if self.refused:
            return ()
        return (REQUEST,) if self.training is None else (REQUEST, TRAINING_STEP)

    @property
    def looped_stage(self) -> str | None:
        """The name of the stage that runs in steps."""
        return None if self.loop is None else self.loop.stage

    def symbolic_sizes(self) -> dict[str, Size]:
        """Return a symbol for every size, and for the index of a step of the looped stage."""
        names = self.dimensions.settable
        index = () if self.loop is None else (self.loop.index,)
        return {**{name: self.dimensions.symbol(name) for name in names}, **{symbol.name: symbol for symbol in index}}

    def at_step(self, sizes: Mapping[str, int], step: int | None = None) -> dict[str, int]:
        """Return sizes that are numbers with the index of a step of the looped stage: by default the last one."""
        if self.loop is None:
            return {**sizes}
        return {**sizes, self.loop.index.name: sizes[self.loop.count.name] if step is None else step}

    def choose_name(self, architecture: Architecture, names: Iterable[str] = (), *, chosen: str | None = None) -> str:
        """Return the name of a model with these sizes, from the names in its config and the user's choice.

        Raises
        ------
        ArchitectureError
            As :func:`modelmeter.model.naming.choose_name`.
        """
        is_published = architecture == self.make_architecture()
        return choose_name(self.title, self.aliases, names, chosen=chosen, is_published=is_published)


class ConfigReading(Protocol):
    """What a config says."""

    @property
    def architecture(self) -> Any:
        """The sizes."""

    @property
    def names(self) -> tuple[str, ...]:
        """What the config calls the model, the most particular name first."""

    @property
    def warnings(self) -> tuple[Any, ...]:
        """Keys that nobody understands."""
