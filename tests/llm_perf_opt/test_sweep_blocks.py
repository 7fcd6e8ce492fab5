"""Sweeps: every row is what the scalar evaluators say, however the grid is cut into blocks."""

from __future__ import annotations

import inspect
import itertools
import pickle
from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import deepseek_ocr_costs as costs
from llm_perf_opt.sweep import METRICS, Block, Sweep, compute_block, compute_blocks, split
from modelmeter.metrics.metric import METRICS as PUBLISHED_METRICS
from modelmeter.support.errors import ModelMeterError, WorkloadError
from modelmeter.support.suggestions import UnknownNameError

GRIDS: dict[str, dict[str, Iterable[int]]] = {
    "vision": {"base_size": range(16, 2000, 331), "num_width_tiles": [2, 1, 3], "batch_size": [5, 2]},
    "projector": {"image_size": [640, 17], "num_height_tiles": range(1, 5), "weight_bits": [3, 16]},
    "prefill": {"seq_len": range(29, 900, 211), "batch_size": [7, 1, 3], "logits_tokens": [1, 29]},
    "decode": {"decode_steps": range(0, 99, 31), "kv_bits": [4, 11], "seq_len": [913, 2]},
    "request": {"num_width_tiles": [1, 2], "prompt_tokens": range(0, 50, 13), "max_new_tokens": [1, 101]},
    "training_step": {"base_size": [1024, 333], "logits_tokens": range(1, 90, 29), "batch_size": [3, 1]},
}


def join(blocks: Iterable[Block]) -> dict[str, list[int]]:
    blocks = list(blocks)
    return {name: np.concatenate([block[name] for block in blocks]).tolist() for name in blocks[0]}


@pytest.mark.parametrize("stage", GRIDS)
@pytest.mark.parametrize("fixed", [{}, {"activation_bits": 9}])
def test_rows_are_what_the_scalar_evaluators_say(stage: str, fixed: dict[str, int | str]) -> None:
    """Every point, in the order in which nested loops over the axes meet them."""
    sweep = Sweep.over(stage, GRIDS[stage], fixed=fixed)
    columns = join(compute_blocks(sweep, 7))
    assert tuple(columns) == (*GRIDS[stage], *PUBLISHED_METRICS)
    points = [dict(zip(GRIDS[stage], point, strict=True)) for point in itertools.product(*GRIDS[stage].values())]
    assert sweep.num_points == len(points)
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    evaluate = getattr(costs, stage)
    assert rows == [{**point, **evaluate(**point, **fixed)._asdict()} for point in points]


@given(st.data())
@settings(max_examples=30)
def test_blocks_of_any_size_hold_the_same_rows(data: st.DataObject) -> None:
    sweep = Sweep.over("prefill", GRIDS["prefill"])
    block_size = data.draw(st.integers(1, sweep.num_points + 1))
    blocks = list(compute_blocks(sweep, block_size))
    assert [len(block["seq_len"]) for block in blocks[:-1]] == [block_size] * (len(blocks) - 1)
    assert join(blocks) == compare_with(sweep)


def compare_with(sweep: Sweep) -> dict[str, list[int]]:
    return join([compute_block(sweep, range(sweep.num_points))])


def test_random_points_of_a_large_grid() -> None:
    """Any block may be computed by itself, far into a grid of 6e14 points."""
    axes = {"seq_len": range(1, 50_000, 3), "batch_size": range(1, 500, 7), "logits_tokens": [1],
            "weight_bits": range(1, 65), "activation_bits": range(1, 65), "kv_bits": range(1, 129)}  # fmt: skip
    sweep = Sweep.over("prefill", axes)
    generator = np.random.default_rng(20261122)
    for start in generator.integers(0, sweep.num_points - 11, 20).tolist():
        block = compute_block(sweep, range(start, start + 11))
        places = np.unravel_index(np.arange(start, start + 11), [len(list(values)) for values in axes.values()])
        for row, place in enumerate(zip(*places, strict=True)):
            point = {name: list(values)[index] for (name, values), index in zip(axes.items(), place, strict=True)}
            assert {name: int(block[name][row]) for name in axes} == point
            assert tuple(int(block[metric][row]) for metric in METRICS) == tuple(costs.prefill(**point))


