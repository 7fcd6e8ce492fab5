"""The batch of a card that does most within limits, how many cards a load takes, and the cheapest of several."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping

from attrs import frozen

from llm_perf_opt.planning.setup import LATENCY_PERCENT, LATENCY_PERCENTILE, Setup
from llm_perf_opt.planning.steady_state import BatchState
from modelmeter.support.errors import WorkloadError

SECONDS_PER_HOUR = 3600
MILLION = 10**6
HOURS_PER_DAY = 24


@frozen(kw_only=True)
class BatchRow:
    """A card at one number of pages in flight.

    Parameters
    ----------
    state
        Its throughput.
    latency, bound_latency
        Mean and percentiles of the seconds that a page takes, as estimated and at least.
    usd_per_million_pages, bound_usd_per_million_pages
        Of a card that is always busy; None without a price.
    memory_bytes
        What it needs.
    """

    state: BatchState
    latency: Mapping[str, float]
    bound_latency: Mapping[str, float]
    usd_per_million_pages: float | None
    bound_usd_per_million_pages: float | None
    memory_bytes: int

    @property
    def batch_size(self) -> int:
        """How many pages are in flight."""
        return self.state.batch_size


@frozen(kw_only=True, eq=False)
class CardPlan:
    """What one card does in one mode.

    Parameters
    ----------
    setup
        The card, the pages and the limits.
    largest_batch
        The most pages that fit at once.
    rows
        Some batches, in order; the chosen one is among them.
    chosen
        The batch that does most within the limits; None if none meets them.
    binds
        What keeps the batch from being larger: ``memory``, ``latency`` or ``sequences``; or, where no batch is
        chosen, what is not met.
    num_cards, bound_num_cards
        How many cards the load takes, as estimated and at least; those that share a model without a load.
    """

    setup: Setup
    largest_batch: int
    rows: tuple[BatchRow, ...]
    chosen: BatchRow | None
    binds: str
    num_cards: int
    bound_num_cards: int

    @property
    def usd_per_day(self) -> float | None:
        """What the cards cost for a day; None without a price."""
        return self._price_day(self.num_cards)

    @property
    def bound_usd_per_day(self) -> float | None:
        """The same at least."""
        return self._price_day(self.bound_num_cards)

    @property
    def usd_per_million_pages(self) -> float | None:
        """What a million pages cost with whole cards at the load, or on one busy card without a load."""
        return self._price_pages(self.num_cards, None if self.chosen is None else self.chosen.usd_per_million_pages)

    @property
    def bound_usd_per_million_pages(self) -> float | None:
        """The same at least."""
        full = None if self.chosen is None else self.chosen.bound_usd_per_million_pages
        return self._price_pages(self.bound_num_cards, full)

    def _price_day(self, num_cards: int) -> float | None:
        price = self.setup.price
        return None if price is None or self.chosen is None else price.usd_per_hour * num_cards * HOURS_PER_DAY

    def _price_pages(self, num_cards: int, full: float | None) -> float | None:
        """Return the dollars of a million pages, from those of cards that are always full."""
        price, load = self.setup.price, self.setup.limits.pages_per_second
        if price is None or load is None or full is None:
            return full
        return price.usd_per_hour * num_cards / SECONDS_PER_HOUR / load * MILLION


def plan_card(setup: Setup) -> CardPlan:
    """Return what one card does in one mode.

    Raises
    ------
    RecordError
        If the card has no rate for the type.
    """
    memory, limits = setup.memory, setup.limits
    largest = memory.largest_batch
    most = min(largest, limits.max_sequences)
    binds = "memory" if largest <= limits.max_sequences else "sequences"
    sizes = _list_batches(most)
    if limits.max_latency_seconds is not None and most:
        within = bisect_left(range(1, most + 1), True, key=lambda batch: not _is_quick(setup, batch))
        if within < most:
            binds = "latency"
        sizes = sorted({*sizes, *([within] if within else [])})
    else:
        within = most
    rows = tuple(_measure(setup, batch) for batch in sizes)
    allowed = [row for row in rows if row.batch_size <= within]
    chosen = max(allowed, key=lambda row: row.state.pages_per_second, default=None)
    load = limits.planned_pages_per_second
    return CardPlan(
        setup=setup,
        largest_batch=largest,
        rows=rows,
        chosen=chosen,
        binds=binds,
        num_cards=setup.cards_per_model
        * _count_groups(load, None if chosen is None else chosen.state.pages_per_second),
        bound_num_cards=setup.cards_per_model
        * _count_groups(load, None if chosen is None else chosen.state.bound_pages_per_second),
    )


def choose_plan(plans: Iterable[CardPlan]) -> CardPlan:
    """Return the cheapest plan; where prices are missing, of those with most throughput the one with fewest cards.

    Raises
    ------
    WorkloadError
        If none meets the limits; the message says what comes nearest.
    """
    plans = list(plans)
    met = [plan for plan in plans if plan.chosen is not None]
    if not met:
        raise _refuse(plans)
    priced = [plan for plan in met if plan.usd_per_million_pages is not None]
    return min(priced or met, key=_rank)


def _rank(plan: CardPlan) -> tuple[float, int, float, str, str]:
    assert plan.chosen is not None, "plans without a batch are left out before"
    dollars = plan.usd_per_million_pages or 0.0
    rate = plan.chosen.state.pages_per_second
    return dollars, plan.num_cards, -rate, plan.setup.card.hardware_id, plan.setup.mode


def _refuse(plans: list[CardPlan]) -> WorkloadError:
    """Return the error of limits that nothing meets, with the nearest that is possible."""
    names = plans[0].setup.mix.model.serving
    fitting = [plan for plan in plans if plan.largest_batch]
    if not fitting:
        nearest = min(plans, key=lambda plan: plan.setup.memory.measure(1) - plan.setup.memory.usable_bytes)
        memory = nearest.setup.memory
        return WorkloadError(
            f"not even one {names.item} fits on any card", place="memory",
            expected=f"at least {_gib(memory.measure(1))} GiB",
            found=f"{_gib(memory.usable_bytes)} GiB usable on {nearest.setup.card.hardware_id} in mode "
            f"{nearest.setup.mode}, the nearest",
            remedy="take fewer bits, a larger card, or a smaller mode",
        )  # fmt: skip
    nearest = min(fitting, key=lambda plan: plan.rows[0].latency[LATENCY_PERCENTILE])
    limit = nearest.setup.limits.max_latency_seconds
    least = nearest.rows[0].latency[LATENCY_PERCENTILE]
    return WorkloadError(
        "no card and mode is as quick", place="--max-latency",
        expected=f"at least {least:.4g} seconds, which {nearest.setup.card.hardware_id} in mode {nearest.setup.mode} "
        f"takes for {LATENCY_PERCENTILE} of the {names.items}, one at a time",
        found=f"{limit:g}",
    )  # fmt: skip


def _gib(size: int) -> str:
    return f"{size / 2**30:.2f}"


def _list_batches(most: int) -> list[int]:
    """Return powers of two, and the most."""
    return sorted({*(2**power for power in range(most.bit_length())), *([most] if most else [])})


def _is_quick(setup: Setup, batch_size: int) -> bool:
    """Tell whether pages meet the limit on their latency; they take longer the more are in flight."""
    limit = setup.limits.max_latency_seconds
    return limit is None or setup.steady_state.is_within(batch_size, limit, LATENCY_PERCENT)


def _measure(setup: Setup, batch_size: int) -> BatchRow:
    state = setup.steady_state.solve(batch_size)
    latency, bound_latency = setup.steady_state.list_latencies(batch_size)
    dollars = None
    if setup.price is not None:
        dollars = setup.cards_per_model * setup.price.usd_per_hour / SECONDS_PER_HOUR * MILLION
    return BatchRow(
        state=state,
        latency=latency,
        bound_latency=bound_latency,
        usd_per_million_pages=None if dollars is None else dollars * state.seconds_per_page,
        bound_usd_per_million_pages=None if dollars is None else dollars * state.bound_seconds_per_page,
        memory_bytes=setup.memory.measure(batch_size),
    )


def _count_groups(load: float | None, pages_per_second: float | None) -> int:
    """Return how many cards, or groups of cards that share a model, a load takes."""
    return 1 if load is None or pages_per_second is None else max(1, math.ceil(load / pages_per_second))
