"""What evaluators take: their sizes, what follows from what, and the rules between them."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

from modelmeter.algebra.program import SUM, Node, Operation
from modelmeter.dimensions.size_rules import Rule
from modelmeter.dimensions.symbols import Dimension
from modelmeter.model import definition
from modelmeter.support.errors import FormulaError

ROUTING = "expert_routing"


@frozen(kw_only=True)
class Derivation:
    """How a parameter follows from others where it is not given.

    ``source`` is a parameter that is there for nothing else. To give both is to say one thing twice: they have to
    agree.

    Parameters
    ----------
    node
        What it is, of parameters and of intermediate results.
    words
        The same for people.
    """

    node: Node
    words: str
    source: str | None = None

    @classmethod
    def make(cls, derivation: definition.Derivation) -> Derivation:
        """Return what evaluators compute of a model's derivation."""
        terms = derivation.terms
        node = Operation(SUM, terms) if len(terms) > 1 else terms[0]
        return cls(node=node, words=derivation.words, source=derivation.replaces)

    @property
    def formula(self) -> str:
        """The node as messages show it, in every language alike: ``max_new_tokens - 1``."""
        return _write_sum(self.node)


def _write_sum(node: Node) -> str:
    """Return a sum of names and integers as text."""
    if not isinstance(node, Operation):
        return str(node)
    if node.function != SUM:
        raise FormulaError("a size follows from others as a sum of them", expected=SUM, found=node.function)
    first, *others = map(_write_sum, node.operands)
    return " ".join([first, *(f"- {term[1:]}" if term.startswith("-") else f"+ {term}" for term in others)])


@frozen(kw_only=True)
class Parameter:
    """A keyword argument that is a size.

    Parameters
    ----------
    default
        Its default value; of a derived one, the value that it has by default.
    dimension
        What it is.
    derivation
        Where it is not given, it follows from other parameters.
    target
        The parameter that follows from this one, which has no other use. Its default counts only where neither is
        given.
    """

    name: str
    default: int
    dimension: Dimension
    derivation: Derivation | None = None
    target: str | None = None

    @property
    def minimum(self) -> int:
        """The smallest value that has a meaning."""
        return self.dimension.minimum

    @property
    def is_optional(self) -> bool:
        """Whether it may be left open: it follows from others, or another follows from it."""
        return self.derivation is not None or self.target is not None

    @property
    def may_be_fraction(self) -> bool:
        """Whether it is a storage width: weights that are quantised in groups have 5.5 effective bits."""
        return self.dimension.kind == "storage"

    @property
    def words(self) -> str:
        """What the parameter is, for people."""
        dimension = self.dimension
        meaning = dimension.meaning[0].upper() + dimension.meaning[1:]
        kind = ", or a fraction" if self.may_be_fraction else ""
        return f"{meaning} ({dimension.unit}, at least {dimension.minimum}{kind}).{self._default_words}"

    @property
    def _default_words(self) -> str:
        if self.target is not None:
            return f" By default {self.default}, unless ``{self.target}`` is given; both have to agree."
        return f" By default {self.derivation.words}." if self.derivation else ""


@frozen(kw_only=True)
class Signature:
    """What an evaluator takes and what it may rely on.

    Parameters
    ----------
    parameters
        Its sizes, in the order of the documentation.
    has_routing
        Whether it also takes the routing of experts.
    constants
        Sizes that are numbers in its formulas.
    intermediates
        Outputs of its program that rules and derivations speak of, such as the tokens of the images: they are worked
        out before anything that depends on them.
    model_rules
        All rules of the model; those that hold here are :attr:`rules`.
    """

    parameters: tuple[Parameter, ...]
    has_routing: bool
    constants: Mapping[str, int]
    intermediates: tuple[str, ...] = ()
    model_rules: tuple[Rule, ...] = ()

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The rules between the sizes of the evaluator, of which at least one is no constant."""
        names = {parameter.name for parameter in self.parameters} | {*self.intermediates}
        return tuple(
            rule for rule in self.model_rules if rule.names <= names | self.constants.keys() and rule.names & names
        )

    @property
    def early_rules(self) -> tuple[Rule, ...]:
        """The rules between sizes that are given: they are checked before anything is computed."""
        return tuple(rule for rule in self.rules if not rule.names & self._late_sizes)

    @property
    def late_rules(self) -> tuple[Rule, ...]:
        """The rules that have to wait for an intermediate result or for a size that follows from others."""
        return tuple(rule for rule in self.rules if rule.names & self._late_sizes)

    @property
    def _late_sizes(self) -> set[str]:
        return {parameter.name for parameter in self.parameters if parameter.derivation} | {*self.intermediates}

    def operand(self, size: str | int) -> str | int:
        """Return a size as it stands in formulas: its name, or its number where that is known."""
        return self.constants.get(size, size) if isinstance(size, str) else size

    def default(self, name: str) -> int:
        """Return the default of a parameter."""
        return next(parameter.default for parameter in self.parameters if parameter.name == name)
