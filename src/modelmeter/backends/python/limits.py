"""What sizes have to be, as one table for the functions whose checks are not written out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property

from attrs import define

from modelmeter.backends.python.runtime import _checks
from modelmeter.dimensions.size_rules import Rule
from modelmeter.dimensions.symbols import names_of
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
    intermediates
        What rules speak of that is no size of a caller, with the sizes that it is made of.
    """

    parameters: tuple[Parameter, ...]
    rules: tuple[Rule, ...]
    constants: Mapping[str, int]
    intermediates: Mapping[str, tuple[str, ...]]

    @classmethod
    def of(cls, package: EvaluatorPackage) -> Limits:
        """Return the limits of all sizes of a package: those of the model, and those that only layers have."""
        spec = package.spec
        known = {size.name: size for size in package.sizes}
        layers = (size for layer in package.layers for size in layer.signature.parameters)
        return cls(
            parameters=(*known.values(), *{each.name: each for each in layers if each.name not in known}.values()),
            rules=spec.rules,
            constants=spec.architecture,
            intermediates={
                name: tuple(spec.dimensions.sort(names_of(formula) - spec.architecture.keys()))
                for name, formula in spec.derived_formulas.items()
            },
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
    def derived(self) -> dict[str, tuple[str, str, int]]:
        """Each size that may be left out: what it is then, the size that it follows from, and the default of this."""
        return describe_derivations(self.parameters)

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

    def cover_late(self, signature: Signature) -> bool:
        """Tell whether these tables say what follows from the arguments of a function, and how it is checked."""
        derived = describe_derivations(signature.parameters)
        names = {size.name for size in signature.parameters}
        intermediates = _checks.list_intermediates(self.intermediates, names)
        rules = _checks.list_late_rules(
            [(rule.a, rule.relation, rule.b) for rule in self.rules], names, {*derived, *intermediates},
            self.architecture if self.has_architecture(signature) else {},
        )  # fmt: skip
        return (
            derived.items() <= self.derived.items()
            and rules == [(rule.a, rule.relation, rule.b) for rule in signature.late_rules]
            and {name for a, _, b in rules for name in (a, b)} & self.intermediates.keys() <= {*signature.intermediates}
        )


def describe_derivations(parameters: Iterable[Parameter]) -> dict[str, tuple[str, str, int]]:
    """Return what each size is that is left out, which of the others it follows from, and the default of this."""
    listed = list(parameters)
    defaults = {size.name: size.default for size in listed}
    return {
        size.name: (size.derivation.formula, source := size.derivation.source or "", defaults[source] if source else 0)
        for size in listed
        if size.derivation is not None
    }