@pytest.mark.parametrize(
    "chained",
    [{"prompt_tokens": [4], "max_new_tokens": [8]}, {"seq_len": [2000, 3001], "decode_steps": [0, 7]}],
)
def test_every_size_of_a_stage_may_vary(chained: dict[str, list[int]]) -> None:
    """The sizes that the scalar evaluator has, all at once: what others follow from, or those others."""
    sizes = {
        "batch_size": [2, 3], "base_size": [64, 1025], "image_size": [65], "num_width_tiles": [1, 2],
        "num_height_tiles": [3], **chained, "logits_tokens": [5], "weight_bits": [9], "activation_bits": [11, 5],
        "kv_bits": [13],
    }  # fmt: skip
    assert compare_with(Sweep.over("request", sizes))["io_bytes"] == [
        costs.request(**dict(zip(sizes, point, strict=True))).io_bytes for point in itertools.product(*sizes.values())
    ]


def test_metrics_are_those_that_are_asked_for() -> None:
    sweep = Sweep.over("decode", {"seq_len": [3, 5]}, metrics=["kv_cache_bytes", "io_bytes"])
    assert tuple(compute_block(sweep, range(2))) == ("seq_len", "kv_cache_bytes", "io_bytes")


def test_the_bound_on_experts() -> None:
    sweep = Sweep.over("decode", {"batch_size": [2, 3]}, fixed={"expert_routing": "even"}, metrics=["io_bytes"])
    reads = [costs.decode(batch_size=size, expert_routing="even").io_bytes for size in (2, 3)]
    assert compare_with(sweep)["io_bytes"] == reads


def test_columns_are_plain_int64() -> None:
    """Of their own: no view of one number, and nothing that another block shares."""
    block = compute_block(Sweep.over("vision", {"batch_size": range(1, 6)}), range(1, 4))
    for column in block.values():
        assert (column.dtype, column.shape, column.flags.c_contiguous) == (np.int64, (3,), True)


BEYOND: dict[str, Iterable[int]] = {"seq_len": [10**10 + 7, 19, 10**8], "batch_size": range(1, 6)}
"""Products of matrices beyond int64 at some points; a cache that is always within it."""


@pytest.mark.parametrize("block_size", [1, 4, 15])
def test_exact_beyond_int64(block_size: int) -> None:
    """Python integers in the columns that need them, in every block."""
    sweep = Sweep.over("prefill", BEYOND, overflow="exact")
    blocks = list(compute_blocks(sweep, block_size))
    for block in blocks:
        assert (block["tensor_core_flops"].dtype, block["kv_cache_bytes"].dtype) == (object, np.int64)
        assert {type(value) for value in block["tensor_core_flops"]} == {int}
    points = [dict(zip(BEYOND, point, strict=True)) for point in itertools.product(*BEYOND.values())]
    columns = join(blocks)
    for metric in METRICS:
        assert columns[metric] == [getattr(costs.prefill(**point), metric) for point in points]
    assert max(columns["tensor_core_flops"]) > 2**63 > max(columns["kv_cache_bytes"])


def test_exact_where_only_the_middle_of_the_grid_is_beyond_int64() -> None:
    """The largest side is neither the first nor the last."""
    sides = [1984, 2016, 2000]
    untiled = {"num_width_tiles": 0, "num_height_tiles": 0}
    one, two = (costs.vision(base_size=2016, **untiled, batch_size=n).activation_bytes for n in (1, 2))
    batch_size = 2**63 // (two - one) + 1
    fixed = {**untiled, "batch_size": batch_size}
    sweep = Sweep.over("vision", {"base_size": sides}, fixed=fixed, metrics=["activation_bytes"], overflow="exact")
    expected = [costs.vision(base_size=side, **fixed).activation_bytes for side in sides]
    assert expected[1] >= 2**63 > max(expected[0], expected[2])
    assert join(compute_blocks(sweep, 2))["activation_bytes"] == expected


