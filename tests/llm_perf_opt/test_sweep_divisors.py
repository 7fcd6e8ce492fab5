"""Sweeps over sizes that have to divide others, such as the pages that share a call of the vision towers."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import deepseek_ocr_costs as costs
from llm_perf_opt.sweep import Sweep, compute_blocks
from llm_perf_opt.sweep.divisors import check_divisors
from modelmeter.support.errors import WorkloadError


def of(*values: int) -> list[range]:
    return [range(value, value + 1) for value in values]


@pytest.mark.parametrize(
    ("batch_sizes", "vision_batch_sizes", "wrong"),
    [
        (of(6), of(1, 2, 3, 6), None),
        (of(6), of(1, 4), 4),
        (of(4, 6), of(1, 2), None),
        (of(4, 6), of(4), 4),
        # The ends of the range are multiples of 4, and so is every step; in the second one only the ends are.
        ([range(4, 41, 12)], of(4), None),
        ([range(4, 29, 6)], of(4), 4),
        ([range(40, 3, -12)], of(4), None),
        ([range(8, 9, 3)], of(8), None),
        (of(12), [range(1, 5)], None),
        (of(12), [range(1, 6)], 5),
        # 720,720 is divided by all numbers up to 16.
        (of(720_720), [range(1, 2**62)], 17),
        # A stage without either has nothing to check, and what is wrong with 0 is said elsewhere.
        ([], [], None),
        (of(6), of(0), None),
    ],
)
def test_every_call_is_full(batch_sizes: list[range], vision_batch_sizes: list[range], wrong: int | None) -> None:
    if wrong is None:
        check_divisors("vision_batch_size", vision_batch_sizes, "batch_size", batch_sizes, 1)
    else:
        with pytest.raises(
            WorkloadError, match=rf"^vision_batch_size: .* every batch_size on the grid; found {wrong}$"
        ):
            check_divisors("vision_batch_size", vision_batch_sizes, "batch_size", batch_sizes, 1)


def test_even_multiples_of_all_values() -> None:
    """28 and 42 are multiples of 2 x 7, but not of 2 x 3."""
    check_divisors("num_heads", of(7), "hidden_size", of(28, 42), 2)
    with pytest.raises(WorkloadError, match=r"^num_heads: .* so that 2 times it divides every hidden_size .* found 3$"):
        check_divisors("num_heads", of(7, 3), "hidden_size", of(28, 42), 2)


@pytest.mark.parametrize("stage", ["vision", "projector", "request", "training_step"])
def test_rows_are_what_the_scalar_evaluators_say(stage: str) -> None:
    axes = {"batch_size": [12, 4], "vision_batch_size": [4, 1, 2], "base_size": [333, 1024]}
    peaks = () if stage == "training_step" else ("peak_activation_bytes",)
    sweep = Sweep.over(stage, axes, metrics=(*costs.Cost._fields, *peaks))
    blocks = list(compute_blocks(sweep, 7))
    rows = list(zip(*(np.concatenate([block[name] for block in blocks]).tolist() for name in blocks[0]), strict=True))
    points = list(itertools.product(*axes.values()))
    expected = []
    for point in points:
        sizes = dict(zip(axes, point, strict=True))
        cost = getattr(costs, stage)(**sizes)
        peak = [getattr(costs, f"{stage}_peak_activation_bytes")(**sizes) for _ in peaks]
        expected.append((*point, *cost, *peak))
    assert rows == expected
    for place, metric in enumerate(sweep.metrics, start=len(axes)):
        assert sweep.largest[metric] >= max(row[place] for row in rows)


def test_the_largest_value_is_looked_for_in_every_call() -> None:
    """Weights are read once a call: 8 pages in one call read the fewest, 8 calls of one the most."""
    one, eight = (costs.vision(batch_size=8, vision_batch_size=calls).io_bytes for calls in (1, 8))
    assert one > eight
    for calls in ([1, 8], [8, 4, 1]):
        sweep = Sweep.over("vision", {"vision_batch_size": calls}, fixed={"batch_size": 8}, metrics=["io_bytes"])
        assert sweep.largest["io_bytes"] >= one


@pytest.mark.parametrize(
    ("axes", "fixed"),
    [
        ({"batch_size": [4, 5, 8], "vision_batch_size": [4]}, {}),
        ({"batch_size": [4, 5, 8]}, {"vision_batch_size": 4}),
        ({"vision_batch_size": [1, 4]}, {"batch_size": 6}),
        ({"vision_batch_size": [1, 4]}, {}),
    ],
)
def test_what_does_not_fill_its_calls_is_refused_at_the_start(
    axes: dict[str, list[int]], fixed: dict[str, int | str]
) -> None:
    with pytest.raises(
        WorkloadError, match=r"^vision_batch_size: .* a divisor of every batch_size on the grid; found 4$"
    ):
        Sweep.over("vision", axes, fixed=fixed)
