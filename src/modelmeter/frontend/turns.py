"""Which calls in a loop over views look at the first view of an image, at the second, and at any later one."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import TypeVar

from attrs import frozen

Call = TypeVar("Call")

TURNS = 3
"""The first view of an image, the second, and any later one: before the second there was one of another size."""


@frozen
class Views:
    """How many views a loop goes through, one after the other: those of all images, and of each image."""

    of_all: int
    of_image: int


def split_calls(calls: Sequence[Sequence[Call]], views: Sequence[Views]) -> list[list[list[Call]]]:
    """Return by turn, at each point, the calls of a place that look at such a view.

    In a loop over views it is called as often for each, if not less often for the very first. What is called in any
    other way, as what runs once, stands at the first turn.
    """
    times, missing = _find_loop([len(each) for each in calls], [each.of_all for each in views])
    turns: list[list[list[Call]]] = [[[] for _ in calls] for _ in range(TURNS)]
    for point, (called, seen) in enumerate(zip(calls, views, strict=True)):
        for number, call in enumerate(called):
            view = (number + missing) // times if times else 0
            turns[min(view % seen.of_image, TURNS - 1)][point].append(call)
    return turns


def _find_loop(counts: Sequence[int], views: Sequence[int]) -> tuple[int, int]:
    """Return how often each view is counted, and how often less the first one is; 0 and 0 outside of a loop."""
    fewest, most = views.index(min(views)), views.index(max(views))
    if counts[fewest] == counts[most]:
        return 0, 0
    times = Fraction(counts[most] - counts[fewest], views[most] - views[fewest])
    missing = times * views[most] - counts[most]
    if times.denominator > 1 or not 0 <= missing <= times:
        return 0, 0
    is_loop = all(times * seen - missing == count for count, seen in zip(counts, views, strict=True))
    return (int(times), int(missing)) if is_loop else (0, 0)
