"""The tables and sentences of a plan, for the terminal and for its page."""

from __future__ import annotations

from fractions import Fraction

from llm_perf_opt.data.rationals import Rational
from llm_perf_opt.planning.plan import Plan
from llm_perf_opt.planning.search import BatchRow, CardPlan
from llm_perf_opt.planning.setup import LATENCY_PERCENTILE
from llm_perf_opt.planning.time import describe_choice
from llm_perf_opt.visualize.table import Table

NOTHING = "–"  # noqa: RUF001  # as in print
SECONDS_PER_DAY = 86_400
_SHOWN = ("mean", "p50", "p95", "max")

_LABELS = {
    "image_tokens": "image tokens", "prompt_tokens": "prompt, with the image", "output_tokens": "output tokens",
    "cached_tokens": "tokens in the cache", "tensor_core_flops": "tensor-core FLOPs", "cuda_core_flops": "other FLOPs",
    "io_bytes": "bytes moved, as the code runs", "fused_io_bytes": "bytes moved, fused",
}  # fmt: skip


def pages_table(plan: Plan) -> Table:
    """Return the tokens and the work of a page: mean and percentiles, exact."""
    amounts = plan.chosen.setup.mix.list_amounts()
    rows = tuple(
        (_LABELS[name], *(format_amount(values[which]) for which in _SHOWN)) for name, values in amounts.items()
    )
    return Table(headers=("of a page (exact)", *_SHOWN), rows=rows)


def cards_table(plan: Plan) -> Table:
    """Return what each card does, the cheapest first."""
    kind = _kind(plan.chosen)
    headers = (
        "card", "mode", "bound by", "pages in flight", f"pages/s ({kind})", "at most (bound)",
        f"{LATENCY_PERCENTILE} s", "cards", "at least", "$ a day", "$ per million pages",
    )  # fmt: skip
    ordered = sorted(plan.cards, key=lambda card: (card.chosen is None, card.usd_per_million_pages or float("inf")))
    return Table(headers=headers, rows=tuple(_list_card(card) for card in ordered), text_columns=3)


def batches_table(card: CardPlan) -> Table:
    """Return a card at several numbers of pages in flight."""
    kind = _kind(card)
    headers = (
        "pages in flight", "GiB (exact)", f"step ms ({kind})", "at least", f"pages/s ({kind})", "at most",
        f"{LATENCY_PERCENTILE} s ({kind})", "at least ", "$ per million pages", "",
    )  # fmt: skip
    rows = tuple(_list_batch(row, row is card.chosen) for row in card.rows)
    return Table(headers=headers, rows=rows, text_columns=0)


def changes_table(plan: Plan) -> Table:
    """Return what each change buys."""
    has_load = plan.chosen.setup.limits.pages_per_second is not None
    rows = tuple(
        (
            change.words,
            f"{change.largest_batch:,}",
            f"{change.gained_batch:+,}",
            NOTHING if change.pages_per_second is None else format_number(change.pages_per_second),
            NOTHING if change.gained_pages_per_second is None else f"{change.gained_pages_per_second:+.3g}",
            f"{change.num_cards:,}" if has_load else NOTHING,
        )
        for change in plan.changes
    )
    headers = ("with", "pages that fit", "more", f"pages/s ({_kind(plan.chosen)})", "more ", "cards")
    return Table(headers=headers, rows=rows)


def memory_table(plan: Plan) -> Table:
    """Return the arithmetic of the memory, exact."""
    rows = [(term.words, f"{term.num_bytes:,}", f"{term.num_bytes / 2**30:.3f}") for term in plan.fit.terms]
    rows.append(("free", f"{plan.fit.free_bytes:,}", f"{plan.fit.free_bytes / 2**30:.3f}"))
    return Table(headers=("memory (exact)", "bytes", "GiB"), rows=tuple(rows))


def simulation_table(plan: Plan) -> Table | None:
    """Return what was simulated, if anything was."""
    if plan.simulation is None:
        return None
    found = plan.simulation
    headers = (f"simulated ({_kind(plan.chosen)})", "mean", "p50", "p90", "p95", "p99", "max")
    rows = tuple(
        (words, *(format_number(values[name]) for name in headers[1:]))
        for words, values in (
            ("seconds of a page", found.latency),
            ("at least, as it takes alone (bound)", found.bound_latency),
            ("seconds until it starts, at least 0", found.waiting),
        )
    )
    return Table(headers=headers, rows=rows)


def describe_choice_of_card(plan: Plan) -> str:
    """Return the answer in a few sentences."""
    card, setup = plan.chosen, plan.chosen.setup
    row = _chosen(card)
    load, price = setup.limits.pages_per_second, setup.price
    kind = "estimated" if setup.calibration is not None else "at peak rates"
    many = f"{card.num_cards:,} x {setup.card.name}" if load is not None else setup.card.name
    words = f"{many} in mode {setup.mode}, {row.batch_size:,} pages in flight"
    shared = setup.cards_per_model
    if card.num_cards > shared:
        words += " each" if shared == 1 else f" in each group of {shared} that share a model"
    whose = "a card" if shared == 1 else f"of {shared} cards that share a model"
    rate = (
        f"{format_number(row.state.pages_per_second)} pages/s {whose} {kind} "
        f"({format_number(row.state.pages_per_second * SECONDS_PER_DAY, 4)} a day), "
        f"{format_number(row.state.bound_pages_per_second)} at most"
    )
    sentences = [f"{words}: {rate}."]
    if load is not None:
        used = load * shared / (card.num_cards * row.state.pages_per_second)
        sentences.append(
            f"The load of {format_number(load)} pages/s takes {card.num_cards:,} "
            f"card{'s' if card.num_cards > 1 else ''}, busy {100 * used:.0f} % of the time; at least "
            f"{card.bound_num_cards:,} at peak rates."
        )
    sentences.append(
        f"95 of 100 pages take at most {format_number(row.latency[LATENCY_PERCENTILE])} s {kind}, at least "
        f"{format_number(row.bound_latency[LATENCY_PERCENTILE])}."
    )
    if price is not None and card.usd_per_million_pages is not None:
        when = "" if price.date is None else f", {price.date}"
        daily = "" if load is None else f"{format_number(card.usd_per_day or 0.0, 4)} $ a day, "
        sentences.append(
            f"{daily}{format_number(card.usd_per_million_pages, 4)} $ per million pages at {price.usd_per_hour:g} $ an "
            f"hour ({price.source}{when})."
        )
    return " ".join(sentences)


