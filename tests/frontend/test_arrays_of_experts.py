"""A mixture of experts from a folder over arrays, grids and frozen, against its evaluator of integers at every point.

Its loop over experts reads a row of the mask of all tokens for each expert: what is read of one grows with the tokens.
"""

from __future__ import annotations

import csv
import inspect
from pathlib import Path
from typing import Any

import pytest
from compiled_llama import run

np = pytest.importorskip("numpy")

PROMPTS = [2, 3, 5, 7, 11, 13, 23, 29, 97, 499, 5003]
BATCHES = [1, 2, 3, 7, 13]
STEPS = [1, 2, 17]
STAGES = ("prefill", "decode", "request")
ROUTINGS = ("uniform", "even")


def list_points(stage: str) -> list[dict[str, int]]:
    steps = [None] if stage == "prefill" else STEPS
    return [
        {"batch_size": batch, "seq_len": prompt} | ({} if step is None else {"decode_steps": step})
        for batch in BATCHES
        for prompt in PROMPTS
        for step in steps
    ]


def make_columns(points: list[dict[str, int]]) -> dict[str, Any]:
    return {name: np.array([point[name] for point in points]) for name in points[0]}


def row(cost: Any, place: int) -> tuple[int, ...]:
    return tuple(int(np.broadcast_to(metric, np.shape(cost[0]))[place]) for metric in cost)


@pytest.mark.parametrize("routing", ROUTINGS)
@pytest.mark.parametrize("stage", STAGES)
def test_arrays_are_the_evaluator_at_every_point(expert_costs: Any, stage: str, routing: str) -> None:
    points = list_points(stage)
    function = getattr(expert_costs, stage)
    expected = [tuple(function(**point, expert_routing=routing)) for point in points]
    over = getattr(expert_costs.arrays, stage)
    for choice in ({}, {"engine": "numpy", "overflow": "exact"}, {"overflow": "float64"}):
        found = over(**make_columns(points), expert_routing=routing, **choice)
        assert [row(found, place) for place in range(len(points))] == expected, choice
    for metric in ("fused_io_bytes", "peak_activation_bytes"):
        name = f"{stage}_{metric}"
        takes_routing = "expert_routing" in inspect.signature(getattr(expert_costs, name)).parameters
        more = {"expert_routing": routing} if takes_routing else {}
        found = getattr(expert_costs.arrays, name)(**make_columns(points), **more)
        assert found.tolist() == [getattr(expert_costs, name)(**point, **more) for point in points], name
    largest = expert_costs.arrays.bound(stage, **make_columns(points), expert_routing=routing)
    assert all(max(column) <= limit for column, limit in zip(zip(*expected, strict=True), largest, strict=True))


@pytest.mark.parametrize("routing", ROUTINGS)
@pytest.mark.parametrize("stage", STAGES)
def test_frozen_evaluators_are_the_evaluator_at_every_point(expert_costs: Any, stage: str, routing: str) -> None:
    points = list_points(stage)
    function = getattr(expert_costs, stage)
    for free in (list(points[0]), ["seq_len"], ["batch_size"]):
        given = {name: value for name, value in points[-1].items() if name not in free}
        frozen = expert_costs.freeze(stage, free=free, expert_routing=routing, **given)
        for point in points:
            left = {name: point[name] for name in free}
            assert frozen(**left) == function(**{**given, **left}, expert_routing=routing), (free, point)


@pytest.mark.parametrize("routing", ROUTINGS)
def test_one_compiled_loop_is_the_evaluator(expert_costs: Any, routing: str) -> None:
    pytest.importorskip("numba")
    points = list_points("decode")
    found = expert_costs.arrays.decode(**make_columns(points), expert_routing=routing, engine="fused")
    assert [row(found, place) for place in range(len(points))] == [
        tuple(expert_costs.decode(**point, expert_routing=routing)) for point in points
    ]


def test_grids_layers_and_operators_are_the_evaluator(expert_costs: Any) -> None:
    grid = expert_costs.arrays.grid("request", batch_size=BATCHES, seq_len=PROMPTS, decode_steps=17)
    for place in np.ndindex(len(BATCHES), len(PROMPTS)):
        sizes = {"batch_size": BATCHES[place[0]], "seq_len": PROMPTS[place[1]], "decode_steps": 17}
        assert tuple(int(metric[place]) for metric in grid) == tuple(expert_costs.request(**sizes))
    points = list_points("prefill")
    routed = 0
    for name in expert_costs.layers.__all__:
        alone, over = getattr(expert_costs.layers, name), getattr(expert_costs.arrays.layers, name, None)
        known = inspect.signature(alone).parameters
        sizes = {size: column for size, column in make_columns(points).items() if size in known}
        if over is None or not sizes or "expert_routing" not in known:
            continue
        for routing in ROUTINGS:
            found = over(**sizes, expert_routing=routing)
            for place, point in enumerate(points):
                cost = alone(**{size: point[size] for size in sizes}, expert_routing=routing)
                seen = int(found[place]) if isinstance(cost, int) else row(found, place)
                assert seen == (cost if isinstance(cost, int) else tuple(cost)), (name, point)
        routed += 1
    assert routed >= 3  # the experts, what holds them and the router, and the layer around it
    for rows_of, alone in (
        (expert_costs.arrays.breakdown.operators, expert_costs.breakdown.operators),
        (expert_costs.arrays.breakdown.states, expert_costs.breakdown.states),
    ):
        found = rows_of("prefill", seq_len=PROMPTS)
        for place, prompt in enumerate(PROMPTS):
            at_point = [tuple(np.broadcast_to(each, len(PROMPTS))[place] for each in record) for record in found]
            assert at_point == [tuple(record) for record in alone("prefill", seq_len=prompt)]


@pytest.mark.parametrize(
    ("sizes", "error"),
    [
        ({"batch_size": 1, "seq_len": 1}, "seq_len must be at least 2, not 1"),
        ({"batch_size": 0, "seq_len": 5}, "batch_size must be at least 1, not 0"),
        ({"batch_size": 2, "seq_len": 2**62}, "more than int64 holds"),
    ],
)
def test_refusals_are_those_of_the_evaluator(expert_costs: Any, sizes: dict[str, int], error: str) -> None:
    columns = {name: np.array([7, value]) for name, value in sizes.items()}
    with pytest.raises((expert_costs.CostError, OverflowError), match=error):
        expert_costs.arrays.prefill(**columns)
    if "int64" in error:
        found = expert_costs.arrays.prefill(**columns, overflow="exact")
        assert tuple(metric[1] for metric in found) == tuple(expert_costs.prefill(**sizes))
        near = expert_costs.arrays.prefill(**columns, overflow="float64")
        assert np.allclose(
            [metric[1] for metric in near], [float(x) for x in expert_costs.prefill(**sizes)], rtol=2.0**-45
        )
        return
    with pytest.raises(expert_costs.CostError, match=error):
        expert_costs.prefill(**sizes)


def test_a_sweep_over_batches_and_prompts(experts: Path, expert_costs: Any, tmp_path: Path) -> None:
    table = tmp_path / "sweep.csv"
    run(
        "sweep", "prefill", "--grid", "batch_size=2,13", "--grid", "seq_len=5,97", "--out", str(table),
        "--model", str(experts),
    )  # fmt: skip
    with table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(each["io_bytes"]) for each in rows] == [
        expert_costs.prefill(batch_size=batch, seq_len=prompt).io_bytes for batch in (2, 13) for prompt in (5, 97)
    ]
