"""Whether a plan's limit on latency holds under a simulated load, and how many cards it takes if it does not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache

from attrs import evolve, frozen

from llm_perf_opt.planning.search import CardPlan
from llm_perf_opt.planning.setup import LATENCY_PERCENTILE
from llm_perf_opt.planning.simulation import Load, Simulation, simulate
from modelmeter.support.errors import WorkloadError

MOST_DOUBLINGS = 6
"""So that at most 64 times the groups are simulated, in at most a dozen simulations."""

NEAREST_HALVINGS = 6


@frozen(kw_only=True)
class LoadCheck:
    """A limit on latency held against a simulation.

    Parameters
    ----------
    simulation
        What one card, or one group that shares a model, does with its part of the load.
    keeps_limit
        Whether 95 of 100 simulated pages take at most the limit; None where there is no limit.
    num_cards_that_keep, kept_by
        The fewest cards found that keep it, and what each of them does then; None where it is kept already, or where
        none of the numbers that were tried keeps it.
    most_cards_tried
        The most cards that were simulated.
    """

    simulation: Simulation
    keeps_limit: bool | None
    num_cards_that_keep: int | None
    kept_by: Simulation | None
    most_cards_tried: int


def check_load(plan: CardPlan, load: Load) -> LoadCheck:
    """Return what the chosen batch of a plan does under a load, and with how many cards it keeps the limit.

    Each card gets its part of the load. The number of groups is doubled until the limit is kept, and then halved
    in between; fewer may keep it by chance, as other arrivals are drawn for each number.

    Raises
    ------
    WorkloadError
        If the plan has no batch.
    OutputError
        If simpy is missing.
    """
    if plan.chosen is None:
        raise WorkloadError("there is no batch to simulate", place=plan.setup.card.hardware_id)
    setup, batch_size, rate = plan.setup, plan.chosen.batch_size, load.pages_per_second
    limit = setup.limits.max_latency_seconds

    @cache
    def run(groups: int) -> Simulation:
        part = load if rate is None else evolve(load, pages_per_second=rate / groups)
        return simulate(setup.steady_state, batch_size, part)

    def keeps(groups: int) -> bool:
        return limit is None or run(groups).latency[LATENCY_PERCENTILE] <= limit

    planned = plan.num_cards // setup.cards_per_model
    found = planned if keeps(planned) else None if rate is None else _find_fewest(planned, keeps)
    is_more = found is not None and found > planned
    tried = planned if rate is None or found == planned else found or planned << MOST_DOUBLINGS
    return LoadCheck(
        simulation=run(planned),
        keeps_limit=None if limit is None else found == planned,
        num_cards_that_keep=found * setup.cards_per_model if is_more and found is not None else None,
        kept_by=run(found) if is_more and found is not None else None,
        most_cards_tried=tried * setup.cards_per_model,
    )


def _find_fewest(too_few: int, keeps: Callable[[int], bool]) -> int | None:
    """Return the fewest groups that keep the limit, above some that do not; None if too many are needed."""
    enough = next((groups for groups in _double(too_few) if keeps(groups)), None)
    if enough is None:
        return None
    low = max(too_few, enough // 2)
    for _ in range(NEAREST_HALVINGS):
        if enough - low <= 1:
            break
        middle = (low + enough) // 2
        low, enough = (low, middle) if keeps(middle) else (middle, enough)
    return enough


def _double(groups: int) -> Iterator[int]:
    return (groups << power for power in range(1, MOST_DOUBLINGS + 1))
