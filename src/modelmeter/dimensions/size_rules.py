"""Rules between sizes: a model declares them, evaluators check them, and proofs of an order use them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Literal

from attrs import frozen

from modelmeter.support.errors import ModelMeterError

Relation = Literal["at_most", "divides", "divides_evenly", "zero_together"]
"""``a <= b``; ``b`` is a multiple of ``a``, or an even multiple of it; ``a`` and ``b`` are both 0 or neither is."""


_OF_B: Mapping[Relation, str] = {
    "at_most": "at least", "divides": "a multiple of", "divides_evenly": "an even multiple of",
    "zero_together": "0 together with",
}  # fmt: skip
_OF_A: Mapping[Relation, str] = {
    "at_most": "at most", "divides": "a divisor of", "divides_evenly": "a divisor of a half of",
    "zero_together": "0 together with",
}  # fmt: skip
"""What one side has to be, as seen from the other."""


@frozen
class Rule:
    """A relation between two sizes ``a`` and ``b``, by name, that every evaluator with one of them checks.

    ``a`` may be a number.
    """

    a: str | int
    relation: Relation
    b: str

    @property
    def words(self) -> str:
        """What ``a`` has to be, before the name of ``b``."""
        return _OF_A[self.relation]

    @property
    def names(self) -> set[str]:
        """The sizes that are no numbers."""
        return {size for size in (self.a, self.b) if isinstance(size, str)}

    def holds(self, sizes: Mapping[str, int]) -> bool:
        """Tell whether the rule holds between sizes by name."""
        first, second = self._read(self.a, sizes), sizes[self.b]
        match self.relation:
            case "at_most":
                return first <= second
            case "divides":
                return second % first == 0
            case "divides_evenly":
                return second % (2 * first) == 0
            case "zero_together":
                return (first == 0) == (second == 0)

    def check(self, sizes: Mapping[str, int], error: type[ModelMeterError], *, at: str | None = None) -> None:
        """Raise ``error`` unless the rule holds; its place is the size ``at``, by default ``b``."""
        if self.holds(sizes):
            return
        place = self.b if at is None else at
        other = self.a if place == self.b else self.b
        limit = f"{other} = {sizes[other]}" if isinstance(other, str) else str(other)
        words = _OF_B if place == self.b else _OF_A
        raise error(
            "two sizes contradict each other", place=place, expected=f"{words[self.relation]} {limit}",
            found=sizes[place],
        )  # fmt: skip

    @staticmethod
    def _read(size: str | int, sizes: Mapping[str, int]) -> int:
        return sizes[size] if isinstance(size, str) else size


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
