"""The tables of a plan, for the terminal and for its page."""

from __future__ import annotations

from fractions import Fraction

from llm_perf_opt.data.rationals import Rational
from llm_perf_opt.planning.plan import Plan
from llm_perf_opt.planning.search import BatchRow, CardPlan
from llm_perf_opt.planning.setup import LATENCY_PERCENTILE
from llm_perf_opt.visualize.table import Table
from modelmeter.model.serving import Serving

NOTHING = "–"  # noqa: RUF001  # as in print
_SHOWN = ("mean", "p50", "p95", "max")

_LABELS = {
    "image_tokens": "image tokens", "prompt_tokens": "prompt, with the image", "output_tokens": "output tokens",
    "cached_tokens": "tokens in the cache", "tensor_core_flops": "tensor-core FLOPs", "cuda_core_flops": "other FLOPs",
    "io_bytes": "bytes moved, as the code runs", "fused_io_bytes": "bytes moved, fused",
}  # fmt: skip


def pages_table(plan: Plan) -> Table:
    """Return the tokens and the work of a page: mean and percentiles, exact."""
    amounts = plan.chosen.setup.mix.list_amounts()
    has_images = find_names(plan).image_tokens is not None
    labels = _LABELS if has_images else {**_LABELS, "prompt_tokens": "prompt"}
    rows = tuple(
        (labels.get(name, name.replace("_", " ")), *(format_amount(values[which]) for which in _SHOWN))
        for name, values in amounts.items()
    )
    return Table(headers=(f"of a {find_names(plan).item} (exact)", *_SHOWN), rows=rows)


def cards_table(plan: Plan) -> Table:
    """Return what each card does, the cheapest first; without an engine bounds only, each once."""
    has_load = plan.chosen.setup.limits.pages_per_second is not None
    is_estimated = plan.chosen.setup.calibration is not None
    items = find_names(plan).items
    headers = ["card", "mode", "bound by", f"{items} in flight"]
    headers += [f"{items}/s (calibrated)", "at most (bound)", f"{LATENCY_PERCENTILE} s"] if is_estimated else [
        f"{items}/s at most (bound)", f"{LATENCY_PERCENTILE} s at least"
    ]  # fmt: skip
    if has_load:
        headers += ["cards", "at least"] if is_estimated else ["cards at least"]
        headers += ["$ a day", "$ per million, at load"]
    headers.append("$ per million, full")
    ordered = sorted(plan.cards, key=lambda card: (card.chosen is None, card.usd_per_million_pages or float("inf")))
    rows = tuple(_list_card(card, len(headers)) for card in ordered)
    return Table(headers=tuple(headers), rows=rows, text_columns=3)


def batches_table(card: CardPlan) -> Table:
    """Return a card at several numbers of pages in flight; without an engine bounds only, each once."""
    items = card.setup.mix.model.serving.items
    headers = [f"{items} in flight", "GiB (exact)"]
    if card.setup.calibration is not None:
        headers += [
            "step ms (calibrated)", "at least", f"{items}/s (calibrated)", "at most",
            f"{LATENCY_PERCENTILE} s (calibrated)", "at least ",
        ]  # fmt: skip
    else:
        headers += ["step ms at least", f"{items}/s at most", f"{LATENCY_PERCENTILE} s at least"]
    headers += ["$ per million, full", ""]
    rows = tuple(_list_batch(card, row) for row in card.rows)
    return Table(headers=tuple(headers), rows=rows, text_columns=0)


