"""A comparison as tables and as a page."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from llm_perf_opt.comparison.compare import Comparison, ModelOnPage
from llm_perf_opt.comparison.document import to_document
from llm_perf_opt.comparison.frontier import METRICS
from llm_perf_opt.planning.time import describe_choice
from llm_perf_opt.visualize.plan_tables import NOTHING, format_number
from llm_perf_opt.visualize.table import Table

FIRST_LINE: Final = "<!-- Written by `modelmeter compare`; do not edit. -->"

LOGITS: Final = (
    "Only the last position of a prompt gets logits, as in serving engines (`logits_tokens=1`); `modelmeter eval` "
    "takes all positions by default, where a model has that size."
)
"""Why the peaks are below those of evaluators at their defaults."""

_WORK: Final = {
    "image_tokens": "image tokens", "tensor_core_flops": "tensor-core FLOPs", "cuda_core_flops": "other FLOPs",
    "io_bytes": "bytes moved", "weight_bytes": "bytes of weights", "kv_cache_bytes": "bytes of cache",
    "peak_activation_bytes": "bytes of activations at the peak",
}  # fmt: skip


def work_table(found: Comparison) -> Table:
    """Return what each model does for each page, exactly."""
    rows = tuple((row.label, _write_page(row), *(f"{row.work[name]:,}" for name in _WORK)) for row in found.rows)
    return Table(headers=("model", "page", *_WORK.values()), rows=rows, text_columns=2)


def time_table(found: Comparison) -> Table:
    """Return how long a page takes alone, and what a card serves: bounds, and estimates beside them."""
    is_estimated = found.rows[0].plan.chosen.setup.calibration is not None
    headers = ["model", "page", "s alone, at least"]
    headers += ["estimated"] if is_estimated else []
    headers += ["pages in flight", "pages/s at most"]
    headers += ["estimated "] if is_estimated else []
    headers += ["$ per million, at least"]
    headers += ["estimated  "] if is_estimated else []
    rows = tuple(tuple(_list_times(row, is_estimated=is_estimated)) for row in found.rows)
    return Table(headers=tuple(headers), rows=rows, text_columns=2)


def _list_times(row: ModelOnPage, *, is_estimated: bool) -> Iterator[str]:
    chosen, alone = row.plan.chosen.chosen, row.plan.chosen.rows[0]
    assert chosen is not None, "a plan has a batch"
    yield row.label
    yield _write_page(row)
    yield format_number(alone.bound_latency["max"])
    if is_estimated:
        yield format_number(alone.latency["max"])
    yield f"{chosen.batch_size:,}"
    yield format_number(chosen.state.bound_pages_per_second)
    if is_estimated:
        yield format_number(chosen.state.pages_per_second)
    for value in (chosen.bound_usd_per_million_pages, *([chosen.usd_per_million_pages] if is_estimated else [])):
        yield NOTHING if value is None else format_number(value, 4)


def _write_page(row: ModelOnPage) -> str:
    return f"{row.page[0]}x{row.page[1]}"


def describe_times(found: Comparison) -> str:
    """Return what the times are, and how wrong they may be: sentences."""
    setup = found.rows[0].plan.chosen.setup
    words = (
        f"Times are those of {setup.card.name} with {setup.dtype}. A bound takes every operator at the peak rates of "
        "the card, with the traffic of fused operators; a page alone, or as many in flight as fit. "
    )
    if setup.calibration is None:
        words += "There are no estimates: --engine takes what measurements say."
    else:
        words += f"Estimates are calibrated: {describe_choice(setup.calibration, setup.card)}. "
        words += "The measurements are of DeepSeek-OCR: how wrong estimates of other models are, nobody has measured."
    if setup.price is not None:
        price = setup.price
        date = "" if price.date is None else f", {price.date}"
        words += f" Dollars are those of a card that is always full, at {price.usd_per_hour:g} an hour ({price.source}"
        words += f"{date})."
    return words


FRONTIERS: Final = (
    "Frontiers are of one page alone, whose every step reads the weights again. Times take the traffic of fused "
    "operators, and dollars are those of full cards, where pages share these reads: another model can be cheaper there."
)

DOLLAR_FRONTIERS: Final = (
    "Dollars of full cards have no certificate: prices are compared at 1, 2, 4 and so on up to 16,384 text tokens, and "
    "halfway between two whose order differs, until they are neighbours. Dollars are as wrong as the times: near a "
    "border either model may be the cheaper one."
)


def list_frontiers(found: Comparison) -> Iterator[str]:
    """Yield the frontiers as sentences, page by page: each pair from the side that says more."""
    said: set[tuple[object, ...]] = set()
    for each in found.frontiers:
        pair = (each.page, each.metric, frozenset((each.cheaper, each.other)))
        if each.intervals and pair not in said:
            said.add(pair)
            yield f"{each.page[0]}x{each.page[1]}: {each.sentence}"


def list_frontier_tables(found: Comparison) -> Iterator[tuple[str, Table]]:
    """Yield, page by page and metric by metric, a title and a table: when a row's model costs less than a column's."""
    labels = [row.label for row in found.rows if row.page == found.request.pages[0]]
    for page in found.request.pages:
        for metric, words in METRICS.items():
            conditions = {
                (each.cheaper, each.other): each.condition
                for each in found.frontiers
                if (each.page, each.metric) == (page, metric)
            }
            rows = tuple((one, *(conditions.get((one, other), "") for other in labels)) for one in labels)
            title = f"{page[0]}x{page[1]}: a row {words} than a column, by text tokens"
            yield title, Table(headers=("", *labels), rows=rows, text_columns=1)


def list_dollar_tables(found: Comparison) -> Iterator[tuple[str, Table]]:
    """Yield, page by page, a title and a table: when a row's model costs fewer dollars than a column's."""
    labels = [row.label for row in found.rows if row.page == found.request.pages[0]]
    for page, kind in dict.fromkeys((each.page, each.kind) for each in found.dollar_frontiers):
        conditions = {
            pair: each.condition(pair[0])
            for each in found.dollar_frontiers
            if (each.page, each.kind) == (page, kind)
            for pair in ((each.one, each.other), (each.other, each.one))
        }
        rows = tuple((one, *(conditions.get((one, other), "") for other in labels)) for one in labels)
        by = "by the bound" if kind == "bound" else "as estimated"
        title = f"{page[0]}x{page[1]}: a row costs fewer dollars than a column on full cards, {by}, by text tokens"
        yield title, Table(headers=("", *labels), rows=rows, text_columns=1)


def render_page(found: Comparison) -> str:
    """Return a comparison as a page of Markdown, with the formulas of its frontiers."""
    return "\n".join([*_render_page(found), ""])


def _render_page(found: Comparison) -> Iterator[str]:
    pages = ", ".join(dict.fromkeys(map(_write_page, found.rows)))
    models = ", ".join(found.request.models)
    yield from (FIRST_LINE, "", "# Models on one page", "")
    yield (
        f"{models}, on pages of {pages} pixels with {found.request.output_tokens:,} text tokens written for each. "
        "Tokens, FLOPs and bytes are exact, of one page alone; each model sees the page as its own processor cuts it. "
        f"{LOGITS} "
        "Accuracy is no part of this: fewer tokens are cheaper, and may not be enough to read a page."
    )
    yield from ("", "## Work of a page", "", work_table(found).to_markdown())
    for note in found.notes:
        yield from ("", note)
    yield from ("", "## Time and dollars", "", describe_times(found), "", time_table(found).to_markdown())
    yield from ("", "## Frontiers", "")
    yield (
        "The numbers of text tokens for which one model costs less than another, with everything else as above. Each "
        f"is proved by a certificate, which was replayed; `comparison.json` has them. {FRONTIERS}"
    )
    for title, table in list_frontier_tables(found):
        yield from ("", f"**{title}.**", "", table.to_markdown())
    if found.dollar_frontiers:
        yield from ("", "### Dollars", "", DOLLAR_FRONTIERS)
    for title, table in list_dollar_tables(found):
        yield from ("", f"**{title}.**", "", table.to_markdown())


def render_files(found: Comparison) -> dict[str, str | bytes]:
    """Return the page and the numbers by path."""
    return {
        "README.md": render_page(found),
        "comparison.json": _write_json(to_document(found)),
    }


def _write_json(document: Mapping[str, Any]) -> str:
    """Return a document with a line for each page and for each frontier, of which there are hundreds."""
    lists = {name: value for name, value in document.items() if name in ("pages", "frontiers")}
    head = json.dumps({name: value for name, value in document.items() if name not in lists}, indent=1)
    parts = [
        f' "{name}": [\n' + ",\n".join(f"  {json.dumps(each)}" for each in value) + "\n ]"
        for name, value in lists.items()
    ]
    return head.removesuffix("\n}") + ",\n" + ",\n".join(parts) + "\n}\n"
