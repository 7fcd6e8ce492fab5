"""Percentiles of latencies against the list of all pages, sorted: of many prompts and of many lengths of output."""

from __future__ import annotations

import random
from itertools import accumulate

import pytest

from llm_perf_opt.planning.page_classes import PageClass, PromptGroup
from llm_perf_opt.planning.spread import LatencySpread

PAGE = PageClass(views=(), image_tokens=0, seq_len=9, logits_tokens=1, output_tokens=3, count=1)


@pytest.mark.parametrize(("prompts", "lengths"), [(1, 1), (400, 1), (50, 7), (3, 64), (3, 65), (2, 900)])
def test_a_percentile_is_the_time_of_the_page_of_that_rank(prompts: int, lengths: int) -> None:
    chance = random.Random(prompts + lengths)
    groups, offsets, pages = [], [], []
    for _ in range(prompts):
        steps = sorted(chance.sample(range(1, 1000), lengths))
        counts = [chance.randint(1, 4) for _ in steps]
        groups.append(PromptGroup(page=PAGE, steps=tuple(steps), cumulative=tuple(accumulate(counts))))
        offsets.append(chance.choice([0.5, 1.25, chance.random()]))  # some are the same
        pages += [offsets[-1] + 0.25 * step for step, count in zip(steps, counts, strict=True) for _ in range(count)]
    spread = LatencySpread(prompts=tuple(groups), offsets=tuple(offsets), slope=0.25)
    pages.sort()
    assert spread.num_pages == len(pages)
    for percent in (1, 37, 50, 95, 99, 100):
        rank = -(-percent * len(pages) // 100)
        assert spread.find_rank(percent) == pages[rank - 1]
