"""Sweeps over ``vision_batch_size``: whether its values fit every batch, before anything is computed."""

from __future__ import annotations

from collections.abc import Iterable
from math import gcd
from typing import Final

from modelmeter.support.errors import WorkloadError

VISION_BATCH_SIZE: Final = "vision_batch_size"


def check_calls(batch_sizes: Iterable[range], vision_batch_sizes: Iterable[range]) -> None:
    """Check that every number of pages in a call of the towers divides every number of pages in a batch.

    It takes no longer for a longer range: the first value that does not divide them all ends it.

    Raises
    ------
    WorkloadError
        If one does not.
    """
    common = gcd(*(number for sizes in batch_sizes for number in (sizes[0], sizes[-1] - sizes[0] and sizes.step)))
    for sizes in vision_batch_sizes:
        for size in sizes:
            # The evaluators say what is wrong with 0.
            if size and common % size:
                raise WorkloadError(
                    "the pages do not fill the calls of the vision towers", place=VISION_BATCH_SIZE,
                    expected="a divisor of every batch_size on the grid", found=size,
                )  # fmt: skip
