"""Up to how many cached positions the work of a step is linear in them: what plans take for granted."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, Final

from attrs import define

from modelmeter.support.errors import WorkloadError

WORK: Final = ("tensor_core_flops", "cuda_core_flops", "io_bits")
"""What a row of a breakdown says of the work of its calls."""

COUNTED: Final = ("calls", *WORK)
"""What a row of a breakdown has that adds up over steps."""


@define(kw_only=True, slots=False)
class LinearSteps:
    """Steps of one sequence.

    Parameters
    ----------
    model
        What errors name.
    fewest
        The fewest positions before a step.
    list_rows
        Returns the rows of the breakdown of some steps after so many positions.
    measure_cache
        Returns what is cached after some steps after so many positions, in units without rounding.
    """

    model: str
    fewest: int
    list_rows: Callable[[int, int], Sequence[Any]]
    measure_cache: Callable[[int, int], int]
    _seen: int = 0

    def check_step(self, cached: int) -> None:
        """Refuse a step after more positions than it is linear up to.

        A step is linear up to where a window of attention is full, and nowhere beyond, so that one step tells of all
        shorter ones.

        Raises
        ------
        WorkloadError
            If it is not linear.
        """
        if cached <= max(self._seen, self.fewest + 1):
            return
        if not self._are_linear(cached, 1):
            contexts = range(self.fewest, cached + 1)
            most = contexts[bisect_left(contexts, True, key=lambda each: not self._are_linear(each, 1)) - 1]
            raise self._refuse(f"at most {most} positions before a step", cached)
        self._seen = cached

    def check_run(self, prompt: int, steps: int) -> None:
        """Refuse steps one after the other that are not all linear in the positions before them, or in what they cache.

        A window may be over what is generated alone.

        Raises
        ------
        WorkloadError
            If they are not.
        """
        if steps:
            self.check_step(prompt + steps - 1)
        if not self._is_linear_run(prompt, steps):
            raise self._refuse(f"at most {self.count_linear(prompt, steps)} steps", steps)

    def count_linear(self, prompt: int, steps: int) -> int:
        """Return how many of these steps one after the other are linear; those after them see a full window."""
        counts = range(steps + 1)
        return counts[bisect_left(counts, True, key=lambda count: not self._is_linear_run(prompt, count)) - 1]

    def _is_linear_run(self, prompt: int, count: int) -> bool:
        start, first, last = (self.measure_cache(prompt, done) for done in (0, 1, count))
        return last - start == count * (first - start) and self._are_linear(prompt, count)

    def _refuse(self, expected: str, found: int) -> WorkloadError:
        return WorkloadError(
            "a window of attention is full in a step, and plans are of steps that are linear in what is cached",
            place=self.model, expected=expected, found=found,
            remedy="eval and sweep have the exact numbers of such requests",
        )  # fmt: skip

    @cached_property
    def _first(self) -> tuple[Sequence[Any], Sequence[Any]]:
        """The rows of a step after the fewest positions, and after one more."""
        return self.list_rows(self.fewest, 1), self.list_rows(self.fewest + 1, 1)

    def _are_linear(self, cached: int, steps: int) -> bool:
        """Tell whether steps after so many positions cost what two short ones and a line say."""
        beyond = steps * (cached - self.fewest) + steps * (steps - 1) // 2
        return all(
            steps * getattr(low, name) + (getattr(high, name) - getattr(low, name)) * beyond == getattr(row, name)
            for low, high, row in zip(*self._first, self.list_rows(cached, steps), strict=True)
            for name in COUNTED
        )
