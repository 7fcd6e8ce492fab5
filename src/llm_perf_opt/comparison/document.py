"""A comparison as plain data: every number says whether it is exact, a bound or calibrated."""

from __future__ import annotations

from typing import Any

from llm_perf_opt.comparison.compare import Comparison, ModelOnPage
from llm_perf_opt.comparison.dollars import DollarFrontier
from llm_perf_opt.comparison.frontier import Frontier
from llm_perf_opt.planning.document import estimated, exact, write_rational


def to_document(found: Comparison) -> dict[str, Any]:
    """Return a comparison as what JSON can hold."""
    first = found.rows[0].plan.chosen.setup
    return {
        "models": list(found.request.models),
        "output_tokens": found.request.output_tokens,
        "card": first.card.hardware_id,
        "dtype": first.dtype,
        "storage": {name: write_rational(bits) for name, bits in first.mix.model.bits.items()},
        "price": None
        if first.price is None
        else {"usd_per_hour": first.price.usd_per_hour, "source": first.price.source, "date": first.price.date},
        "pages": [_describe_row(row) for row in found.rows],
        **({"notes": found.notes} if found.notes else {}),
        "frontiers": [_describe_frontier(each) for each in found.frontiers],
        "dollar_frontiers": [_describe_dollars(each) for each in found.dollar_frontiers],
    }


def _describe_row(row: ModelOnPage) -> dict[str, Any]:
    setup, chosen = row.plan.chosen.setup, row.plan.chosen.chosen
    assert chosen is not None, "a plan has a batch"
    alone = row.plan.chosen.rows[0]
    return {
        "model": row.label,
        "mode": setup.mode,
        "page": {"width": row.page[0], "height": row.page[1]},
        "sizes": dict(row.page_class.views),
        "work": {name: exact(value) for name, value in row.work.items()},
        "seconds_alone": estimated(alone.latency["max"], alone.bound_latency["max"], setup),
        "pages_in_flight": chosen.batch_size,
        "pages_per_second": estimated(chosen.state.pages_per_second, chosen.state.bound_pages_per_second, setup),
        "usd_per_million_pages": estimated(
            chosen.usd_per_million_pages, chosen.bound_usd_per_million_pages, setup
        ),
    }  # fmt: skip


def _describe_frontier(each: Frontier) -> dict[str, Any]:
    return {
        "metric": each.metric,
        "page": {"width": each.page[0], "height": each.page[1]},
        "cheaper": each.cheaper,
        "other": each.other,
        "output_tokens": [list(interval) for interval in each.intervals],
        "holds_for": [each.first, each.last],
        "sentence": each.sentence,
        "statement": each.statement.to_json(),
    }


def _describe_dollars(each: DollarFrontier) -> dict[str, Any]:
    return {
        "kind": each.kind,
        "page": {"width": each.page[0], "height": each.page[1]},
        "models": [each.one, each.other],
        "cheaper": [{"output_tokens": [span.first, span.last], "model": span.cheaper or None} for span in each.spans],
        "sentence": each.sentence,
    }
