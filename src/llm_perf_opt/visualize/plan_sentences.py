"""The answer of a plan in sentences, for the terminal and for its page."""

from __future__ import annotations

from typing import Final

from llm_perf_opt.planning.notes import find_length_note
from llm_perf_opt.planning.plan import Plan
from llm_perf_opt.planning.search import HOURS_PER_DAY, BatchRow, CardPlan
from llm_perf_opt.planning.setup import LATENCY_PERCENTILE
from llm_perf_opt.planning.time import describe_choice
from llm_perf_opt.visualize.plan_tables import find_names, format_number

SECONDS_PER_DAY = 86_400
MOST_CHANGES = 3
"""That the answer names; the table has all."""


def describe_choice_of_card(plan: Plan) -> str:
    """Return the answer in a few sentences."""
    card, setup = plan.chosen, plan.chosen.setup
    row, items = find_row(card), find_names(plan).items
    load, is_estimated = setup.limits.pages_per_second, setup.calibration is not None
    many = f"{card.num_cards:,} x {setup.card.name}" if load is not None else setup.card.name
    # Of a model with one mode only, what that is called says nothing.
    mode = f" in mode {setup.mode}" if len(setup.mix.model.serving.modes) > 1 else ""
    words = f"{many}{mode}, {find_names(plan).count_items(row.batch_size)} in flight"
    shared = setup.cards_per_model
    if card.num_cards > shared:
        words += " each" if shared == 1 else f" in each group of {shared} that share a model"
    whose = "a card" if shared == 1 else f"of {shared} cards that share a model"
    rate, bound_rate = row.state.pages_per_second, row.state.bound_pages_per_second
    daily = f"({format_number(rate * SECONDS_PER_DAY, 4)} a day)"
    if is_estimated:
        words += f": {format_number(rate)} {items}/s {whose} estimated {daily}, {format_number(bound_rate)} at most."
    else:
        words += f": no more than {format_number(rate)} {items}/s {whose} at peak rates {daily}."
    sentences = [words]
    if load is not None:
        sentences.append(_describe_load(card, load, is_estimated=is_estimated))
    sentences.append(_describe_latency(card, row, is_estimated=is_estimated))
    sentences += [_describe_simulated(plan), _describe_margin(plan), _describe_dollars(card, row)]
    return " ".join(filter(None, sentences))


def _describe_load(card: CardPlan, load: float, *, is_estimated: bool) -> str:
    items = card.setup.mix.model.serving.items
    limits, rate = card.setup.limits, find_row(card).state.pages_per_second
    used = load * card.setup.cards_per_model / (card.num_cards * rate)
    cards = f"{card.num_cards:,} card{'s' if card.num_cards > 1 else ''}"
    spare = f", with a headroom of {100 * limits.headroom:g} %" if limits.headroom else ""
    words = f"The load of {format_number(load)} {items}/s takes "
    if is_estimated:
        words += f"{cards}, busy {100 * used:.0f} % of the time{spare}"
        least = card.bound_num_cards
        return f"{words}; at least {least:,} at peak rates."
    return f"{words}no less than {cards}{spare}, then busy at least {100 * used:.0f} % of the time."


def _describe_latency(card: CardPlan, row: BatchRow, *, is_estimated: bool) -> str:
    seconds, least = row.latency[LATENCY_PERCENTILE], row.bound_latency[LATENCY_PERCENTILE]
    limit, items = card.setup.limits.max_latency_seconds, card.setup.mix.model.serving.items
    within = "" if limit is None else f"; the limit is {limit:g}"
    if not is_estimated:
        slowest = f"The slowest 5 of 100 {items} take no less than {format_number(least)} s"
        return f"{slowest} in a full batch at peak rates{within}."
    return (
        f"95 of 100 {items} take at most {format_number(seconds)} s estimated, at least {format_number(least)}{within}."
    )


