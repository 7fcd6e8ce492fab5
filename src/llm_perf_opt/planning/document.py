"""A plan as plain data: every number says whether it is exact, a bound or calibrated, with the bound beside it."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from llm_perf_opt.data.rationals import Rational
from llm_perf_opt.planning.changes import Change
from llm_perf_opt.planning.cutting import Cutting
from llm_perf_opt.planning.evaluation import simplify
from llm_perf_opt.planning.mix import PageMix
from llm_perf_opt.planning.notes import find_length_note
from llm_perf_opt.planning.plan import Plan
from llm_perf_opt.planning.search import BatchRow, CardPlan
from llm_perf_opt.planning.setup import LATENCY_PERCENTILE, Setup
from llm_perf_opt.planning.under_load import LoadCheck

Document = dict[str, Any]


def to_document(plan: Plan) -> Document:
    """Return a plan as what JSON can hold."""
    setup = plan.chosen.setup
    return {
        "model": setup.mix.model.model,
        "pages": describe_mix(setup.mix, setup.mode) | describe_cutting(setup.cutting),
        "limits": {
            "pages_per_second": setup.limits.pages_per_second,
            "max_latency_seconds": setup.limits.max_latency_seconds,
            "headroom": setup.limits.headroom,
        },
        "storage": {name: write_rational(bits) for name, bits in setup.mix.model.bits.items()},
        "dtype": setup.dtype,
        "chosen": {"card": setup.card.hardware_id, "mode": setup.mode},
        "cards": [describe_card(card) for card in plan.cards],
        "left_out": dict(plan.left_out),
        "waits": {name: bound(part) for name, part in plan.waits.items()},
        "changes": [_describe_change(change, setup) for change in plan.changes],
        "memory": {
            "terms": [{"words": term.words, "bytes": exact(term.num_bytes)} for term in plan.fit.terms],
            "free_bytes": exact(plan.fit.free_bytes),
            "cache_blocks": exact(plan.fit.blocks),
            "cache_tokens": exact(plan.fit.cache_tokens),
            "cache_tokens_at_start": exact(setup.memory.cache_tokens),
        },
        "settings": {
            each.engine: {"options": dict(each.options), "command": each.command, "notes": list(each.notes)}
            for each in plan.settings
        },
        "simulation": None if plan.under_load is None else _describe_simulation(plan.under_load, setup),
        "recommended_batch_size": None if plan.recommended.chosen is None else plan.recommended.chosen.batch_size,
        "notes": list(filter(None, [find_length_note(setup.mix)])),
        "margin": None
        if plan.margin is None
        else {
            "times_longer": plan.margin.factor,
            "num_cards": plan.margin.num_cards,
            "batch_size": plan.margin.batch_size,
            "p95_seconds_of_the_chosen_batch": plan.margin.p95_seconds,
            "keeps_limit": not plan.margin.is_broken,
            "usd_per_day": plan.margin.safe.usd_per_day,
        },
    }


def exact(value: Rational) -> Document:
    """Return a number that was counted."""
    return {"value": write_rational(value), "provenance": "exact"}


def bound(value: float) -> Document:
    """Return a number that no card passes."""
    return {"value": value, "provenance": "bound"}


def write_rational(value: Rational) -> int | str:
    """Return an integer, or a fraction as text."""
    return str(value) if isinstance(value, Fraction) else value


def estimated(value: float | None, limit: float | None, setup: Setup) -> Document | None:
    """Return a number that hangs on times, with its bound beside it; None where there is none."""
    if value is None:
        return None
    timing = setup.timing
    document: Document = {"value": value, "provenance": timing.provenance, "bound": limit}
    if timing.calibration is not None:
        document |= {"calibration": timing.calibration.name, "relative_error": timing.relative_error}
    return document


def describe_mix(mix: PageMix, mode: str) -> Document:
    """Return how many pages there are, their work, and percentiles of a page."""
    return {
        "mode": mode,
        "num_pages": exact(mix.num_pages),
        "totals": {name: exact(value) for name, value in mix.totals.items()},
        "of_a_page": {
            name: {which: exact(value) for which, value in values.items()}
            for name, values in mix.list_amounts().items()
        },
        "mean_context_of_a_step": exact(mix.mean_context),
    }


def describe_cutting(cutting: Cutting | None) -> Document:
    """Return where the pages are from, and by which program they were cut."""
    if cutting is None:
        return {}
    return {
        "source": cutting.source,
        "preprocessing": cutting.preprocessing,
        "preprocessing_is_chosen": cutting.is_chosen,
        "pages_cut_otherwise": {program: exact(count) for program, count in cutting.cut_otherwise.items()},
    }


def describe_card(plan: CardPlan) -> Document:
    """Return what one card does in one mode."""
    setup, price = plan.setup, plan.setup.price
    rows = [describe_row(row, setup) for row in plan.rows]
    return {
        "card": setup.card.hardware_id,
        "name": setup.card.name,
        "mode": setup.mode,
        "cards_per_model": setup.cards_per_model,
        "weight_bytes_of_a_card": exact(setup.memory.weight_bytes),
        "cache_bytes_of_a_token_on_a_card": exact(simplify(setup.memory.token_bytes)),
        "sent_bytes_of_a_step": [
            {
                "batch_size": row.batch_size,
                **exact(simplify(setup.steady_state.list_step_work(row.batch_size).sent_bytes)),
            }
            for row in plan.rows
            if setup.cards_per_model > 1
        ],
        "largest_batch": exact(plan.largest_batch),
        "binds": plan.binds,
        "batch_size": None if plan.chosen is None else plan.chosen.batch_size,
        "num_cards": None if plan.chosen is None else estimated(plan.num_cards, plan.bound_num_cards, setup),
        "usd_per_day": estimated(plan.usd_per_day, plan.bound_usd_per_day, setup),
        "usd_per_million_pages_at_the_load": None
        if setup.limits.pages_per_second is None
        else estimated(plan.usd_per_million_pages, plan.bound_usd_per_million_pages, setup),
        "price": None
        if price is None
        else {"usd_per_hour": price.usd_per_hour, "source": price.source, "date": price.date},
        "host_seconds_per_page": estimated(setup.steady_state.mean_host_seconds, 0.0, setup),
        "host_seconds_per_request": estimated(setup.timing.request_host_seconds, 0.0, setup),
        "batches": rows,
    }


def describe_row(row: BatchRow, setup: Setup) -> Document:
    """Return a card at one number of pages in flight."""
    state = row.state
    return {
        "batch_size": row.batch_size,
        "memory_bytes": exact(row.memory_bytes),
        "pages_per_second": estimated(state.pages_per_second, state.bound_pages_per_second, setup),
        "step_seconds": estimated(state.step.seconds, state.step.bound_seconds, setup),
        "page_seconds": estimated(state.page.seconds, state.page.bound_seconds, setup),
        "latency_seconds": {
            name: estimated(seconds, row.bound_latency[name], setup) for name, seconds in row.latency.items()
        },
        "usd_per_million_pages_full": estimated(row.usd_per_million_pages, row.bound_usd_per_million_pages, setup),
    }


def _describe_change(change: Change, setup: Setup) -> Document:
    return {
        "change": change.words,
        "kind": change.kind,
        "largest_batch": exact(change.largest_batch),
        "gained_batch": exact(change.gained_batch),
        "pages_per_second": estimated(change.pages_per_second, change.bound_pages_per_second, setup),
        "gained_pages_per_second": estimated(
            change.gained_pages_per_second, change.bound_gained_pages_per_second, setup
        ),
        "num_cards": estimated(change.num_cards, change.bound_num_cards, setup),
    }


def _describe_simulation(check: LoadCheck, setup: Setup) -> Document:
    simulation, load = check.simulation, check.simulation.load

    def mark(values: Mapping[str, float], limits: Mapping[str, float]) -> Document:
        return {name: estimated(value, limits[name], setup) for name, value in values.items()}

    return {
        "arrivals": {
            "pages_per_second_of_a_card": load.pages_per_second, "burstiness": load.burstiness,
            "num_pages": load.num_pages, "seed": load.seed,
        },
        "batch_size": simulation.batch_size,
        "pages_per_second": estimated(simulation.pages_per_second, simulation.bound_pages_per_second, setup),
        "mean_batch": estimated(simulation.mean_batch, float(simulation.batch_size), setup),
        "latency_seconds": mark(simulation.latency, simulation.bound_latency),
        "keeps_limit": check.keeps_limit,
        "num_cards_that_keep_limit": check.num_cards_that_keep,
        "p95_seconds_with_these": None if check.kept_by is None else estimated(
            check.kept_by.latency[LATENCY_PERCENTILE], check.kept_by.bound_latency[LATENCY_PERCENTILE], setup
        ),
        "most_cards_tried": check.most_cards_tried,
        "waiting_seconds": mark(simulation.waiting, dict.fromkeys(simulation.waiting, 0.0)),
    }  # fmt: skip
