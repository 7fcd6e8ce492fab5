"""The times of steps that follow each other with the same pages in flight, each of which moves along its lines."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise

from attrs import field, frozen

from llm_perf_opt.planning.page_classes import PageClass
from llm_perf_opt.planning.steady_state import SteadyState
from llm_perf_opt.planning.step_records import LineSum, StepLine
from llm_perf_opt.planning.step_work import list_mean_work


@frozen(kw_only=True)
class RunTime:
    """The seconds of so many steps: quadratic in them between those at which a page gets to its next line.

    Parameters
    ----------
    steps
        How many steps there are before each such change, from 0 on, in order.
    seconds, next_seconds, more_seconds
        What these take; what the step after them takes; and what each step takes more than the one before it, up to the
        next change.
    """

    steps: tuple[int, ...]
    seconds: tuple[float, ...]
    next_seconds: tuple[float, ...]
    more_seconds: tuple[float, ...]

    def find(self, num_steps: int) -> float:
        """Return the seconds of so many steps."""
        at = bisect_right(self.steps, num_steps) - 1
        rest = num_steps - self.steps[at]
        return self.seconds[at] + rest * self.next_seconds[at] + self.more_seconds[at] * (rest * (rest - 1) // 2)


@frozen(kw_only=True, eq=False)
class StepTimes:
    """Finds the times of steps of pages of a mix.

    Parameters
    ----------
    steady_state
        The pages and the time of calls.
    """

    steady_state: SteadyState
    _lines: dict[tuple[int, StepLine], tuple[float, float]] = field(factory=dict, init=False)

    def time_run(self, pages: Iterable[tuple[PageClass, int]], most: int) -> RunTime:
        """Return the times of at most so many steps.

        Parameters
        ----------
        pages
            The pages in flight, at least one, each with the steps that it has done; it has as many left.
        """
        pages = list(pages)
        changes: dict[int, tuple[float, float]] = {}
        for page, done in pages:
            for after, value, growth in self._list_changes(len(pages), page, done, most):
                others = changes.get(after, (0.0, 0.0))
                changes[after] = (others[0] + value / len(pages), others[1] + growth / len(pages))
        return _add_up(changes)

    def _list_changes(self, batch: int, page: PageClass, done: int, most: int) -> Iterator[tuple[int, float, float]]:
        """Yield after how many steps a page gets to a line, and by what its step and the growth of its steps jump."""
        before, next_seconds, more_seconds = -done, 0.0, 0.0
        for run in self.steady_state.mix.steps.runs[page.prompt]:
            first, before = before, before + run.count
            if before <= 0:
                continue
            if first >= most:
                return
            level, slope = self._find_line(batch, run.line)
            place = run.first + max(0, -first)
            yield max(0, first), level + slope * place - next_seconds, slope - more_seconds
            next_seconds, more_seconds = level + slope * (run.last + 1), slope

    def _find_line(self, batch: int, line: StepLine) -> tuple[float, float]:
        """Return the time of a step of so many pages that are all on a line: of its first step, and what each adds.

        It is the chord between the first and the last step of the mix there; the work is linear, and the time where no
        operator changes from one limit to another in between. Of pages on different lines each adds its own part to
        what they share, so that they take the mean of what they would take with all of them on each of the lines.
        """
        if (batch, line) not in self._lines:
            mix, timing = self.steady_state.mix, self.steady_state.timing
            first, last = mix.steps.ends[line]
            last = max(last, first + 1)
            low, high = (
                timing.time(list_mean_work(mix.model, batch, [LineSum(line=line, count=1, places=place)])).seconds
                for place in (first, last)
            )
            slope = (high - low) / (last - first)
            self._lines[batch, line] = low - slope * first, slope
        return self._lines[batch, line]


def _add_up(changes: Mapping[int, tuple[float, float]]) -> RunTime:
    """Return the times of steps, from what the next step and the growth of steps jump by after some of them."""
    steps = sorted(changes)
    seconds = value = growth = 0.0
    found: list[tuple[float, float, float]] = []
    for before, after in pairwise((0, *steps)):
        rest = after - before
        seconds += rest * value + growth * (rest * (rest - 1) // 2)
        value += growth * rest + changes[after][0]
        growth += changes[after][1]
        found.append((seconds, value, growth))
    columns = zip(*found, strict=True)
    return RunTime(steps=tuple(steps), seconds=next(columns), next_seconds=next(columns), more_seconds=next(columns))