def _describe_simulated(plan: Plan) -> str:
    """Return whether the limit is kept under the simulated load, and what keeps it: a sentence, or nothing."""
    check, limit = plan.under_load, plan.chosen.setup.limits.max_latency_seconds
    if check is None or limit is None:
        return ""
    seconds = format_number(check.simulation.latency[LATENCY_PERCENTILE])
    items = find_names(plan).items
    under = f"with {items} that arrive with a burstiness of {check.simulation.load.burstiness:g}, 95 of 100"
    if check.keeps_limit:
        return f"The limit holds in the simulation too: {under} take at most {seconds} s."
    words = f"THE LIMIT OF {limit:g} s IS NOT KEPT in the simulation: {under} take {seconds} s."
    if check.num_cards_that_keep is None or check.kept_by is None:
        return f"{words} Not even {check.most_cards_tried:,} cards keep it; take a shorter batch, with --max-num-seqs."
    kept = format_number(check.kept_by.latency[LATENCY_PERCENTILE])
    dollars = plan.chosen.setup.price
    cost = (
        ""
        if dollars is None
        else f", for {format_number(HOURS_PER_DAY * dollars.usd_per_hour * check.num_cards_that_keep, 4)} $ a day"
    )
    return f"{words} {check.num_cards_that_keep:,} cards keep it, with {kept} s{cost}."


def _describe_margin(plan: Plan) -> str:
    """Return what it takes if the times are as wrong as they were where they were checked: a sentence, or nothing."""
    margin, limits = plan.margin, plan.chosen.setup.limits
    if margin is None:
        return ""
    items = find_names(plan).items
    longer = f"If {items} take {margin.factor:.2f} times as long, as far as the calibration was off at most,"
    if margin.num_cards is None:
        return f"{longer} no batch keeps the limit."
    batch = "" if margin.batch_size is None else find_names(plan).count_items(margin.batch_size)
    cards = f"it takes {margin.num_cards:,} card{'s' if margin.num_cards > 1 else ''}"
    if not margin.is_broken:
        return "" if limits.pages_per_second is None else f"{longer} {cards}."
    then = "" if limits.pages_per_second is None else f", and {cards}"
    return (
        f"{longer} this batch takes {format_number(margin.p95_seconds)} s, beyond the limit. RECOMMENDED are {batch} "
        f"in flight, the most that keep it even then{then}; the settings have them."
    )


def _describe_dollars(card: CardPlan, row: BatchRow) -> str:
    price, fleet, full = card.setup.price, card.usd_per_million_pages, row.usd_per_million_pages
    if price is None or fleet is None or full is None:
        return ""
    least = "" if card.setup.calibration is not None else "no less than "
    items = card.setup.mix.model.serving.items
    when = "" if price.date is None else f", {price.date}"
    words = f"{least}{format_number(full, 4)} $ per million {items} on cards that are always full"
    if card.setup.limits.pages_per_second is not None:
        words = (
            f"{least}{format_number(card.usd_per_day or 0.0, 4)} $ a day, which is {format_number(fleet, 4)} $ per "
            f"million {items} at this load; {format_number(full, 4)} on cards that are always full"
        )
    words = words[0].upper() + words[1:]
    return f"{words}. At {price.usd_per_hour:g} $ an hour ({price.source}{when})."


def describe_cutting(plan: Plan) -> str:
    """Return by which program pages were cut, and for how many of them it matters: a sentence, or nothing."""
    cutting, total = plan.chosen.setup.cutting, plan.chosen.setup.mix.num_pages
    if cutting is None or cutting.preprocessing is None:
        return ""
    words = f"Pages are cut by the vendor's program for {cutting.preprocessing}"
    if cutting.is_chosen:
        return f"{words}, as asked for."
    matters = ", ".join(f"{program} cuts {count:,} of {total:,}" for program, count in cutting.cut_otherwise.items())
    if not matters:
        return f"{words}; no other one cuts any of them otherwise."
    return f"{words}, as none is named; {matters} otherwise: say which one with --preprocessing."


def describe_logits(plan: Plan) -> str:
    """Return which positions of a prompt get logits, where that can be chosen: a sentence, or nothing.

    Evaluators take all positions unless they are told otherwise, so that their peaks are larger than those of a plan.
    """
    serving, classes = plan.chosen.setup.mix.model.serving, plan.chosen.setup.mix.classes
    if serving.logits_tokens is None:
        return ""
    if all(each.logits_tokens == 1 for each in classes):
        return (
            f"Only the last position of each prompt gets logits ({serving.logits_tokens}=1); --logits all takes all "
            "positions, as `modelmeter eval` does by default."
        )
    return "All positions of a prompt get logits, or as many as the workload says; --logits last takes the last one."


