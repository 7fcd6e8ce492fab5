"""Puts what was noted in a forward, such as loops over experts that were counted apart, in the place of its name."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import Any, Protocol

from attrs import evolve, frozen

from modelmeter.dimensions.functions import Size
from modelmeter.frontend.records import Lifetime, TracedForward, TracedOperator
from modelmeter.metrics.cost import Elements, Operator


class Noted(Protocol):
    """What runs in place of modules whose work was learned apart, such as experts."""

    def list_operators(self, tokens: Size) -> tuple[Operator, ...]:
        """Return the operators for as many tokens."""

    def list_alive(self, tokens: Size) -> tuple[Elements, ...]:
        """Return what is alive inside, each beside one of them."""


@frozen(kw_only=True)
class Insertion:
    """A place in a forward where something was noted: its first operator, its path, and its tokens in torch's sizes."""

    place: int
    path: str
    noted: Noted
    tokens: Any


Parts = tuple[tuple[Operator, ...], tuple[Elements, ...]]
"""Operators, and as many places of what is alive inside."""


def insert_noted(forward: TracedForward, insertions: Sequence[Insertion]) -> TracedForward:
    """Return a forward with the operators of what was noted in place of their names, in the order of their places.

    The tokens of each insertion are a size of ours.
    """
    if not insertions:
        return forward
    known: dict[tuple[int, Size], Parts] = {}
    noted = [_list_noted(each, known) for each in insertions]
    places = [each.place for each in insertions]
    added = list(accumulate((len(operators) - 1 for operators, _ in noted), initial=0))

    def move(at: int) -> int:
        return at + added[bisect_left(places, at)]

    operators: list[TracedOperator] = []
    inner: list[list[Lifetime]] = []
    after = 0
    for insertion, (inserted, alive) in zip(insertions, noted, strict=True):
        operators += forward.operators[after : insertion.place]
        begin = len(operators)
        inner.append(
            [Lifetime(elements=elements, first=begin + step, last=begin + step) for step, elements in enumerate(alive)]
        )
        operators += (TracedOperator(path=insertion.path, operator=operator) for operator in inserted)
        after = insertion.place + 1
    operators += forward.operators[after:]
    return evolve(
        forward,
        operators=tuple(operators),
        lifetimes=(
            *(
                # What is alive beside the name is alive to the end of what is in its place.
                evolve(life, first=move(life.first), last=life.last + added[bisect_right(places, life.last)])
                for life in forward.lifetimes
            ),
            *(life for lives in reversed(inner) for life in lives),
        ),
        copies={move(at): pair for at, pair in forward.copies.items()},
    )


def _list_noted(insertion: Insertion, known: dict[tuple[int, Size], Parts]) -> Parts:
    """Return the operators of an insertion, as many as it has places, and what is alive beside each."""
    noted: Noted = insertion.noted
    key = id(noted), insertion.tokens
    if key not in known:
        operators, alive = noted.list_operators(insertion.tokens), noted.list_alive(insertion.tokens)
        # As many places as either needs: beside each, what may be the most.
        padding = (Operator(name=operators[-1].name) for _ in range(len(alive) - len(operators)))
        known[key] = (*operators, *padding), alive
    return known[key]
