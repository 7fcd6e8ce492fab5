"""Sweeps over ``vision_batch_size``: the evaluators over arrays take one value of it at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from math import gcd
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from modelmeter.errors import WorkloadError

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


def evaluate_by_call(
    sizes: Mapping[str, Any], evaluate: Callable[[Mapping[str, Any]], dict[str, NDArray[Any]]]
) -> dict[str, NDArray[Any]]:
    """Return what ``evaluate`` returns for some sizes, of which ``vision_batch_size`` may be an array too.

    Parameters
    ----------
    sizes
        Numbers, and arrays that broadcast together.
    evaluate
        Returns columns for sizes of which ``vision_batch_size`` is a number.
    """
    values = np.unique(sizes.get(VISION_BATCH_SIZE, ()))
    if not len(values):
        return evaluate(sizes)
    if len(values) == 1:
        return evaluate({**sizes, VISION_BATCH_SIZE: int(values[0])})
    points = dict(zip(sizes, np.broadcast_arrays(*sizes.values()), strict=True))
    parts = []
    for value in values:
        at = points[VISION_BATCH_SIZE] == value
        here = {name: array[at] for name, array in points.items()}
        parts.append((at, evaluate({**here, VISION_BATCH_SIZE: int(value)})))
    columns = {}
    for metric in parts[0][1]:
        # Where one part is of larger numbers than int64 holds, so is the column.
        column = np.empty(at.shape, np.result_type(*(part[metric].dtype for _, part in parts)))
        for at, part in parts:
            column[at] = part[metric]
        columns[metric] = column
    return columns
