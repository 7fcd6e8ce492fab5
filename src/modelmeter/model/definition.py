"""The record of a model: all that general code may know of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Protocol

import sympy
from attrs import frozen

from modelmeter.core.cost import Cost, Elements
from modelmeter.core.functions import Size
from modelmeter.core.size_rules import Rule
from modelmeter.core.symbols import symbol
from modelmeter.graph.module_graph import ModuleGraph
from modelmeter.layers.base import BaseLayer
from modelmeter.model.stages import Stage


class Architecture(Protocol):
    """The sizes of one model of a family."""

    model: ClassVar[str]
    """The name of the family in the registry."""

    def dimension_values(self) -> dict[str, int]:
        """Return every size by name."""
        ...


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

    def formula(self, derived: Mapping[str, sympy.Expr]) -> sympy.Expr:
        """Return the sum, with a formula for each of its terms that is ``derived``."""
        formulas = (derived.get(term, term) if isinstance(term, str) else term for term in self.terms)
        return sympy.Add(*(symbol(formula) if isinstance(formula, str) else formula for formula in formulas))


@frozen(kw_only=True)
class Model:
    """A family of models.

    Parameters
    ----------
    name
        In the registry, and on the command line.
    title
        The name of the published model.
    package
        The import name of its evaluators.
    stages
        In the order in which they run.
    stage_of
        Assigns the own work of a module, by run and path, to the name of a stage.
    training_run
        The run whose layers a training step goes forward and backward through.
    rules
        What holds between the sizes.
    derivations
        The sizes that follow from others, in the order in which they do.
    derived
        Sizes that are no arguments, but that rules name.
    symbolic_sizes
        Returns a symbol for every size.
    build_layers
        Returns the layer tree of each run at sizes: formulas or numbers.
    list_inputs
        Returns what each run is given at sizes.
    list_server_steps
        Returns the costs of the steps of a serving engine, by name.
    make_architecture
        Returns the sizes of the published model.
    read_architecture
        Returns the sizes that a module graph was traced from.
    read_config
        Returns the sizes and names in a config: see :class:`ConfigReading`.
    choose_name
        Returns the name of a model with these sizes, from the names in its config and the user's choice.
    default_workload
        Returns a value for every size of the workload and of storage.
    trace
        Returns the module graph of an architecture; needs torch.
    trace_artifacts
        Returns the files of a TorchInfo run of an architecture at sizes, by name, with a time or without; needs torch.
    list_proofs
        Returns the proofs of an architecture's formulas, all or the quick ones; needs torch and another implementation.
    """

    name: str
    title: str
    package: str
    stages: tuple[Stage, ...]
    stage_of: Callable[[str, str], str]
    training_run: str
    rules: tuple[Rule, ...]
    derivations: tuple[Derivation, ...]
    derived: Mapping[str, sympy.Expr]
    symbolic_sizes: Callable[[], dict[str, Size]]
    build_layers: Callable[[Mapping[str, Size]], dict[str, BaseLayer]]
    list_inputs: Callable[[Mapping[str, Size]], dict[str, Elements]]
    list_server_steps: Callable[[], dict[str, Cost]]
    make_architecture: Callable[[], Architecture]
    read_architecture: Callable[[ModuleGraph], Architecture]
    read_config: Callable[[Path], ConfigReading]
    choose_name: Callable[..., str]
    default_workload: Callable[[], dict[str, int]]
    trace: Callable[[Any], ModuleGraph]
    trace_artifacts: Callable[[Any, Mapping[str, int], str | None], dict[str, str]]
    list_proofs: Callable[[Any, bool], Iterable[Callable[..., Any]]]

    @property
    def stage_names(self) -> tuple[str, ...]:
        """The names of the stages, in the order in which they run."""
        return tuple(stage.name for stage in self.stages)

    @property
    def looped_stage(self) -> str:
        """The name of the stage whose run is one of ``decode_steps`` steps."""
        (name,) = (stage.name for stage in self.stages if stage.is_looped)
        return name


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
