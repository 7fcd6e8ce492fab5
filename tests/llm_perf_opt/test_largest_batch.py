"""How many pages fit at once: the most that do, and one call more does not."""

from __future__ import annotations

import pytest

import deepseek_ocr_costs as costs
from llm_perf_opt.reporting.largest_batch import largest_batch

SIZES = {"base_size": 613, "image_size": 509, "num_width_tiles": 3, "num_height_tiles": 1, "seq_len": 701}


@pytest.mark.parametrize("vision_batch_size", [1, 7])
@pytest.mark.parametrize("gib", [13, 31])
def test_the_most_pages_that_fit(vision_batch_size: int, gib: int) -> None:
    sizes = {**SIZES, "vision_batch_size": vision_batch_size}
    pages = largest_batch(sizes, gib * 2**30)

    def hold(batch_size: int) -> int:
        """Count parameters, cache and peak, each by its own evaluator."""
        batch = {**sizes, "batch_size": batch_size}
        held = costs.request_weight_bytes(**batch) + costs.request_kv_cache_bytes(**batch)
        return held + costs.request_peak_activation_bytes(**batch)

    assert pages % vision_batch_size == 0
    assert hold(pages) <= gib * 2**30 < hold(pages + vision_batch_size)


def test_none_fits() -> None:
    assert largest_batch({**SIZES, "vision_batch_size": 3}, 2**30) == 0
