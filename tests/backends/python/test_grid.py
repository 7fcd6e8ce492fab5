"""Grids: every combination of some sizes, with an axis for each in the order of the arguments."""

from __future__ import annotations

import importlib
from itertools import product
from types import ModuleType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

numpy = pytest.importorskip("numpy")

AXES = {
    "vision": ("base_size", "num_tiles", "batch_size", "image_size"),
    "projector": ("num_tiles", "activation_bits", "base_size"),
    "prefill": ("seq_len", "batch_size", "kv_bits"),
    "decode": ("decode_steps", "batch_size", "seq_len", "weight_bits"),
    "request": ("num_tiles", "prompt_tokens", "batch_size", "max_new_tokens"),
    "training_step": ("num_tiles", "prompt_tokens", "batch_size"),
}
LEAST = {"base_size": 9, "image_size": 9, "prompt_tokens": 0, "decode_steps": 0}


def check(costs: ModuleType, stage: str, axes: dict[str, Any]) -> None:
    """Compare every point with the function on integers."""
    found = costs.arrays.grid(stage, **axes)
    assert found[0].shape == tuple(map(len, axes.values()))
    for places in product(*(range(len(axis)) for axis in axes.values())):
        sizes = {name: axis[place] for (name, axis), place in zip(axes.items(), places, strict=True)}
        if "num_tiles" in sizes:
            sizes["num_width_tiles"], sizes["num_height_tiles"] = sizes.pop("num_tiles")
        assert tuple(int(metric[places]) for metric in found) == getattr(costs, stage)(**sizes), sizes


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), stage=st.sampled_from(sorted(AXES)))
def test_every_point_costs_what_the_function_on_integers_says(
    costs: ModuleType, data: st.DataObject, stage: str
) -> None:
    axes: dict[str, Any] = {}
    for name in data.draw(st.lists(st.sampled_from(AXES[stage]), min_size=1, unique=True)):
        side = st.integers(1, 4)
        size = st.just((0, 0)) | st.tuples(side, side) if name == "num_tiles" else st.integers(LEAST.get(name, 1), 700)
        axes[name] = data.draw(st.lists(size, min_size=1, max_size=4))
    check(costs, stage, axes)