def describe_lengths(plan: Plan) -> str:
    """Return whether items have more positions than the model was made for: a sentence, or nothing."""
    return find_length_note(plan.chosen.setup.mix) or ""


def describe_modes(plan: Plan) -> str:
    """Return what fewer image tokens may cost, where modes were compared: a sentence, or nothing."""
    looks_at_pages = not plan.chosen.setup.mix.model.serving.item_sizes
    if not looks_at_pages or len({card.setup.mode for card in plan.cards}) < 2:
        return ""
    fewest = float(plan.chosen.setup.mix.mean_image_tokens)
    most = float(max(card.setup.mix.mean_image_tokens for card in plan.cards))
    if fewest == most:
        return ""
    return (
        f"Mode {plan.chosen.setup.mode} is the cheapest with {fewest:,.0f} image tokens a page of up to {most:,.0f} in "
        "other modes: small print may be illegible with fewer, and no accuracy is modelled here."
    )


def describe_waits(plan: Plan) -> str:
    """Return what the time is spent on, and what keeps the batch from being larger."""
    parts = sorted(plan.waits.items(), key=lambda item: -item[1])
    shares = ", ".join(f"{name} {100 * part:.1f} %" for name, part in parts if part >= 1e-3)
    items = find_names(plan).items
    batch = {
        "memory": f"More {items} do not fit",
        "latency": f"More {items} would take longer than the limit",
        "sequences": f"More {items} than the limit on {items} in flight",
    }[plan.chosen.binds]
    limit = plan.chosen.largest_batch
    beside = "" if plan.chosen.binds == "memory" else f"; {limit:,} would fit"
    return f"{batch}{beside}. Of the least time of a {find_names(plan).item}: {shares}.{describe_best_change(plan)}"


def describe_best_change(plan: Plan) -> str:
    """Return what gains most of what can be done, ranked, and which change of the card: a sentence, or nothing."""
    gains = [(change.gained_pages_per_second or 0.0, change) for change in plan.changes]
    best = [(gain, change) for gain, change in gains if gain > 0 and change.kind == "card"]
    done = [(gain, change) for gain, change in gains if gain > 0 and change.kind == "serving"]
    words = [f"{change.words} ({gain:+.3g} {find_names(plan).items}/s)" for gain, change in best[:1]]
    modes = [pair for pair in done if pair[1].words.startswith("mode ")]
    done = [pair for pair in done if pair not in modes[1:]]  # of modes the quickest; others are in the table
    if done:
        ranked = ", ".join(
            f"{change.words} ({gain:+.3g}{', legibility not modelled' if change.words.startswith('mode ') else ''})"
            for gain, change in done[:MOST_CHANGES]
        )
        words.append(f"without another card by {ranked}")
    return f" Most is gained by {', and '.join(words)}." if words else ""


def describe_times(plan: Plan) -> str:
    """Return what the times are."""
    setup = plan.chosen.setup
    if setup.calibration is None:
        return (
            "Times are bounds: every operator at the peak rates of the card, with the traffic of fused operators. Real "
            "ones are longer; --engine takes what measurements say."
        )
    host = setup.steady_state.mean_host_seconds
    row = find_row(plan.chosen)
    cores = host * row.state.pages_per_second
    words = f"Times are calibrated: {describe_choice(setup.calibration, setup.card)}."
    if host:
        words += (
            f" The host takes {format_number(host)} s for a {find_names(plan).item} beside the card, which latency "
            f"has: {format_number(cores)} CPU cores a card."
        )
    if request := setup.timing.request_host_seconds:
        words += f" The server takes {format_number(request)} s of each request beside that, which latency has too."
    return words


def find_row(card: CardPlan) -> BatchRow:
    """Return the chosen batch of a card that has one."""
    assert card.chosen is not None, "a plan is of a card with a batch"
    return card.chosen


NOTES: Final = (describe_cutting, describe_logits, describe_lengths, describe_modes)
"""What is said of a plan after its answer: each a function of the plan, to a sentence or nothing."""
