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
    p95_seconds
        What the batch of the plan itself takes then, at the 95th percentile.
    limit_seconds
        What that may be; None where nothing limits it.
    safe
        The plan whose batch does most within the limits then; without one where no batch keeps them.
    """

    factor: float
    p95_seconds: float
    limit_seconds: float | None
    safe: CardPlan

    @property
    def num_cards(self) -> int | None:
        """How many cards the load takes then; None where no batch keeps the limits."""
        return None if self.safe.chosen is None else self.safe.num_cards

    @property
    def batch_size(self) -> int | None:
        """The pages in flight that do most within the limits then; None where no batch keeps them."""
        return None if self.safe.chosen is None else self.safe.chosen.batch_size

    @property
    def is_broken(self) -> bool:
        """Whether the batch of the plan itself takes longer than the limit then."""
        return self.limit_seconds is not None and self.p95_seconds > self.limit_seconds

    def recommend(self, plan: CardPlan) -> CardPlan:
        """Return the plan to run: one that keeps the limit then, where this one does not and another does."""
        return self.safe if self.is_broken and self.safe.chosen is not None else plan


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
    return Margin(
        factor=factor,
        p95_seconds=row.latency[percentile] * factor,
        limit_seconds=limit,
        safe=plan_card(evolve(plan.setup, limits=harder)),
    )
