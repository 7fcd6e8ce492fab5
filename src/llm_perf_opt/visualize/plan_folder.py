"""The files of a plan: a page, pictures, and its numbers as JSON and CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from typing import Any, Final

from llm_perf_opt.planning.document import to_document
from llm_perf_opt.planning.plan import Plan
from llm_perf_opt.planning.search import CardPlan
from llm_perf_opt.planning.setup import LATENCY_PERCENTILE
from llm_perf_opt.visualize import plan_question, plan_sentences, plan_tables
from modelmeter.support.errors import OutputError

PAGE: Final = "plan.md"
PICTURES: Final = {
    "throughput": "Throughput against latency; dotted: bounds",
    "cost": "Cost against {items} in flight; dotted: bounds",
}

_STYLE: Final[Any] = {
    "svg.hashsalt": "modelmeter", "svg.fonttype": "path", "font.size": 9, "axes.grid": True, "grid.alpha": 0.3,
    "figure.dpi": 100, "savefig.dpi": 200,
}  # fmt: skip
_LINE: Final[Any] = {"markersize": 3.5, "linewidth": 1.2}
_COLOURS: Final = ("#000000", "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00")
"""Told apart by people who see colours differently, too (Okabe and Ito, 2008)."""

_MARKERS: Final = "osD^vP"
MOST_DRAWN: Final = len(_COLOURS)
"""More lines than these are not told apart."""


def check_extras() -> None:
    """Refuse to begin where the package for pictures is missing.

    Raises
    ------
    OutputError
        If it is.
    """
    try:
        import matplotlib  # noqa: F401  # only whether it is there
    except ModuleNotFoundError as error:
        raise OutputError(
            "the pictures of plans need matplotlib", found=str(error), remedy="pip install 'modelmeter[plot]'"
        ) from None


def render_files(plan: Plan, options: Sequence[tuple[str, str]] = ()) -> dict[str, str | bytes]:
    """Return the page, the pictures and the numbers by path below a folder; the same bytes on every run.

    Parameters
    ----------
    plan
        The plan.
    options
        What was given on the command line, by name, for the page.
    """
    files: dict[str, str | bytes] = {
        PAGE: render_page(plan, options),
        "plan.json": json.dumps(to_document(plan), indent=1, ensure_ascii=False) + "\n",
        "batches.csv": _write_batches(plan),
    }
    for name, content in _draw(plan):
        files[name] = content
    return files


def render_page(plan: Plan, options: Sequence[tuple[str, str]] = ()) -> str:
    """Return the plan as Markdown."""
    mix, names = plan.chosen.setup.mix, plan.chosen.setup.mix.model.serving
    prices = plan_question.price_table(plan)
    parts = [
        "# Plan",
        plan_question.answer_table(plan).to_markdown(),
        plan_sentences.describe_choice_of_card(plan),
        *(() if (beside := plan_tables.margin_table(plan)) is None else (beside.to_markdown(),)),
        plan_sentences.describe_waits(plan),
        plan_sentences.describe_times(plan),
        *filter(None, (each(plan) for each in plan_sentences.NOTES)),
        "## What was asked for",
        plan_question.question_table(plan, options).to_markdown(),
        f"## {names.items.capitalize()}",
        f"{names.count_items(mix.num_pages)}, each as it costs alone:",
        plan_tables.pages_table(plan).to_markdown(),
        "## Cards",
        plan_tables.cards_table(plan).to_markdown(),
        *(f"{card} is left out: {reason}." for card, reason in plan.left_out.items()),
        *(["Prices:", prices.to_markdown()] if prices.rows else []),
        f"## {names.items.capitalize()} in flight",
        f"On the {plan.chosen.setup.card.name}:",
        plan_tables.batches_table(plan.chosen).to_markdown(),
        *(
            f"![{words.format(items=names.items)}](pictures/{name}.svg)"
            for name, words in PICTURES.items()
            if _has_picture(plan, name)
        ),
        "## What would help",
        plan_tables.changes_table(plan).to_markdown(),
    ]
    if (simulated := plan_tables.simulation_table(plan)) is not None:
        parts += ["## Under load", simulated.to_markdown()]
    parts += ["## Memory and settings" if plan.settings else "## Memory", plan_tables.memory_table(plan).to_markdown()]
    for each in plan.settings:
        parts += [f"{each.engine}:", f"```bash\n{each.snippet}\n```"]
    return "\n\n".join(parts) + "\n"


def _write_batches(plan: Plan) -> str:
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(
        ["card", "mode", "batch_size", "memory_bytes", "provenance", "pages_per_second", "bound_pages_per_second",
         "step_seconds", "bound_step_seconds", f"{LATENCY_PERCENTILE}_seconds", f"bound_{LATENCY_PERCENTILE}_seconds",
         "usd_per_million_pages_full", "bound_usd_per_million_pages_full", "is_chosen"]
    )  # fmt: skip
    for card in plan.cards:
        for row in card.rows:
            rows.writerow(
                [card.setup.card.hardware_id, card.setup.mode, row.batch_size, row.memory_bytes,
                 card.setup.timing.provenance, row.state.pages_per_second, row.state.bound_pages_per_second,
                 row.state.step.seconds, row.state.step.bound_seconds, row.latency[LATENCY_PERCENTILE],
                 row.bound_latency[LATENCY_PERCENTILE], row.usd_per_million_pages, row.bound_usd_per_million_pages,
                 str(row is card.chosen).lower()]
            )  # fmt: skip
    return text.getvalue()


def _has_picture(plan: Plan, name: str) -> bool:
    return name != "cost" or any(card.setup.price is not None and card.rows for card in plan.cards)


def _list_points(card: CardPlan, name: str, *, is_bound: bool) -> list[tuple[float, float]]:
    """Return the points of a card in a picture, as estimated or as bounds."""
    points = []
    for row in card.rows:
        latency = row.bound_latency if is_bound else row.latency
        rate = row.state.bound_pages_per_second if is_bound else row.state.pages_per_second
        dollars = row.bound_usd_per_million_pages if is_bound else row.usd_per_million_pages
        if name == "throughput":
            points.append((latency[LATENCY_PERCENTILE], rate))
        elif dollars is not None:
            points.append((float(row.batch_size), dollars))
    return points


def list_drawn(plan: Plan) -> list[CardPlan]:
    """Return the chosen card and the cheapest others, as many as a picture tells apart."""
    others = [card for card in plan.cards if card is not plan.chosen and card.chosen is not None]
    others.sort(
        key=lambda card: (card.usd_per_million_pages is None, card.usd_per_million_pages or 0.0, card.num_cards)
    )
    return [plan.chosen, *others[: MOST_DRAWN - 1]]


def _mark_question(axes: Any, plan: Plan, name: str) -> None:
    """Draw the limit, the load of a card, and the chosen point."""
    setup, row = plan.chosen.setup, plan_sentences.find_row(plan.chosen)
    limits, line = setup.limits, {"color": "#555555", "linewidth": 1, "linestyle": "--"}
    if name == "throughput" and limits.max_latency_seconds is not None:
        axes.axvline(limits.max_latency_seconds, label=f"limit: {limits.max_latency_seconds:g} s", **line)
    if name == "throughput" and limits.pages_per_second is not None:
        part = limits.pages_per_second * setup.cards_per_model / plan.chosen.num_cards
        axes.axhline(part, label=f"load of each of {plan.chosen.num_cards:,} chosen", **{**line, "linestyle": "-."})
    place = (row.latency[LATENCY_PERCENTILE], row.state.pages_per_second)
    if name == "cost":
        if row.usd_per_million_pages is None:
            return
        place = (float(row.batch_size), row.usd_per_million_pages)
    axes.plot(*place, label="chosen", marker="*", markersize=13, color="#f0e442", markeredgecolor="black", linestyle="")


def _draw(plan: Plan) -> Iterator[tuple[str, bytes]]:
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    names = plan.chosen.setup.mix.model.serving
    for name, title in PICTURES.items():
        if not _has_picture(plan, name):
            continue
        with matplotlib.rc_context(_STYLE):
            figure = Figure(figsize=(6.3, 4.2), layout="constrained")
            FigureCanvasAgg(figure)
            axes = figure.subplots()
            for place, card in enumerate(list_drawn(plan)):
                colour, marker = _COLOURS[place], _MARKERS[place]
                points, bounds = (_list_points(card, name, is_bound=is_bound) for is_bound in (False, True))
                if points:
                    label = f"{card.setup.card.hardware_id}, {card.setup.mode}"
                    axes.plot(*zip(*points, strict=True), label=label, color=colour, marker=marker, **_LINE)
                if points != bounds:
                    axes.plot(*zip(*bounds, strict=True), color=colour, linestyle=":", linewidth=1)
            _mark_question(axes, plan, name)
            for axis, scale in ((axes.xaxis, axes.set_xscale), (axes.yaxis, axes.set_yscale)):
                scale("log")
                axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
                axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
                axis.set_minor_formatter(NullFormatter())
            axes.set_xlabel(
                f"seconds of a {names.item}, {LATENCY_PERCENTILE}"
                if name == "throughput"
                else f"{names.items} in flight"
            )
            axes.set_ylabel(
                f"{names.items} a second on one card"
                if name == "throughput"
                else f"$ per million {names.items}, full cards"
            )
            axes.set_title(title.format(items=names.items), fontsize=10)
            figure.legend(loc="outside lower center", ncols=3, fontsize=7)
            for suffix, metadata in (("svg", {"Date": None, "Creator": "modelmeter plan"}),
                                     ("png", {"Software": "modelmeter plan"})):  # fmt: skip
                buffer = io.BytesIO()
                figure.savefig(buffer, format=suffix, metadata=metadata)
                yield f"pictures/{name}.{suffix}", buffer.getvalue()
