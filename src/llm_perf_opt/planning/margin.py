"""What a plan takes if its times are as wrong as the largest error of their calibration."""

from __future__ import annotations

from attrs import evolve, frozen

from llm_perf_opt.planning.search import BatchRow, CardPlan, plan_card


@frozen(kw_only=True)
class Margin:
    """The same card and mode if everything takes longer.

    Parameters
    ----------
    factor
        Above 1: how many times as long.
    num_cards
        How many cards the load takes then; None where no batch keeps the limits.
    batch_size
        The pages in flight that do most within the limits then.
    p95_seconds
        What the batch of the plan itself takes then, at the 95th percentile.
    """

    factor: float
    num_cards: int | None
    batch_size: int | None
    p95_seconds: float


def find_margin(plan: CardPlan, row: BatchRow, percentile: str) -> Margin | None:
    """Return what a plan takes with the largest error; None where nothing tells of errors, or there is none.

    All times longer by a factor are the same as a load larger by it and limits on latency shorter by it, so that the
    plan is made again, with another batch where the limit asks for one.
    """
    calibration = plan.setup.calibration
    factor = None if calibration is None else calibration.largest_ratio
    if factor is None or factor <= 1:
        return None
    limits = plan.setup.limits
    load, limit = limits.pages_per_second, limits.max_latency_seconds
    harder = evolve(
        limits,
        pages_per_second=None if load is None else load * factor,
        max_latency_seconds=None if limit is None else limit / factor,
    )
    slower = plan_card(evolve(plan.setup, limits=harder))
    return Margin(
        factor=factor,
        num_cards=None if slower.chosen is None else slower.num_cards,
        batch_size=None if slower.chosen is None else slower.chosen.batch_size,
        p95_seconds=row.latency[percentile] * factor,
    )
