"""How many pages fit on a card at once."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from typing import Any, Final

from llm_perf_opt.evaluators import load_costs
from modelmeter.model.registry import DEFAULT

_MOST_CALLS: Final = 2**20


def largest_batch(sizes: Mapping[str, Any], usable_bytes: int, *, model: str = DEFAULT) -> int:
    """Return the largest ``batch_size`` whose request fits: parameters, cache at the end, activations at their peak.

    Parameters
    ----------
    sizes
        What the evaluators are given; pages fill the calls of towers, so that ``vision_batch_size`` of them are the
        least, where a model has that size.
    usable_bytes
        The memory that is there for it.
    model
        The name of a registered model.

    Returns
    -------
    int
        0 if not even one call fits; never more than 2^20 calls.
    """
    costs = load_costs(model)
    pages: int = sizes.get("vision_batch_size", 1)

    def count_bytes(calls: int) -> int:
        batch = {**sizes, "batch_size": calls * pages}
        request = costs.request(**batch)
        peak: int = costs.request_peak_activation_bytes(**batch)
        held: int = request.weight_bytes + request.kv_cache_bytes
        return held + peak

    # The bytes grow with the pages, so that the most that fit are found by halving.
    return pages * bisect_right(range(1, _MOST_CALLS + 1), usable_bytes, key=count_bytes)
