"""Latency under load: continuous batching as a discrete-event simulation over exact step costs. Needs simpy.

A server has at most B pages in flight. Between steps it takes the page that has waited longest, if there is room, and
runs its prompt; else it runs a step, which gives a token to each page in flight. Pages arrive one by one.
"""

from __future__ import annotations

import random
from bisect import bisect_left
from collections import deque
from collections.abc import Generator
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Final

from attrs import field, frozen, mutable
from attrs.converters import optional

from llm_perf_opt.data import rules
from llm_perf_opt.planning.least_times import LeastTimes
from llm_perf_opt.planning.mix import rank_values
from llm_perf_opt.planning.page_classes import PageClass
from llm_perf_opt.planning.setup import RATE
from llm_perf_opt.planning.steady_state import SteadyState
from llm_perf_opt.planning.step_times import StepTimes
from modelmeter.support.errors import OutputError

if TYPE_CHECKING:
    import simpy

NUM_PAGES: Final = 2000
SEED: Final = 1

_BURSTINESS = rules.FieldRule(
    expected="a finite number of at least 0",
    accepts=lambda value: type(value) is float and 0 <= value < 1e3,
    schema={"type": "number", "minimum": 0},
)


@frozen(kw_only=True)
class Load:
    """How pages arrive.

    Parameters
    ----------
    pages_per_second
        The mean rate at one card; None where all of them wait from the start.
    burstiness
        The standard deviation of the time between two pages, in units of its mean: 0 for a clock, 1 for pages that
        know nothing of each other, more for bursts.
    num_pages
        How many pages arrive.
    seed
        Of the random numbers: the same one gives the same pages at the same times.
    """

    pages_per_second: float | None = field(
        default=None, converter=optional(rules.as_float), validator=rules.or_none(RATE)
    )
    burstiness: float = field(default=1.0, converter=rules.as_float, validator=_BURSTINESS)
    num_pages: int = field(default=NUM_PAGES, validator=rules.whole_number(1))
    seed: int = field(default=SEED, validator=rules.whole_number())

    def draw_gap(self, generator: random.Random) -> float:
        """Return the seconds until the next page."""
        if self.pages_per_second is None:
            return 0.0
        mean = 1 / self.pages_per_second
        if not self.burstiness:
            return mean
        # A gamma distribution of this mean and deviation; with 1 it is the exponential one.
        shape = self.burstiness**-2
        return generator.gammavariate(shape, mean / shape)


@frozen(kw_only=True)
class Simulation:
    """What a card does under a load.

    Parameters
    ----------
    load
        How pages arrived.
    batch_size
        The most pages in flight.
    seconds
        From the first arrival to the last finished page.
    pages_per_second
        Finished pages a second, while pages were waiting or in flight at all times where all arrive at once.
    latency, waiting
        Mean and percentiles of the seconds from the arrival of a page to its end, and to its start.
    mean_batch
        Pages in flight in a step, on average over steps; at most ``batch_size``.
    bound_pages_per_second, bound_latency
        No card is quicker with these pages at these times: each page takes at least what it takes alone, and all of
        them what they cost in full batches, at peak rates.
    """

    load: Load
    batch_size: int
    seconds: float
    pages_per_second: float
    latency: dict[str, float]
    waiting: dict[str, float]
    mean_batch: float
    bound_pages_per_second: float
    bound_latency: dict[str, float]


@mutable
class _PageInFlight:
    page: PageClass
    arrival: float
    steps_left: int
    start: float = 0.0


def simulate(steady_state: SteadyState, batch_size: int, load: Load) -> Simulation:
    """Return what a card does with pages that arrive at random.

    Parameters
    ----------
    steady_state
        The pages, of which those that arrive are drawn by their counts, and the time of calls.
    batch_size
        The most pages in flight.
    load
        How pages arrive.

    Raises
    ------
    OutputError
        If simpy is missing.
    """
    try:
        import simpy
    except ImportError as error:
        raise OutputError("simulations need simpy", found=str(error), remedy="pip install 'modelmeter[plan]'") from None
    server = _Server(steady_state, batch_size, load, simpy.Environment())
    server.run()
    return server.summarize()


