"""A plan: what cards do with a mix of pages, the cheapest of them, what would help, and the settings of engines."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from attrs import field, frozen

from llm_perf_opt.planning.changes import Change, describe_time, list_changes
from llm_perf_opt.planning.margin import Margin, find_margin
from llm_perf_opt.planning.search import CardPlan, choose_plan, plan_card
from llm_perf_opt.planning.settings import EngineSettings, Fit, find_fit, list_settings
from llm_perf_opt.planning.setup import LATENCY_PERCENTILE, Setup
from llm_perf_opt.planning.simulation import Load
from llm_perf_opt.planning.under_load import LoadCheck, check_load


@frozen(kw_only=True, eq=False)
class Plan:
    """What a load of pages takes.

    Parameters
    ----------
    cards
        What each card does in each mode.
    chosen
        The cheapest of these that meets the limits.
    waits
        What a finished page waits for on the chosen card: parts of 1.
    changes
        What would help there.
    fit, settings
        The memory of the recommended batch, and how engines are started with it: the chosen one, or where that breaks
        the limit on latency once times are as wrong as the calibration, the largest that keeps it even then.
    left_out
        Cards that nobody named and that cannot be planned with, and why.
    under_load
        The chosen card under a random load, and whether it keeps the limit then, if that was asked for.
    margin
        What the chosen card takes if its times are as wrong as they can be by what was checked.
    """

    cards: tuple[CardPlan, ...]
    chosen: CardPlan
    waits: Mapping[str, float]
    changes: tuple[Change, ...]
    fit: Fit
    settings: tuple[EngineSettings, ...]
    left_out: Mapping[str, str] = field(factory=dict)
    under_load: LoadCheck | None = None
    margin: Margin | None = None

    @property
    def recommended(self) -> CardPlan:
        """The chosen card with the batch to run; see ``settings``."""
        return self.chosen if self.margin is None else self.margin.recommend(self.chosen)


def make_plan(
    setups: Iterable[Setup],
    *,
    left_out: Mapping[str, str] | None = None,
    load: Load | None = None,
    begin: Callable[[str], object] = lambda _: None,
) -> Plan:
    """Return the plan of one or several ways to serve.

    Parameters
    ----------
    setups
        The cards and modes, with the same limits.
    left_out
        Cards that were left out before, and why.
    load
        How pages arrive, if that is to be simulated; each of the chosen cards gets its part of the rate.
    begin
        Is told what is done next.

    Raises
    ------
    WorkloadError
        If nothing meets the limits; the message says what comes nearest.
    RecordError
        If a card has no rate for the type.
    """
    cards = []
    for setup in setups:
        begin(f"{setup.card.hardware_id}, {setup.mode}")
        cards.append(plan_card(setup))
    chosen = choose_plan(cards)
    row = chosen.chosen
    assert row is not None, "choose_plan returns none without a batch"
    margin = find_margin(chosen, row, LATENCY_PERCENTILE)
    begin("what would help")
    changes = list_changes(chosen)
    under_load = None
    if load is not None:
        begin("simulate the load")
        under_load = check_load(chosen, load)
    return Plan(
        cards=tuple(cards),
        chosen=chosen,
        waits=describe_time(row, float(chosen.setup.mix.mean_steps), chosen.setup.mix.model.serving.items),
        changes=changes,
        fit=find_fit(chosen if margin is None else margin.recommend(chosen)),
        settings=list_settings(chosen, margin),
        left_out=dict(left_out or {}),
        under_load=under_load,
        margin=margin,
    )
