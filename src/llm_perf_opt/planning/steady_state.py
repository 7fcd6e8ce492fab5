"""Throughput and latency of continuous batching in closed form, from exact work and a model of the time of a call.

A server that always has B pages in flight prefills one page for each that is finished. A page needs T steps; a step
gives one token to each of B sequences. So a page costs the card ``t_page + T t_step(B) / B`` seconds, and

    pages a second = B / (B t_page + T t_step(B)).

The work of a step is linear in the cached positions, before a window of attention is full and after it, so that the
mean step of a mix is exact; its time is convex in the work, so that a bound at the mean is one of the mean.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from attrs import field, frozen

from llm_perf_opt.planning.mix import PageMix
from llm_perf_opt.planning.page_classes import PageClass, Prompt
from llm_perf_opt.planning.spread import LatencySpread
from llm_perf_opt.planning.timing import CallTime, Timing
from llm_perf_opt.planning.work import StageWork


@frozen(kw_only=True)
class PageTime:
    """What a page takes before its first token, alone on the card.

    Parameters
    ----------
    card
        The time of the card: looking at the page, and its prompt.
    host_seconds
        What the host takes before that to prepare the page; it does so beside the card's work on other pages.
    request_host_seconds
        What the server takes of the request, before the first call and after the last one; beside the card, too.
    """

    card: CallTime
    host_seconds: float
    request_host_seconds: float = 0.0

    @property
    def beside_seconds(self) -> float:
        """What a page waits for beside the card."""
        return self.host_seconds + self.request_host_seconds


@frozen(kw_only=True)
class BatchState:
    """A server with a constant number of pages in flight.

    Parameters
    ----------
    batch_size
        How many.
    step
        The time of a step.
    page
        The mean time of a page before its first token.
    seconds_per_page, bound_seconds_per_page
        What a finished page costs the card, as estimated and at least.
    """

    batch_size: int
    step: CallTime
    page: CallTime
    seconds_per_page: float
    bound_seconds_per_page: float

    @property
    def pages_per_second(self) -> float:
        """Finished pages a second, as estimated."""
        return 1 / self.seconds_per_page

    @property
    def bound_pages_per_second(self) -> float:
        """The same at most."""
        return 1 / self.bound_seconds_per_page


@frozen(kw_only=True, eq=False)
class SteadyState:
    """A card that serves a mix of pages.

    Parameters
    ----------
    mix
        The pages.
    timing
        How long a call takes.
    """

    mix: PageMix
    timing: Timing
    _steps: dict[int, CallTime] = field(factory=dict, init=False, repr=False)

    @cached_property
    def page_times(self) -> tuple[PageTime, ...]:
        """The time of a page before its first token, for each of the prompts of the mix."""
        return tuple(self._time_page(group.page) for group in self.mix.prompts)

    @cached_property
    def _times_by_prompt(self) -> Mapping[Prompt, PageTime]:
        return {group.page.prompt: time for group, time in zip(self.mix.prompts, self.page_times, strict=True)}

    def find_page_time(self, page: PageClass) -> PageTime:
        """Return the time of a page of a class before its first token."""
        return self._times_by_prompt[page.prompt]

    @cached_property
    def mean_page(self) -> CallTime:
        """The mean time of the card for a page before its first token."""
        shares = (group.count / self.mix.num_pages for group in self.mix.prompts)
        return CallTime.add([time.card.scale(share) for time, share in zip(self.page_times, shares, strict=True)])

    @cached_property
    def mean_host_seconds(self) -> float:
        """The mean time of the host for the preparation of a page."""
        times = zip(self.mix.prompts, self.page_times, strict=True)
        return sum(group.count * time.host_seconds for group, time in times) / self.mix.num_pages

    def time_step(self, batch_size: int) -> CallTime:
        """Return the time of the mean step of so many sequences."""
        if batch_size not in self._steps:
            self._steps[batch_size] = self.timing.time(self.list_step_work(batch_size))
        return self._steps[batch_size]

    def list_step_work(self, batch_size: int) -> StageWork:
        """Return the exact work of the mean step of so many sequences."""
        return self.mix.list_step_work(batch_size)

    def solve(self, batch_size: int) -> BatchState:
        """Return throughput with so many pages in flight."""
        step, page = self.time_step(batch_size), self.mean_page
        steps = float(self.mix.mean_steps / batch_size)
        return BatchState(
            batch_size=batch_size,
            step=step,
            page=page,
            seconds_per_page=page.seconds + steps * step.seconds,
            bound_seconds_per_page=page.bound_seconds + steps * step.bound_seconds,
        )

    def list_latencies(self, batch_size: int) -> tuple[dict[str, float], dict[str, float]]:
        """Return mean and percentiles of the seconds from the card's start on a page to its end, and at least.

        A page of T steps waits for its own prompt and its steps, and in between for the prompts of the others: B - 1
        pages are prefilled in the time in which one of the mean number of steps is served. The time of the host, of the
        page and of its request, is in the first, as no page skips it.
        """
        estimated, least = self._find_spreads(batch_size)
        return estimated.summarize(), least.summarize()

    def is_within(self, batch_size: int, seconds: float, percent: int) -> bool:
        """Tell whether so many percent of the pages take at most so long, as estimated."""
        spread, _ = self._find_spreads(batch_size)
        return 100 * spread.count_within(seconds) >= percent * self.mix.num_pages

    def _find_spreads(self, batch_size: int) -> tuple[LatencySpread, LatencySpread]:
        state, mean_steps = self.solve(batch_size), float(self.mix.mean_steps)
        spreads = []
        for page, step, times in (
            (
                state.page.seconds,
                state.step.seconds,
                [time.beside_seconds + time.card.seconds for time in self.page_times],
            ),
            (state.page.bound_seconds, state.step.bound_seconds, [time.card.bound_seconds for time in self.page_times]),
        ):
            others = (batch_size - 1) * page
            spreads.append(
                LatencySpread(
                    prompts=self.mix.prompts,
                    offsets=tuple(times if mean_steps else (time + others for time in times)),
                    slope=step + others / mean_steps if mean_steps else step,
                )
            )
        return spreads[0], spreads[1]

    def _time_page(self, page: PageClass) -> PageTime:
        model = self.mix.model
        names = model.serving
        view_sizes: dict[str, Any] = dict(page.views)
        calls = [self.timing.time(model.list_stage_work(stage, **view_sizes)) for stage in names.page_stages]
        if names.prompt_stage is not None:
            prompt = names.name_sizes(seq_len=page.seq_len, logits_tokens=page.logits_tokens)
            calls.append(self.timing.time(model.list_stage_work(names.prompt_stage, **prompt)))
        return PageTime(
            card=CallTime.add(calls),
            host_seconds=sum(call.host_seconds for call in calls),
            request_host_seconds=self.timing.request_host_seconds,
        )
