"""Which model costs fewer dollars over the output: the search against prices by hand, and plans on both sides."""

from __future__ import annotations

import json

from attrs import evolve
from typer.testing import CliRunner

from llm_perf_opt.cli import app
from llm_perf_opt.comparison.compare import ComparisonRequest, compare_models
from llm_perf_opt.comparison.dollars import OUTPUTS, DollarFrontier, Span, find_dollar_frontiers, find_spans
from llm_perf_opt.planning.request import PlanRequest, plan_request
from llm_perf_opt.visualize.comparison_page import list_dollar_tables

PAGE = (1654, 2339)


def test_the_border_is_found_to_the_token() -> None:
    # 7 n + 1000 < 10 n + 13 where 3 n > 987, n > 329.
    spans = find_spans("steep", lambda n: 10 * n + 13, "flat", lambda n: 7 * n + 1000, OUTPUTS)
    assert spans == (
        Span(first=1, last=328, cheaper="steep"),
        Span(first=329, last=329, cheaper=""),
        Span(first=330, last=16384, cheaper="flat"),
    )


def test_several_borders_are_found() -> None:
    # n^2 + 10000 < 250 n between the roots of n^2 - 250 n + 10000, 50 and 200.
    spans = find_spans("line", lambda n: 250 * n, "square", lambda n: n * n + 10000, OUTPUTS)
    assert [(span.first, span.last, span.cheaper) for span in spans] == [
        (1, 49, "line"),
        (50, 50, ""),
        (51, 199, "square"),
        (200, 200, ""),
        (201, 16384, "line"),
    ]


def test_what_is_said_of_a_frontier() -> None:
    spans = (Span(first=1, last=328, cheaper="a"), Span(first=329, last=4096, cheaper="b"))
    frontier = DollarFrontier(kind="estimate", page=PAGE, one="a", other="b", spans=spans)
    assert frontier.sentence == (
        "As estimated, a costs fewer dollars than b where text tokens < 329; b costs fewer dollars than a where "
        "text tokens > 328 (on full cards, up to 4,096 tokens; looked for, not proved)."
    )
    assert (frontier.condition("a"), frontier.condition("b")) == ("< 329", "> 328")
    always = evolve(frontier, spans=(Span(first=1, last=4096, cheaper="b"),))
    assert (always.condition("a"), always.condition("b")) == ("never", "always")


def test_plans_on_both_sides_of_a_border_say_the_same() -> None:
    """A page in more tokens costs more where little is written, and less where much is, if its cache is of 4 bits."""
    narrow = {"weight_bits": "4", "activation_bits": None, "kv_bits": "4"}
    plan = PlanRequest(cards=("l4",), engine="graphs", page=PAGE, output_tokens=100)
    requests = {"tiny": evolve(plan, modes=("tiny",)), "narrow": evolve(plan, modes=("large",), bits=narrow)}
    setups = [(label, plan_request(request).chosen.setup) for label, request in requests.items()]
    found = list(find_dollar_frontiers(PAGE, setups))
    assert [each.kind for each in found] == ["bound", "estimate"]
    for frontier in found:
        assert [span.cheaper for span in frontier.spans] == ["tiny", "narrow"]
        assert (frontier.spans[0].first, frontier.spans[-1].last) == (1, OUTPUTS[-1])
        assert frontier.spans[0].last + 1 == frontier.spans[1].first
        for span in frontier.spans:
            for tokens in (span.first, span.last):
                prices = {}
                for label, request in requests.items():
                    row = plan_request(evolve(request, output_tokens=tokens)).chosen.chosen
                    assert row is not None
                    dollars = row.bound_usd_per_million_pages if frontier.kind == "bound" else row.usd_per_million_pages
                    assert dollars is not None
                    prices[label] = dollars
                assert min(prices, key=lambda label: prices[label]) == span.cheaper


def test_the_command_prints_and_writes_them() -> None:
    arguments = ["compare", "deepseek-ocr@base", "deepseek-ocr@small", "--page", "1654x2339"]
    text = CliRunner().invoke(app, arguments, catch_exceptions=False).output
    assert "By the bound, deepseek-ocr@small costs fewer dollars than deepseek-ocr@base at every output looked at" in (
        " ".join(text.split())
    )
    document = json.loads(CliRunner().invoke(app, [*arguments, "--json"], catch_exceptions=False).output)
    (frontier,) = document["dollar_frontiers"]  # there is no estimate without an engine
    assert frontier["models"] == ["deepseek-ocr@base", "deepseek-ocr@small"]
    assert frontier["cheaper"] == [{"output_tokens": [1, 16384], "model": "deepseek-ocr@small"}]


def test_there_are_none_without_a_price() -> None:
    plan = PlanRequest(cards=("apple-m1-max",))
    models = ("deepseek-ocr@base", "deepseek-ocr@small")
    found = compare_models(ComparisonRequest(models=models, pages=(PAGE,), output_tokens=100, plan=plan))
    assert found.rows[0].plan.chosen.setup.price is None
    assert found.dollar_frontiers == ()
    assert list(list_dollar_tables(found)) == []