class _Server:
    """The state of a simulation. Steps between two events are taken together: their times add up in closed form."""

    def __init__(self, steady_state: SteadyState, batch_size: int, load: Load, environment: simpy.Environment) -> None:
        self._steady_state, self._batch_size, self._load = steady_state, batch_size, load
        self._environment = environment
        self._waiting: deque[_PageInFlight] = deque()
        self._in_flight: list[_PageInFlight] = []
        self._arrival = environment.event()
        self._step_times = StepTimes(steady_state=steady_state)
        self._finished: list[tuple[float, float]] = []
        self._bounds = LeastTimes(steady_state, batch_size)
        self._steps = self._sequences = 0
        self._end = 0.0

    def run(self) -> None:
        """Run until all pages are finished."""
        self._environment.process(self._arrive())
        self._environment.run(self._environment.process(self._serve()))

    def summarize(self) -> Simulation:
        """Return what was seen."""
        latency, waiting = zip(*self._finished, strict=True)
        return Simulation(
            load=self._load,
            batch_size=self._batch_size,
            seconds=self._end,
            pages_per_second=len(self._finished) / self._end,
            latency=_rank_all(latency),
            waiting=_rank_all(waiting),
            mean_batch=self._sequences / self._steps if self._steps else 0.0,
            bound_pages_per_second=len(self._finished) / self._bounds.seconds,
            bound_latency=_rank_all(self._bounds.latency),
        )

    def _arrive(self) -> Generator[Any, Any, None]:
        generator = random.Random(self._load.seed)
        classes = self._steady_state.mix.classes
        totals = list(accumulate(each.count for each in classes))
        for number in range(self._load.num_pages):
            if number:
                gap = self._load.draw_gap(generator)
                if gap:
                    yield self._environment.timeout(gap)
            # Exact, where random.choices would add up floats.
            page = classes[bisect_left(totals, generator.randrange(totals[-1]) + 1)]
            self._bounds.add(page, self._environment.now)
            self._waiting.append(_PageInFlight(page, self._environment.now, page.num_steps))
            if not self._arrival.triggered:
                self._arrival.succeed()

    def _serve(self) -> Generator[Any, Any, None]:
        while len(self._finished) < self._load.num_pages:
            if self._waiting and len(self._in_flight) < self._batch_size:
                page = self._waiting.popleft()
                page.start = self._environment.now
                time = self._steady_state.find_page_time(page.page)
                yield self._environment.timeout(time.card.seconds)
                self._in_flight.append(page)
                self._finish()
            elif self._in_flight:
                yield from self._run_steps()
                self._finish()
            else:
                self._arrival = self._environment.event()
                if not self._waiting:
                    yield self._arrival

    def _run_steps(self) -> Generator[Any, Any, None]:
        """Run steps until a page is finished, or until one that may start has arrived and the step then ends."""
        most = min(page.steps_left for page in self._in_flight)
        began = self._environment.now
        has_room = len(self._in_flight) < self._batch_size
        times = self._step_times.time_run(
            [(page.page, page.page.num_steps - page.steps_left) for page in self._in_flight], most
        )
        end = self._environment.timeout(times.find(most))
        if not has_room:
            yield end
            done = most
        else:
            self._arrival = self._environment.event()
            yield end | self._arrival
            elapsed = self._environment.now - began
            done = 1 + bisect_left(range(1, most + 1), elapsed, key=times.find)
            done = min(done, most)
            rest = began + times.find(done) - self._environment.now
            if rest > 0:
                yield self._environment.timeout(rest)
        self._steps += done
        self._sequences += done * len(self._in_flight)
        for page in self._in_flight:
            page.steps_left -= done

    def _finish(self) -> None:
        now = self._environment.now
        done = [page for page in self._in_flight if not page.steps_left]
        for page in done:
            host = self._steady_state.find_page_time(page.page).beside_seconds
            self._finished.append((now - page.arrival + host, page.start - page.arrival))
            self._end = now
        self._in_flight = [page for page in self._in_flight if page.steps_left]


def _rank_all(values: tuple[float, ...]) -> dict[str, float]:
    return {"mean": sum(values) / len(values), **rank_values((value, 1) for value in values)}