@pytest.mark.parametrize("stage", ["vision", "prefill", "request"])
def test_peaks_beside_the_metrics_of_a_cost(stage: str) -> None:
    """The peak of the vision also has a prompt, which makes no difference to its cost."""
    grid = {"activation_bits": [5, 16], "prompt_tokens" if stage != "prefill" else "seq_len": [3, 1009]}
    grid |= {"base_size": [1000, 1024]} if stage != "prefill" else {}
    metrics = ["peak_activation_bytes", "io_bytes"]
    sweep = Sweep.over(stage, grid, metrics=metrics)
    columns = join(compute_blocks(sweep, 3))
    peak, cost = getattr(costs, f"{stage}_peak_activation_bytes"), getattr(costs, stage)
    points = [dict(zip(grid, point, strict=True)) for point in itertools.product(*grid.values())]
    assert columns["peak_activation_bytes"] == [peak(**point) for point in points]
    taken = inspect.signature(cost).parameters
    assert columns["io_bytes"] == [
        cost(**{name: point[name] for name in point if name in taken}).io_bytes for point in points
    ]
    assert max(columns["peak_activation_bytes"]) <= sweep.largest["peak_activation_bytes"]


@pytest.mark.parametrize("block_size", [1, 4, 15])
def test_float64_beyond_int64(block_size: int) -> None:
    """In columns that need it, in every block; the others are exact."""
    sweep = Sweep.over("prefill", BEYOND, overflow="float64", metrics=["tensor_core_flops", "kv_cache_bytes"])
    blocks = list(compute_blocks(sweep, block_size))
    for block in blocks:
        assert (block["tensor_core_flops"].dtype, block["kv_cache_bytes"].dtype) == (np.float64, np.int64)
    columns = join(blocks)
    for row, point in enumerate(itertools.product(*BEYOND.values())):
        cost = costs.prefill(**dict(zip(BEYOND, point, strict=True)))
        difference = abs(Fraction(columns["tensor_core_flops"][row]) - cost.tensor_core_flops)
        assert difference <= Fraction(costs.arrays.FLOAT64_RELATIVE_ERROR) * cost.tensor_core_flops
        assert columns["kv_cache_bytes"][row] == cost.kv_cache_bytes


@pytest.mark.parametrize("overflow", ["error", "float64", "exact"])
def test_what_fits_is_int64(overflow: str) -> None:
    """Whatever was chosen for the rest."""
    sweep = Sweep.over("request", GRIDS["request"], overflow=overflow)
    assert {column.dtype for column in compute_block(sweep, range(sweep.num_points)).values()} == {np.dtype(np.int64)}
    assert compare_with(sweep) == compare_with(Sweep.over("request", GRIDS["request"]))


def test_what_is_held_fixed_is_known_with_its_defaults() -> None:
    """What follows from others is not held; what it follows from is, unless the other is given."""
    held = Sweep.over("request", {"batch_size": [3, 5]}, fixed={"kv_bits": Fraction(11, 2), "decode_steps": 7}).held
    assert held == {
        "images_per_prompt": 1, "vision_batch_size": 1, "base_size": 1024, "image_size": 640, "num_width_tiles": 2,
        "num_height_tiles": 3, "prompt_tokens": 10, "decode_steps": 7, "weight_bits": 16, "activation_bits": 16,
        "kv_bits": Fraction(11, 2),
        "expert_routing": "uniform",
    }  # fmt: skip
    assert "prompt_tokens" not in Sweep.over("request", {"seq_len": [2003]}).held


def test_a_fraction_of_a_bit_may_be_fixed() -> None:
    sweep = Sweep.over("prefill", {"seq_len": [3, 1009]}, fixed={"weight_bits": Fraction(11, 2)})
    expected = [costs.prefill(seq_len=n, weight_bits=Fraction(11, 2)).io_bytes for n in (3, 1009)]
    assert compare_with(sweep)["io_bytes"] == expected


def test_sizes_that_agree_may_both_be_given() -> None:
    """913 positions are 903 image tokens and 10 of prompt."""
    sweep = Sweep.over("request", {"seq_len": [913], "batch_size": [1, 3]}, fixed={"prompt_tokens": 10})
    assert compare_with(sweep)["io_bytes"] == [costs.request(batch_size=size).io_bytes for size in (1, 3)]


def test_blocks_cover_the_points_once() -> None:
    sweep = Sweep.over("projector", {"batch_size": range(1, 24)})
    assert list(split(sweep, 10)) == [range(10), range(10, 20), range(20, 23)]


def test_what_is_fixed_is_one_number() -> None:
    """NumPy's too; but an array would be taken for a column."""
    axes = {"seq_len": [3, 5]}
    assert Sweep.over("decode", axes, fixed={"kv_bits": np.int32(8)}) == Sweep.over(
        "decode", axes, fixed={"kv_bits": 8}
    )
    for value in ([4, 8], np.array([4, 8]), 4.0):
        with pytest.raises(TypeError):
            Sweep.over("decode", axes, fixed={"kv_bits": value})  # type: ignore[dict-item]  # what is refused


