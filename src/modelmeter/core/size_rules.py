"""Rules between sizes: a model declares them, evaluators check them, and proofs of an order use them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Literal

from attrs import frozen

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


def substitute_sizes(rules: Iterable[Rule], sizes: Mapping[str, int]) -> Iterator[Rule]:
    """Yield the rules of what is left where some sizes are known.

    A rule whose ``b`` is known says nothing of a size in its own name, and is left out.

    Parameters
    ----------
    rules
        Rules between names.
    sizes
        The known sizes, by name.
    """
    for rule in rules:
        if rule.b not in sizes:
            yield Rule(sizes.get(rule.a, rule.a) if isinstance(rule.a, str) else rule.a, rule.relation, rule.b)
