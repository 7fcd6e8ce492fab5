"""A plan: what cards do with a mix of pages, the cheapest of them, what would help, and the settings of engines."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from attrs import evolve, field, frozen

from llm_perf_opt.planning.changes import Change, describe_time, list_changes
from llm_perf_opt.planning.search import CardPlan, choose_plan, plan_card
from llm_perf_opt.planning.settings import EngineSettings, Fit, find_fit, list_settings
from llm_perf_opt.planning.setup import Setup
from llm_perf_opt.planning.simulation import Load, Simulation, simulate


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
        The memory of the chosen batch, and how engines are started with it.
    left_out
        Cards that nobody named and that cannot be planned with, and why.
    simulation
        The chosen card under a random load, if that was asked for.
    """

    cards: tuple[CardPlan, ...]
    chosen: CardPlan
    waits: Mapping[str, float]
    changes: tuple[Change, ...]
    fit: Fit
    settings: tuple[EngineSettings, ...]
    left_out: Mapping[str, str] = field(factory=dict)
    simulation: Simulation | None = None


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
    begin("what would help")
    changes = list_changes(chosen)
    simulation = None
    if load is not None:
        begin("simulate the load")
        rate = load.pages_per_second
        part = (
            load
            if rate is None
            else evolve(load, pages_per_second=rate * chosen.setup.cards_per_model / chosen.num_cards)
        )
        simulation = simulate(chosen.setup.steady_state, row.batch_size, part)
    return Plan(
        cards=tuple(cards),
        chosen=chosen,
        waits=describe_time(row, float(chosen.setup.mix.mean_steps)),
        changes=changes,
        fit=find_fit(chosen),
        settings=list_settings(chosen),
        left_out=dict(left_out or {}),
        simulation=simulation,
    )
