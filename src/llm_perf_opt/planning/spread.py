"""How latencies spread over pages: for each prompt a line over the number of steps, so that few have to be sorted."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from functools import cached_property, partial
from itertools import accumulate
from typing import Final

from attrs import frozen

from llm_perf_opt.planning.mix import PERCENTILES, name_percentile
from llm_perf_opt.planning.page_classes import PromptGroup

_FEW_LENGTHS: Final = 64
"""Numbers of steps to a prompt, on average: of so many it is quicker to sort all times than to halve intervals."""


@frozen(kw_only=True, slots=False)
class LatencySpread:
    """The seconds that pages take.

    Parameters
    ----------
    prompts
        The pages by what they are before their first token.
    offsets
        The seconds of each group without any step.
    slope
        The seconds of a step, above 0.
    """

    prompts: tuple[PromptGroup, ...]
    offsets: tuple[float, ...]
    slope: float

    @property
    def num_pages(self) -> int:
        """How many pages there are."""
        return sum(group.count for group in self.prompts)

    def count_within(self, seconds: float) -> int:
        """Return how many pages take at most so long."""
        within = 0
        for group, offset in zip(self.prompts, self.offsets, strict=True):
            place = bisect_right(group.steps, seconds, key=partial(self._time, offset))
            within += group.cumulative[place - 1] if place else 0
        return within

    def _time(self, offset: float, steps: int) -> float:
        return offset + self.slope * steps

    def find_rank(self, percent: int) -> float:
        """Return the least seconds within which at least so many percent of the pages are."""
        needed = -(-percent * self.num_pages // 100)
        if sum(len(group.steps) for group in self.prompts) <= _FEW_LENGTHS * len(self.prompts):
            times, ranks = self._sorted
            return times[bisect_left(ranks, needed)]
        ends = [
            (self._time(offset, group.steps[0]), self._time(offset, group.steps[-1]))
            for group, offset in zip(self.prompts, self.offsets, strict=True)
        ]
        low, high = min(first for first, _ in ends), max(last for _, last in ends)
        if self.count_within(low) >= needed:
            return low
        # The answer is above low and at most high; halving ends where no float is in between.
        while (middle := (low + high) / 2) not in (low, high):
            low, high = (low, middle) if self.count_within(middle) >= needed else (middle, high)
        return high

    @cached_property
    def _sorted(self) -> tuple[list[float], list[int]]:
        """All times in order, and how many pages take at most as long as each."""
        rows = sorted(
            (self._time(offset, steps), within - before)
            for group, offset in zip(self.prompts, self.offsets, strict=True)
            for steps, within, before in zip(group.steps, group.cumulative, (0, *group.cumulative[:-1]), strict=True)
        )
        return [seconds for seconds, _ in rows], list(accumulate(count for _, count in rows))

    def find_mean(self) -> float:
        """Return the mean seconds."""
        total = []
        for group, offset in zip(self.prompts, self.offsets, strict=True):
            steps = below = 0
            for length, cumulative in zip(group.steps, group.cumulative, strict=True):
                steps += length * (cumulative - below)
                below = cumulative
            total.append(group.count * offset + self.slope * steps)
        return math.fsum(total) / self.num_pages

    def summarize(self) -> dict[str, float]:
        """Return mean and percentiles by name."""
        return {"mean": self.find_mean()} | {
            name_percentile(percent): self.find_rank(percent) for percent in PERCENTILES
        }
