"""What sizes have to be, as one table for the functions whose checks are not written out."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

from attrs import define

from modelmeter.backends.python.runtime import _checks
from modelmeter.core.size_rules import Rule
from modelmeter.evaluators.package import EvaluatorPackage
from modelmeter.evaluators.signature import Parameter, Signature


@define(kw_only=True, frozen=True, slots=False)  # the tables are worked out once, into the dictionary
class Limits:
    """The limits of the sizes of a model.

    Parameters
    ----------
    parameters
        Every size that a caller may set.
    rules
        What holds between two of them.
    constants
        The sizes of the architecture.
    """

    parameters: tuple[Parameter, ...]
    rules: tuple[Rule, ...]
    constants: Mapping[str, int]

    @classmethod
    def of(cls, package: EvaluatorPackage) -> Limits:
        """Return the limits of all sizes of a package: those of the model, and those that only layers have."""
        known = {size.name: size for size in package.sizes}
        layers = (size for layer in package.layers for size in layer.signature.parameters)
        return cls(
            parameters=(*known.values(), *{each.name: each for each in layers if each.name not in known}.values()),
            rules=package.spec.rules,
            constants=package.spec.architecture,
        )

    @cached_property
    def minima(self) -> dict[str, int]:
        """The smallest value of each size where it is not 1."""
        return {size.name: size.minimum for size in self.parameters if size.minimum != 1}

    @cached_property
    def sources(self) -> frozenset[str]:
        """The sizes from which others follow."""
        return frozenset(size.name for size in self.parameters if size.target is not None)

    @cached_property
    def architecture(self) -> dict[str, int]:
        """The sizes of the architecture that rules are about."""
        names = {name for rule in self.rules for name in rule.names}
        return {name: size for name, size in self.constants.items() if name in names}

    def has_architecture(self, signature: Signature) -> bool:
        """Tell whether the sizes of the architecture that rules are about are numbers in a function."""
        return self.architecture.items() <= signature.constants.items()

    def cover(self, signature: Signature) -> bool:
        """Tell whether these tables say what the arguments of a function have to be, and nothing else."""
        sizes = signature.parameters
        late = {size.name for size in sizes if size.derivation is not None}
        found = _checks.list_rules(
            [(rule.a, rule.relation, rule.b) for rule in self.rules],
            {size.name for size in sizes} - late, late,
            self.architecture if self.has_architecture(signature) else {},
        )  # fmt: skip
        return (
            found == [(rule.a, rule.relation, rule.b) for rule in signature.early_rules]
            and all(size.minimum == self.minima.get(size.name, 1) for size in sizes)
            and all(size.name in self.sources for size in sizes if size.target is not None)
            and not any(size.name in self.sources for size in sizes if size.derivation is not None)
        )
