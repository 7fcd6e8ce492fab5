"""What pages that arrive at given times take at least: the bounds beside a simulation."""

from __future__ import annotations

from llm_perf_opt.planning.page_classes import PageClass
from llm_perf_opt.planning.steady_state import SteadyState


class LeastTimes:
    """What pages that have arrived take at least, each alone and all of them together.

    A step of b pages with C cached positions is bound by a sum of maxima of terms that are constant or linear in both,
    so that its time divided by b is least in full batches with the shortest contexts.

    Parameters
    ----------
    steady_state
        The pages and the time of calls.
    batch_size
        The most pages in flight.
    """

    def __init__(self, steady_state: SteadyState, batch_size: int) -> None:
        self._steady_state, self._batch_size = steady_state, batch_size
        self._shortest = steady_state.mix.shortest_prompt
        self._known: dict[tuple[int, int], float] = {}
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
        # Each of its steps sees at least its prompt, and does so alone or with others.
        alone = before + page.num_steps * self._time_step(1, page.seq_len)
        self._latency.append(alone)
        self._last = max(self._last, now + alone)
        full = self._batch_size
        self._work += before + page.num_steps * self._time_step(full, full * self._shortest) / full

    def _time_step(self, batch: int, contexts: int) -> float:
        if (batch, contexts) not in self._known:
            model, timing = self._steady_state.mix.model, self._steady_state.timing
            self._known[batch, contexts] = timing.time(model.list_step_work(batch, contexts)).bound_seconds
        return self._known[batch, contexts]
