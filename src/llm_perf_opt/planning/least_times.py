"""What pages that arrive at given times take at least: the bounds beside a simulation."""

from __future__ import annotations

from collections.abc import Mapping

from llm_perf_opt.planning.page_classes import PageClass, Prompt
from llm_perf_opt.planning.steady_state import SteadyState
from llm_perf_opt.planning.step_records import StepLine
from llm_perf_opt.planning.step_work import list_least_work


class LeastTimes:
    """What pages that have arrived take at least, each alone and all of them together.

    A step of b pages is bound by a sum of maxima of terms, each of which has a constant part and one that adds up over
    the pages, so that its time divided by b is least in full batches of the steps that take least.

    Parameters
    ----------
    steady_state
        The pages and the time of calls.
    batch_size
        The most pages in flight.
    """

    def __init__(self, steady_state: SteadyState, batch_size: int) -> None:
        self._steady_state, self._batch_size = steady_state, batch_size
        self._alone: dict[Prompt, float] = {}
        self._full = self._time_least(batch_size, steady_state.mix.steps.ends) / batch_size
        self._work = self._last = 0.0
        self._latency: list[float] = []

    @property
    def latency(self) -> tuple[float, ...]:
        """The seconds of each page from its arrival to its end."""
        return tuple(self._latency)

    @property
    def seconds(self) -> float:
        """From the first arrival to the end of the last page."""
        return max(self._work, self._last)

    def add(self, page: PageClass, now: float) -> None:
        """Add a page that arrives now."""
        before = self._steady_state.find_page_time(page).card.bound_seconds
        # Each of its steps takes at least what the least of them takes, and does so alone or with others.
        if page.prompt not in self._alone:
            self._alone[page.prompt] = self._time_least(1, self._list_ends(page.prompt))
        alone = before + page.num_steps * self._alone[page.prompt]
        self._latency.append(alone)
        self._last = max(self._last, now + alone)
        self._work += before + page.num_steps * self._full

    def _list_ends(self, prompt: Prompt) -> dict[StepLine, tuple[int, int]]:
        """Return the first and the last step on each line, of the longest page with a prompt."""
        return {run.line: (run.first, run.last) for run in self._steady_state.mix.steps.runs[prompt]}

    def _time_least(self, batch_size: int, ends: Mapping[StepLine, tuple[int, int]]) -> float:
        steps = [(line, place) for line, places in ends.items() for place in places]
        if not steps:
            return 0.0
        model, timing = self._steady_state.mix.model, self._steady_state.timing
        return timing.time(list_least_work(model, batch_size, steps)).bound_seconds