def describe_waits(plan: Plan) -> str:
    """Return what the time is spent on, and what keeps the batch from being larger."""
    parts = sorted(plan.waits.items(), key=lambda item: -item[1])
    shares = ", ".join(f"{name} {100 * part:.1f} %" for name, part in parts if part >= 1e-3)
    batch = {
        "memory": "More pages do not fit",
        "latency": "More pages would take longer than the limit",
        "sequences": "More pages than the limit on pages in flight",
    }[plan.chosen.binds]
    limit = plan.chosen.largest_batch
    beside = "" if plan.chosen.binds == "memory" else f"; {limit:,} would fit"
    return f"{batch}{beside}. Of the least time of a page: {shares}.{describe_best_change(plan)}"


def describe_best_change(plan: Plan) -> str:
    """Return which change of the card, and which of what is stored, gains most: a sentence, or nothing."""
    gains = [(change.gained_pages_per_second or 0.0, change.words) for change in plan.changes]
    stored = [(gain, words) for gain, words in gains if "_bits" in words or words.startswith("logits")]
    best = [max((pair for pair in gains if pair not in stored), default=None), max(stored, default=None)]
    words = [f"{words} ({gain:+.3g} pages/s)" for gain, words in filter(None, best) if gain > 0]
    return f" Most is gained by {', and without another card by '.join(words)}." if words else ""


def describe_times(plan: Plan) -> str:
    """Return what the times are."""
    setup = plan.chosen.setup
    if setup.calibration is None:
        return (
            "Times are bounds: every operator at the peak rates of the card, with the traffic of fused operators. Real "
            "ones are longer; --engine takes what measurements say."
        )
    host = setup.steady_state.mean_host_seconds
    row = _chosen(plan.chosen)
    cores = host * row.state.pages_per_second
    words = f"Times are calibrated: {describe_choice(setup.calibration, setup.card)}."
    if host:
        words += (
            f" The host takes {format_number(host)} s for a page beside the card, which latency has: "
            f"{format_number(cores)} CPU cores a card."
        )
    if request := setup.timing.request_host_seconds:
        words += f" The server takes {format_number(request)} s of each request beside that, which latency has too."
    return words


def _list_card(card: CardPlan) -> tuple[str, ...]:
    setup, row = card.setup, card.chosen
    head = (setup.card.hardware_id, setup.mode, card.binds if card.largest_batch else "memory: none fits")
    if row is None:
        return (*head, f"{card.largest_batch:,} fit", *(NOTHING,) * 7)
    has_load = setup.limits.pages_per_second is not None
    return (
        *head,
        f"{row.batch_size:,}",
        format_number(row.state.pages_per_second),
        format_number(row.state.bound_pages_per_second),
        format_number(row.latency[LATENCY_PERCENTILE]),
        f"{card.num_cards:,}" if has_load else NOTHING,
        f"{card.bound_num_cards:,}" if has_load else NOTHING,
        NOTHING if card.usd_per_day is None or not has_load else format_number(card.usd_per_day, 4),
        NOTHING if card.usd_per_million_pages is None else format_number(card.usd_per_million_pages, 4),
    )


def _list_batch(row: BatchRow, is_chosen: bool) -> tuple[str, ...]:
    return (
        f"{row.batch_size:,}",
        f"{row.memory_bytes / 2**30:.2f}",
        format_number(1000 * row.state.step.seconds),
        format_number(1000 * row.state.step.bound_seconds),
        format_number(row.state.pages_per_second),
        format_number(row.state.bound_pages_per_second),
        format_number(row.latency[LATENCY_PERCENTILE]),
        format_number(row.bound_latency[LATENCY_PERCENTILE]),
        NOTHING if row.usd_per_million_pages is None else format_number(row.usd_per_million_pages, 4),
        "chosen" if is_chosen else "",
    )


def _chosen(card: CardPlan) -> BatchRow:
    assert card.chosen is not None, "a plan is of a card with a batch"
    return card.chosen


def _kind(card: CardPlan) -> str:
    return card.setup.timing.provenance


def format_number(value: float, digits: int = 3) -> str:
    """Return so many significant digits, without an exponent where that is readable."""
    if value >= 10 ** (digits - 1):
        return f"{value:,.0f}"
    return f"{value:.{digits}g}"


def format_amount(value: Rational) -> str:
    """Return every digit of an integer; a mean that is none, with two decimals."""
    if isinstance(value, Fraction):
        whole, rest = divmod(round(value * 100), 100)
        return f"{whole:,}.{rest:02d}"
    return f"{value:,}"