def test_axes_longer_than_a_block_are_cut_everywhere(costs: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of 11 elements: of whole rows of 3, and of parts of rows of 29, with 2 planes outside of them."""
    blocks = __import__(f"{costs.__name__}._blocks", fromlist=["_"])
    monkeypatch.setattr(blocks, "WORKING_SET", 0)
    monkeypatch.setattr(blocks, "SMALLEST_BLOCK", 11)
    check(costs, "decode", {"batch_size": [1, 7], "decode_steps": [0, 1, 5, 8, 13], "seq_len": [2, 3, 331]})
    check(costs, "decode", {"batch_size": [1, 7], "decode_steps": [0, 5, 8], "seq_len": list(range(1, 30))})


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(extent=st.lists(st.integers(1, 40), min_size=1, max_size=4))
def test_blocks_are_small_enough_and_cover_every_element_once(costs: ModuleType, extent: list[int]) -> None:
    """Blocks of up to 11 elements: the extents have rows, planes and single elements that do not divide them."""
    blocks = __import__(f"{costs.__name__}._blocks", fromlist=["_"])
    seen = numpy.zeros(extent, dtype=int)
    for block in blocks.blocks(tuple(extent), 11):
        assert 0 < seen[block].size <= 11
        seen[block] += 1
    assert (seen == 1).all()


def test_a_result_that_does_not_vary_along_an_axis_is_not_stored_along_it(costs: ModuleType) -> None:
    found = costs.arrays.grid("decode", batch_size=[1, 2, 3], weight_bits=[4, 8], seq_len=list(range(1, 12)))
    assert found.weight_bytes.strides == (0, 8, 0)
    assert found.tensor_core_flops.shape == found.weight_bytes.shape == (3, 2, 11)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), stage=st.sampled_from(sorted(AXES)))
def test_no_point_exceeds_the_bound(costs: ModuleType, data: st.DataObject, stage: str) -> None:
    """Of sizes between two values; with one value of each size, the bound is the cost."""
    names = [name for name in AXES[stage] if name != "num_tiles"]
    size = {name: st.integers(LEAST.get(name, 1), 700) for name in names}
    ends = {name: data.draw(st.lists(size[name], min_size=2, max_size=2)) for name in names}
    point = {name: data.draw(st.integers(min(both), max(both))) for name, both in ends.items()}
    cost = getattr(costs, stage)(**point)
    most = costs.arrays.bound(stage, **ends)
    assert all(metric <= high for metric, high in zip(cost, most, strict=True))
    assert costs.arrays.bound(stage, **{name: [size] for name, size in point.items()}) == cost
    if stage != "training_step":
        peak = getattr(costs, f"{stage}_peak_activation_bytes")(**point)
        assert peak <= costs.arrays.bound(stage, metric="peak_activation_bytes", **ends)
    assert cost.io_bytes <= costs.arrays.bound(stage, metric="io_bytes", **ends) == most.io_bytes


@pytest.mark.parametrize(
    ("function", "constants", "metric", "largest"),
    [
        ("triangular", (), 7 * 8 // 2, 7 * 8),  # n (n + 1) is divided by 2
        ("ceil_div", (5,), 2, 7 + 4),  # what is divided is raised by 4
        ("floor_div", (5,), 1, 7),
    ],
)
def test_a_bound_covers_what_is_divided(
    costs: ModuleType, function: str, constants: tuple[int, ...], metric: int, largest: int
) -> None:
    """Of a size from 3 to 7."""
    polynomials, bounds = _import(costs, "_polynomials"), _import(costs, "_bounds")
    space = polynomials.Space()
    called = space.unknown(polynomials.Call(function, (space.unknown("size"),), constants))
    found = bounds.compile_bounds(space, (called,))({"size": (3, 7)})
    assert (found.metrics, found.largest) == ((metric,), largest)


@pytest.mark.parametrize(
    ("function", "low", "high", "largest"),
    [
        ("floor_div", 3 // 11, 7 // 2, 11),
        ("ceil_div", 1, 4, 7 + 10),  # 3 / 11 and 7 / 2 rounded up; what is divided is raised by at most 10
    ],
)
def test_a_bound_covers_what_is_divided_by_a_size(
    costs: ModuleType, function: str, low: int, high: int, largest: int
) -> None:
    """Of a size from 3 to 7, by one from 2 to 11: the least is of the largest divisor."""
    polynomials, bounds = _import(costs, "_polynomials"), _import(costs, "_bounds")
    space = polynomials.Space()
    called = space.unknown(polynomials.Call(function, (space.unknown("size"), space.unknown("divisor"))))
    found = bounds.compile_bounds(space, (called,))({"size": (3, 7), "divisor": (2, 11)})
    assert (found.ranges[-1], found.metrics, found.largest) == ((low, high), (high,), largest)


def _import(costs: ModuleType, name: str) -> ModuleType:
    return importlib.import_module(f"{costs.__name__}.{name}")


def test_a_bound_is_of_sizes_that_are_right(costs: ModuleType) -> None:
    for sizes, error, message in (
        ({"batch_size": []}, costs.CostError, "batch_size has no elements"),
        ({"batch_size": [3, 0]}, costs.CostError, "batch_size must be at least 1, not 0"),
        ({"hidden_size": [3]}, TypeError, "prefill has no size 'hidden_size'"),
        ({"metric": "joules"}, costs.CostError, "there is no metric 'joules'"),
    ):
        with pytest.raises(error, match=message):
            costs.arrays.bound("prefill", **sizes)


def test_numbers_are_no_axes(costs: ModuleType) -> None:
    found = costs.arrays.grid("vision", num_tiles=(2, 3), base_size=[170, 180], batch_size=5)
    assert found.io_bytes.shape == (2,)
    assert (
        int(found.io_bytes[1])
        == costs.vision(num_width_tiles=2, num_height_tiles=3, base_size=180, batch_size=5).io_bytes
    )


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_the_rows_of_a_data_frame_are_pairs(costs: ModuleType, library: str) -> None:
    frame = pytest.importorskip(library).DataFrame
    pairs = [(1, 1), (2, 5)]
    table = frame(pairs, schema=["across", "down"], orient="row") if library == "polars" else frame(pairs)
    found = costs.arrays.grid("vision", num_tiles=table)
    assert [int(number) for number in found.io_bytes] == [
        costs.vision(num_width_tiles=width, num_height_tiles=height).io_bytes for width, height in pairs
    ]


@pytest.mark.parametrize(
    ("stage", "sizes", "error", "message"),
    [
        ("pretrain", {}, "CostError", "there is no stage 'pretrain'"),
        ("prefill", {"num_tiles": [(1, 2)]}, "TypeError", "prefill has no size 'num_width_tiles'"),
        ("vision", {"num_tiles": [(1, 2), (3,)]}, "CostError", "num_tiles must be pairs"),
        ("vision", {"num_tiles": 5}, "CostError", "num_tiles must be pairs"),
        ("vision", {"num_tiles": {1: 2, 3: 4}}, "CostError", "num_tiles must be pairs"),
        ("vision", {"num_tiles": [(1, 2)], "num_width_tiles": 3}, "CostError", "num_width_tiles is given twice"),
        ("vision", {"num_tiles": [(1, -2)]}, "CostError", "num_height_tiles must be at least 0, not -2"),
        ("vision", {"num_tiles": [(1, 2.0)]}, "TypeError", "num_height_tiles must be an integer, not float"),
        ("prefill", {"seq_len": [[1, 2], [3, 4]]}, "CostError", "seq_len must be one number or one axis"),
        ("prefill", {"seq_len": [5, 9], "logits_tokens": [5, 6]}, "CostError", "at most seq_len: 6 > 5"),
    ],
)
def test_wrong_axes_are_named(costs: ModuleType, stage: str, sizes: dict[str, Any], error: str, message: str) -> None:
    with pytest.raises((TypeError, costs.CostError), match=message) as caught:
        costs.arrays.grid(stage, **sizes)
    assert type(caught.value).__name__ == error
