"""Sweeps over sizes that have to divide others: whether all do, before anything is computed."""

from __future__ import annotations

from collections.abc import Iterable
from math import gcd

from modelmeter.support.errors import WorkloadError

DIVIDES = "divides"
DIVIDES_EVENLY = "divides_evenly"
"""The rules between sizes that corners of a grid do not show, as ``RULES`` of evaluator packages call them."""


def check_divisors(name: str, divisors: Iterable[range], multiple: str, multiples: Iterable[range], times: int) -> None:
    """Check that every value of one size, so many times, divides every value of another one.

    It takes no longer for a longer range: the first value that does not divide them all ends it.

    Parameters
    ----------
    name, multiple
        Both sizes.
    divisors, multiples
        Their values.

    Raises
    ------
    WorkloadError
        If one does not.
    """
    common = gcd(*(number for sizes in multiples for number in (sizes[0], sizes[-1] - sizes[0] and sizes.step)))
    for sizes in divisors:
        for size in sizes:
            # The evaluators say what is wrong with 0.
            if size and common % (times * size):
                what = "a divisor of" if times == 1 else f"so that {times} times it divides"
                raise WorkloadError(
                    "two sizes contradict each other on the grid", place=name,
                    expected=f"{what} every {multiple} on the grid", found=size,
                )  # fmt: skip