def margin_table(plan: Plan) -> Table | None:
    """Return the batch by the estimate beside the one that keeps the limit if times are as wrong as the calibration.

    None where there is no such limit, the first keeps it even then, or no batch does.
    """
    margin = plan.margin
    if margin is None or not margin.is_broken or margin.safe.chosen is None:
        return None
    items, limits = find_names(plan).items, plan.chosen.setup.limits
    headers = [f"{items} in flight", f"{LATENCY_PERCENTILE} s estimated", f"s if {margin.factor:.2f} times as long"]
    headers += [f"keeps {limits.max_latency_seconds:g} s", f"{items}/s a card estimated"]
    headers += ["cards", "$ a day"] if limits.pages_per_second is not None else []
    rows = []
    for card, words in ((plan.chosen, "by the estimate alone"), (margin.safe, "even then: recommended")):
        row = card.chosen
        assert row is not None, "both have a batch"
        seconds = row.latency[LATENCY_PERCENTILE]
        cells = [f"{row.batch_size:,}", format_number(seconds), format_number(margin.factor * seconds), words]
        cells.append(format_number(row.state.pages_per_second))
        if limits.pages_per_second is not None:
            cells += [f"{card.num_cards:,}", _format_dollars(card.usd_per_day)]
        rows.append(tuple(cells))
    return Table(headers=tuple(headers), rows=tuple(rows), text_columns=0)


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
    items = find_names(plan).items
    headers = ("with", f"{items} that fit", "more", f"{items}/s ({_kind(plan.chosen)})", "more ", "cards")
    return Table(headers=headers, rows=rows)


def memory_table(plan: Plan) -> Table:
    """Return the arithmetic of the memory, exact."""
    rows = [(term.words, f"{term.num_bytes:,}", f"{term.num_bytes / 2**30:.3f}") for term in plan.fit.terms]
    rows.append(("free", f"{plan.fit.free_bytes:,}", f"{plan.fit.free_bytes / 2**30:.3f}"))
    return Table(headers=("memory (exact)", "bytes", "GiB"), rows=tuple(rows))


def simulation_table(plan: Plan) -> Table | None:
    """Return what was simulated, if anything was."""
    if plan.under_load is None:
        return None
    found = plan.under_load.simulation
    headers = (f"simulated ({_kind(plan.chosen)})", "mean", "p50", "p90", "p95", "p99", "max")
    rows = tuple(
        (words, *(format_number(values[name]) for name in headers[1:]))
        for words, values in (
            (f"seconds of a {find_names(plan).item}", found.latency),
            ("at least, as it takes alone (bound)", found.bound_latency),
            ("seconds until it starts, at least 0", found.waiting),
        )
    )
    return Table(headers=headers, rows=rows)


def _list_card(card: CardPlan, num_columns: int) -> tuple[str, ...]:
    setup, row = card.setup, card.chosen
    head = (setup.card.hardware_id, setup.mode, card.binds if card.largest_batch else "memory: none fits")
    if row is None:
        return (*head, f"{card.largest_batch:,} fit", *(NOTHING,) * (num_columns - len(head) - 1))
    cells = [*head, f"{row.batch_size:,}", format_number(row.state.pages_per_second)]
    is_estimated = setup.calibration is not None
    if is_estimated:
        cells.append(format_number(row.state.bound_pages_per_second))
    cells.append(format_number(row.latency[LATENCY_PERCENTILE]))
    if setup.limits.pages_per_second is not None:
        cells += [f"{card.num_cards:,}", *([f"{card.bound_num_cards:,}"] if is_estimated else [])]
        cells += [_format_dollars(card.usd_per_day), _format_dollars(card.usd_per_million_pages)]
    return (*cells, _format_dollars(row.usd_per_million_pages))


def _list_batch(card: CardPlan, row: BatchRow) -> tuple[str, ...]:
    cells = [f"{row.batch_size:,}", f"{row.memory_bytes / 2**30:.2f}"]
    latency, least = row.latency[LATENCY_PERCENTILE], row.bound_latency[LATENCY_PERCENTILE]
    for value, bound in (
        (1000 * row.state.step.seconds, 1000 * row.state.step.bound_seconds),
        (row.state.pages_per_second, row.state.bound_pages_per_second),
        (latency, least),
    ):
        cells += [format_number(value), *([] if card.setup.calibration is None else [format_number(bound)])]
    return (*cells, _format_dollars(row.usd_per_million_pages), "chosen" if row is card.chosen else "")


def _format_dollars(value: float | None) -> str:
    return NOTHING if value is None else format_number(value, 4)


def find_names(plan: Plan) -> Serving:
    """Return the words for what is served."""
    return plan.chosen.setup.mix.model.serving


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
