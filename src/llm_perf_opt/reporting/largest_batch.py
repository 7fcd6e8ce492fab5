"""How many pages fit on a card at once."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from typing import Any, Final

_MOST_CALLS: Final = 2**20


def largest_batch(sizes: Mapping[str, Any], usable_bytes: int) -> int:
    """Return the largest ``batch_size`` whose request fits: parameters, cache at the end, activations at their peak.

    Parameters
    ----------
    sizes
        What the evaluators are given; the pages fill the calls of the towers, so that ``vision_batch_size`` of them are
        the least.
    usable_bytes
        The memory that is there for it.

    Returns
    -------
    int
        0 if not even one call fits; never more than 2^20 calls.
    """
    import deepseek_ocr_costs as costs

    pages: int = sizes["vision_batch_size"]

    def count_bytes(calls: int) -> int:
        batch = {**sizes, "batch_size": calls * pages}
        request = costs.request(**batch)
        return request.weight_bytes + request.kv_cache_bytes + costs.request_peak_activation_bytes(**batch)

    # The bytes grow with the pages, so that the most that fit are found by halving.
    return pages * bisect_right(range(1, _MOST_CALLS + 1), usable_bytes, key=count_bytes)