def test_a_sweep_can_be_sent() -> None:
    """To a worker elsewhere, without evaluating anything there."""
    sweep = Sweep.over("request", GRIDS["request"], fixed={"kv_bits": 8})
    assert pickle.loads(pickle.dumps(sweep)) == sweep


@pytest.mark.parametrize(
    ("stage", "axes", "fixed", "metrics", "words"),
    [
        ("prefil", {}, {}, METRICS, ("stage", "did you mean prefill")),
        ("stages", {}, {}, METRICS, ("stage", "vision")),
        ("training_step", {}, {}, ["peak_activation_bytes"], ("metric", "activation_bytes")),
        ("vision", {"prompt_tokens": [1]}, {}, METRICS, ("size of vision", "base_size")),
        ("prefill", {"seqlen": [1]}, {}, METRICS, ("size of prefill", "did you mean seq_len", "kv_bits")),
        ("vision", {"seq_len": [1]}, {}, METRICS, ("size of vision", "base_size")),
        ("prefill", {"hidden_size": [1]}, {}, METRICS, ("size of prefill",)),
        ("prefill", {"expert_routing": [1]}, {}, METRICS, ("size of prefill",)),
        ("prefill", {"seq_len": []}, {}, METRICS, ("seq_len", "no value")),
        ("prefill", {"seq_len": [1]}, {"seq_len": 1}, METRICS, ("seq_len", "given twice")),
        ("prefill", {"seq_len": [1]}, {"kv_bit": 1}, METRICS, ("argument of prefill", "did you mean kv_bits")),
        ("prefill", {"seq_len": [1]}, {"kv_bits": 0}, METRICS, ("prefill", "kv_bits must be at least 1")),
        ("prefill", {"seq_len": [1]}, {"expert_routing": "odd"}, METRICS, ("expert_routing", "even")),
        ("prefill", {"seq_len": [1]}, {}, ["io_byte"], ("metric", "did you mean io_bytes")),
        ("prefill", {"seq_len": [1]}, {}, ["io_bytes"] * 2, ("io_bytes", "given twice")),
        ("prefill", {"seq_len": [3, 0]}, {}, METRICS, ("seq_len must be at least 1, not 0",)),
        ("vision", {"base_size": range(15, 99)}, {}, METRICS, ("sam_patch_size", "base_size", "16 > 15")),
        ("request", {"seq_len": [913, 914]}, {"prompt_tokens": 10}, METRICS, ("request", "914 is not 913")),
        ("request", {"decode_steps": [5]}, {"max_new_tokens": 7}, METRICS, ("request", "5 is not 6")),
        ("prefill", {"weight_bits": [5]}, {"dtype": 8}, METRICS, ("did you mean weight_bits or activation_bits",)),
        # Only the points between the ends of one axis and of the other contradict themselves.
        ("prefill", {"seq_len": [9, 3, 8], "logits_tokens": [1, 7, 2]}, {}, METRICS, ("at most seq_len: 7 > 3",)),
        ("request", {"num_width_tiles": range(1, 9), "seq_len": [9000, 800]}, {}, METRICS, ("image_tokens", "800")),
        ("prefill", {"seq_len": [1, 10**9]}, {}, METRICS, ("prefill", "more than int64 holds")),
        ("vision", {"batch_size": range(1, 2**62), "kv_bits": [1]}, {}, METRICS, ("size of vision", "kv_bits")),
        ("prefill", {"weight_bits": range(2**62), "kv_bits": range(8)}, {}, METRICS, ("more points", f"{2**65}")),
    ],
)
def test_refuses_what_is_no_sweep(
    stage: str, axes: Mapping[str, Any], fixed: Mapping[str, Any], metrics: Iterable[str], words: tuple[str, ...]
) -> None:
    """Whatever is wrong anywhere on the grid is said before anything is computed."""
    with pytest.raises(ModelMeterError) as refused:
        Sweep.over(stage, axes, fixed=fixed, metrics=metrics)
    assert isinstance(refused.value, UnknownNameError | WorkloadError)
    for word in words:
        assert word in str(refused.value)
