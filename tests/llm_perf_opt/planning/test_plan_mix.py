"""Sums and percentiles of a mix are those of its pages one by one, to the digit."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from planned import BITS, draw_pages, make_pages_mix

import deepseek_ocr_costs as costs
from llm_perf_opt.errors import RecordError
from llm_perf_opt.planning.evaluation import ServedModel
from llm_perf_opt.planning.mix import FLOWS, PageMix, make_mix, rank_values
from llm_perf_opt.planning.pages import Page, PageClasses
from modelmeter.frontend.page_sizes import page_sizes

PAGES = draw_pages(500, 3)
PROMPT = 10


def evaluate_page(page: Page, *, all_logits: bool = False, **bits: Any) -> dict[str, int]:
    """What a page costs alone, from its pixels, without anything of planning."""
    sizes = page_sizes(page.width, page.height, preprocessing="serving")
    sizes |= {"prompt_tokens": PROMPT, "max_new_tokens": page.output_tokens}
    if not all_logits:
        sizes["logits_tokens"] = 1
    cost = costs.request(**sizes, **bits)._asdict()
    return {**cost, "fused_io_bytes": costs.request_fused_io_bytes(**sizes, **bits)}


@pytest.mark.parametrize("all_logits", [False, True])
@pytest.mark.parametrize("bits", [{}, {"weight_bits": 8, "kv_bits": 8}, {"weight_bits": Fraction(9, 2)}])
def test_500_mixed_pages_are_their_sum_to_the_digit(all_logits: bool, bits: dict[str, Any]) -> None:
    mix = make_pages_mix(PAGES, all_logits=all_logits, **bits)
    alone = [(page.num_pages, evaluate_page(page, all_logits=all_logits, **bits)) for page in PAGES]
    assert mix.totals == {name: sum(count * cost[name] for count, cost in alone) for name in FLOWS}
    assert mix.num_pages == sum(page.num_pages for page in PAGES)


def test_many_outputs_of_one_page_are_interpolated_exactly() -> None:
    pages = [Page(1191, 1684, output_tokens, output_tokens % 5 + 1) for output_tokens in range(1, 801)]
    mix = make_pages_mix(pages)
    assert len(mix.classes) == 800
    expected = [(page.num_pages, evaluate_page(page)) for page in pages]
    assert mix.totals == {name: sum(count * cost[name] for count, cost in expected) for name in FLOWS}


def test_steps_and_contexts_are_added_up_step_by_step() -> None:
    mix = make_pages_mix(PAGES)
    steps = contexts = 0
    for page in PAGES:
        length = costs.image_tokens(**page_sizes(page.width, page.height, preprocessing="serving")) + PROMPT
        for step in range(page.output_tokens - 1):
            steps += page.num_pages
            contexts += page.num_pages * (length + step)
    assert (mix.num_steps, mix.mean_context) == (steps, Fraction(contexts, steps))
    assert mix.mean_steps == Fraction(steps, mix.num_pages)


def test_percentiles_are_those_of_the_sorted_pages() -> None:
    """Nearest rank: the least value that so many of the pages do not exceed."""
    mix = make_pages_mix(PAGES)
    outputs = sorted(page.output_tokens for page in PAGES for _ in range(page.num_pages))
    amounts, ranks = mix.list_amounts()["output_tokens"], rank_values((value, 1) for value in outputs)
    assert amounts["mean"] == Fraction(sum(outputs), len(outputs))
    for percent in (50, 90, 95, 99):
        expected = outputs[-(-percent * len(outputs) // 100) - 1]
        assert (amounts[f"p{percent}"], ranks[f"p{percent}"]) == (expected, expected)
    assert (amounts["max"], ranks["max"]) == (outputs[-1], outputs[-1])
    moved = sorted(evaluate_page(page)["io_bytes"] for page in PAGES for _ in range(page.num_pages))
    assert mix.list_amounts()["io_bytes"]["p95"] == moved[-(-95 * len(moved) // 100) - 1]


def test_a_page_of_one_token_needs_no_step() -> None:
    mix = make_pages_mix([Page(601, 641, 1, 7)])
    assert (mix.num_steps, mix.mean_steps, mix.mean_context) == (0, 0, mix.longest_prompt)
    assert mix.most_cached_tokens == mix.longest_prompt


def test_a_mix_without_pages_is_refused() -> None:
    with pytest.raises(RecordError, match="there are no pages"):
        make_mix(ServedModel(bits=BITS), PageClasses())
    with pytest.raises(RecordError, match="there are no pages"):
        PageMix(model=ServedModel(), classes=())
