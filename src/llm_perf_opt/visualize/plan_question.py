"""The answer of a plan and what was asked for, as two small tables for the head of its page."""

from __future__ import annotations

from collections.abc import Iterable

from llm_perf_opt.planning.evaluation import simplify
from llm_perf_opt.planning.plan import Plan
from llm_perf_opt.planning.setup import LATENCY_PERCENTILE
from llm_perf_opt.visualize.plan_sentences import find_row
from llm_perf_opt.visualize.plan_tables import NOTHING, format_number
from llm_perf_opt.visualize.table import Table


def answer_table(plan: Plan) -> Table:
    """Return cards, dollars a day, latency and whether the limit is kept, in closed form and as simulated."""
    card, row = plan.chosen, find_row(plan.chosen)
    names = card.setup.mix.model.serving
    limits, check = card.setup.limits, plan.under_load
    limit, has_load = limits.max_latency_seconds, limits.pages_per_second is not None
    seconds = row.latency[LATENCY_PERCENTILE]
    kind = "estimated" if card.setup.calibration is not None else "at least, at peak rates"
    rows = [
        ("card", f"{card.setup.card.name}, mode {card.setup.mode}, {names.count_items(row.batch_size)} in flight"),
        (f"cards ({kind})", f"{card.num_cards:,}" if has_load else NOTHING),
        (
            f"$ a day ({kind})",
            NOTHING if card.usd_per_day is None or not has_load else format_number(card.usd_per_day, 4),
        ),
        (f"{LATENCY_PERCENTILE} in s ({kind})", format_number(seconds)),
        ("limit in s", NOTHING if limit is None else f"{limit:g}"),
        ("limit kept with full batches", NOTHING if limit is None else "yes" if seconds <= limit else "no"),
    ]
    if check is not None:
        simulated, kept = check.simulation.latency[LATENCY_PERCENTILE], check.keeps_limit
        rows.append((f"{LATENCY_PERCENTILE} in s, simulated", format_number(simulated)))
        rows.append(("limit kept in the simulation", NOTHING if kept is None else "yes" if kept else "NO"))
    return Table(headers=("answer", ""), rows=tuple(rows), text_columns=2)


def question_table(plan: Plan, options: Iterable[tuple[str, str]] = ()) -> Table:
    """Return what was asked for: load, limits, pages, widths, memory, engine, prices and options as they were given."""
    setup, check = plan.chosen.setup, plan.under_load
    items = setup.mix.model.serving.items
    limits, cutting, price = setup.limits, setup.cutting, setup.price
    bits = ", ".join(f"{name} {simplify(value)}" for name, value in setup.mix.model.bits.items())
    rows = [
        ("model", setup.mix.model.model),
        ("load", NOTHING if limits.pages_per_second is None else f"{format_number(limits.pages_per_second)} {items}/s"),
        ("limit on latency", NOTHING if limits.max_latency_seconds is None else f"{limits.max_latency_seconds:g} s"),
        ("headroom", f"{100 * limits.headroom:g} %"),
        (items, NOTHING if cutting is None else f"{setup.mix.num_pages:,} of {cutting.source}"),
        ("preprocessing", NOTHING if cutting is None else cutting.preprocessing or "sizes as given"),
        ("type and widths", f"{setup.dtype}; {bits}"),
        ("memory", f"utilisation {setup.utilisation:g}, reserve {setup.reserve.reserve_gib:g} GiB"),
        ("engine", "none: bounds" if setup.calibration is None else f"calibration {setup.calibration.name}"),
    ]
    if check is not None:
        load = check.simulation.load
        rows.append(("arrivals", f"burstiness {load.burstiness:g}, seed {load.seed}, {load.num_pages:,} {items}"))
    if price is not None:
        dated = "" if price.date is None else f", {price.date}"
        rows.append(("price of the card", f"{price.usd_per_hour:g} $ an hour ({price.source}{dated})"))
    given = " ".join(f"{name} {value}".strip() for name, value in options)
    # Options are named after pages; of a model of other items the rows above say the same in its own words.
    if given and not setup.mix.model.serving.item_sizes:
        rows.append(("options", given))
    return Table(headers=("asked for", ""), rows=tuple(rows), text_columns=2)


def price_table(plan: Plan) -> Table:
    """Return the price of every card that has one, with who states it and when."""
    prices = {
        card.setup.card.hardware_id: card.setup.price for card in plan.cards if card.setup.price is not None
    }  # fmt: skip
    rows = tuple(
        (card, price.source, price.date or NOTHING, f"{price.usd_per_hour:g}") for card, price in sorted(prices.items())
    )
    return Table(headers=("card", "source of its price", "date", "$ an hour"), rows=rows, text_columns=3)
