"""What another counter says of the stages of a model, and why."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

from modelmeter.support.errors import CountError
from modelmeter.verify.other_counters.calls import StageCalls
from modelmeter.verify.other_counters.causes import CAUSES
from modelmeter.verify.other_counters.counters import Count, Counter


@frozen(kw_only=True)
class Difference:
    """What a cause adds to the exact count of each stage, or takes away."""

    cause: str
    flops: Mapping[str, int]


@frozen(kw_only=True)
class Answer:
    """What a counter says of each stage, and why."""

    counter: Counter
    counts: Mapping[str, Count]
    differences: tuple[Difference, ...]


def explain(
    counter: Counter, counts: Mapping[str, Count], exact: Mapping[str, int], calls: Mapping[str, StageCalls]
) -> Answer:
    """Return what ``counter`` says with the causes of its differences.

    Raises
    ------
    CountError
        If they do not explain a difference.
    """
    differences = tuple(
        Difference(cause=cause.text, flops={name: cause.flops(calls[name]) for name in exact})
        for cause in CAUSES[counter.name]
    )
    for name, flops in exact.items():
        explained = flops + sum(difference.flops[name] for difference in differences)
        check_count(f"the causes do not explain what {counter.name} counts", name, counts[name].flops, explained)
    return Answer(counter=counter, counts=counts, differences=differences)


def check_count(problem: str, place: str, found: int, expected: int) -> None:
    """Raise a :class:`~modelmeter.support.errors.CountError` if two counts differ."""
    if found != expected:
        raise CountError(problem, place=place, expected=expected, found=found)
