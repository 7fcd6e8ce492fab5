"""What a compiled model must have for questions about it: nothing more is known of it here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import sympy

from modelmeter.analysis.bind import BoundModule
from modelmeter.analysis.breakdown import OperatorRow
from modelmeter.analysis.peak import Peak
from modelmeter.analysis.totals import Totals
from modelmeter.model.definition import Model
from modelmeter.scaling.context import Context


class CompiledFormulas(Protocol):
    """What a compiled model has that quantities are made of."""

    @property
    def definition(self) -> Model:
        """The family."""

    @property
    def name(self) -> str:
        """The name of the model."""

    @property
    def stages(self) -> tuple[str, ...]:
        """The names of stages."""

    @property
    def layers(self) -> tuple[str, ...]:
        """The names of layer classes."""

    @property
    def defaults(self) -> Mapping[str, int]:
        """A value for every dimension."""

    @property
    def architecture(self) -> Any:
        """The sizes of the model."""

    @property
    def catalogue(self) -> tuple[Any, ...]:
        """The layer classes with formulas in their own sizes."""

    @property
    def model(self) -> BoundModule:
        """The modules with their formulas."""

    @property
    def totals(self) -> Totals:
        """Formulas by stage, by module and by class."""

    @property
    def peaks(self) -> Mapping[str, Peak]:
        """What is alive beside each operator of each stage."""

    def formula(self, name: str, metric: str, *, symbolic: bool = False) -> sympy.Expr:
        """Return what a stage or a layer class costs."""

    def operators(self, stage: str) -> tuple[OperatorRow, ...]:
        """Return a record for each operator of each module in a stage."""

    def find_layers(self, name: str) -> tuple[str, ...]:
        """Return the layers of this name or torch class."""


def make_context(model: CompiledFormulas, *, settled: bool) -> Context:
    """Return what is known of the sizes of a model; where those of its architecture are numbers, they are settled."""
    definition = model.definition
    return Context(
        defaults=model.defaults,
        derivations=tuple((each.name, each.formula(definition)) for each in definition.derivations),
        derived={each.name: each.formula for each in definition.derived},
        rules=definition.rules,
        settled=frozenset(model.architecture.dimension_values()) if settled else frozenset(),
        dimensions={name: definition.dimensions.describe(name) for name in definition.dimensions.ranks},
    )
