"""Layers over arrays: what the functions on integers give, also where sizes divide each other, and the same errors."""

from __future__ import annotations

import inspect
from fractions import Fraction
from types import ModuleType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import deepseek_ocr_costs

numpy = pytest.importorskip("numpy")

LAYERS = [name for name in deepseek_ocr_costs.layers.__all__ if not name.endswith("_fused_io_bytes")]
LOOKED_UP = {"hidden_size", "moe_intermediate_size", "n_routed_experts", "num_experts_per_tok"}
"""Sizes that the reads of routed experts depend on."""


def sizes_of(layer: str) -> dict[str, int]:
    parameters = inspect.signature(getattr(deepseek_ocr_costs.layers, layer)).parameters.values()
    return {parameter.name: parameter.default for parameter in parameters if parameter.name != "expert_routing"}


def routes(layer: str) -> bool:
    return "expert_routing" in inspect.signature(getattr(deepseek_ocr_costs.layers, layer)).parameters


@pytest.mark.parametrize("layer", deepseek_ocr_costs.layers.__all__)
def test_every_size_of_every_layer_may_vary(layer: str) -> None:
    on_integers, over_arrays = (
        getattr(functions, layer) for functions in (deepseek_ocr_costs.layers, deepseek_ocr_costs.arrays.layers)
    )
    for name, default in sizes_of(layer).items():
        if routes(layer) and name in LOOKED_UP:
            continue
        expected: dict[int, Any] = {}
        errors: dict[int, str] = {}
        for size in dict.fromkeys([default, default + 1, 2 * default, 3 * default + 1, max(1, default // 2), 1, 97]):
            try:
                expected[size] = on_integers(**{name: size})
            except deepseek_ocr_costs.CostError as error:
                errors[size] = str(error)
        found = over_arrays(**{name: list(expected)})
        for place, cost in enumerate(expected.values()):
            here = tuple(int(metric[place]) for metric in found) if layer in LAYERS else int(found[place])
            assert here == cost, name
        for size, message in errors.items():
            with pytest.raises(deepseek_ocr_costs.CostError) as caught:
                over_arrays(**{name: [default, size]})
            # Of two sizes, the one on integers names the parameter first: 15 < 16 there is 16 > 15 here.
            assert str(caught.value) == message or "must be at least" in message


@pytest.mark.parametrize("layer", [layer for layer in LAYERS if routes(layer)])
@pytest.mark.parametrize("size", sorted(LOOKED_UP))
def test_what_is_looked_up_by_tokens_is_one_number(layer: str, size: str) -> None:
    with pytest.raises(deepseek_ocr_costs.CostError, match=f"{size} must be one number each, not arrays"):
        getattr(deepseek_ocr_costs.arrays.layers, layer)(**{size: [sizes_of(layer)[size], 2 * sizes_of(layer)[size]]})


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    heights=st.lists(st.integers(1, 10**5), min_size=3, max_size=3),
    kernels=st.lists(st.integers(1, 10**5), min_size=3, max_size=3),
    strides=st.lists(st.integers(1, 300), min_size=3, max_size=3),
)
def test_a_convolution_by_hand(costs: ModuleType, heights: list[int], kernels: list[int], strides: list[int]) -> None:
    """A side of (height - kernel) // stride + 1; 3 images, 5 channels in and 7 out."""
    sizes = {"height": heights, "kernel_size": kernels, "stride": strides}
    evaluate = costs.arrays.layers.square_convolution
    if any(kernel > height for height, kernel in zip(heights, kernels, strict=True)):
        with pytest.raises(costs.CostError, match="the sizes make height - kernel_size negative"):
            evaluate(**sizes, overflow="exact")
        return
    sides = [(height - kernel) // stride + 1 for height, kernel, stride in zip(heights, kernels, strides, strict=True)]
    found = evaluate(**sizes, overflow="exact").tensor_core_flops.tolist()
    assert found == [2 * 3 * 7 * side**2 * 5 * kernel**2 for side, kernel in zip(sides, kernels, strict=True)]


@pytest.mark.parametrize("engine", ["numpy", "fused"])
def test_many_points_may_have_sizes_that_are_refused(costs: ModuleType, engine: str) -> None:
    """A stride of 0 among so many that they would be computed before they are looked at: no division, no warning."""
    if engine == "fused":
        pytest.importorskip("numba")
    strides = numpy.arange(1_000_003) % 7 + 1
    found = costs.arrays.layers.square_convolution(stride=strides, engine=engine).activation_bytes
    assert int(found[-1]) == costs.layers.square_convolution(stride=1_000_002 % 7 + 1).activation_bytes
    strides[700_001] = 0
    with pytest.raises(costs.CostError, match="stride must be at least 1, not 0"):
        costs.arrays.layers.square_convolution(stride=strides, engine=engine)


def test_a_loop_checks_the_rules_too(costs: ModuleType) -> None:
    pytest.importorskip("numba")
    heads = numpy.full(20_011, 16)
    evaluate = deepseek_ocr_costs.arrays.layers.attention
    widths = numpy.arange(1, 20_012) * 16
    found = evaluate(hidden_size=widths, num_heads=16, engine="fused").weight_bytes
    assert int(found[4]) == deepseek_ocr_costs.layers.attention(hidden_size=5 * 16, num_heads=16).weight_bytes
    widths[10_007] += 1
    with pytest.raises(
        deepseek_ocr_costs.CostError, match="hidden_size must be a multiple of num_heads: 160129 and 16"
    ):
        evaluate(hidden_size=widths, num_heads=16, engine="fused")
    with pytest.raises(
        deepseek_ocr_costs.CostError, match="hidden_size must be a multiple of num_heads: 160129 and 16"
    ):
        evaluate(hidden_size=widths, num_heads=heads)


def test_large_sizes_are_refused_or_exact(costs: ModuleType) -> None:
    evaluate = costs.arrays.layers.square_convolution
    with pytest.raises(OverflowError, match="more than int64 holds"):
        evaluate(in_channels=[5, 2**60])
    exact = evaluate(in_channels=[5, 2**60], overflow="exact").tensor_core_flops
    assert exact.tolist() == [2 * 3 * 7 * 100 * channels * 16 for channels in (5, 2**60)]
    near = evaluate(in_channels=[5, 2**60], overflow="float64").tensor_core_flops
    assert near.tolist() == pytest.approx([2 * 3 * 7 * 100 * channels * 16 for channels in (5, 2**60)])


def test_a_width_may_be_a_fraction(costs: ModuleType) -> None:
    """An output of 3 * 7 * 10^2 elements of 11 / 2 bits: 1443.75 bytes."""
    found = costs.arrays.layers.square_convolution(batch_size=[3, 6], activation_bits=Fraction(11, 2)).activation_bytes
    assert found.tolist() == [1444, 2888]


def test_image_tokens_are_a_column_too(costs: ModuleType) -> None:
    """A side of s pixels gives g = ceil((s // 9) / 4), and g (g + 1) + 1 tokens where there are no tiles."""
    found: Any = costs.arrays.image_tokens(base_size=[9, 171, 180, 1009], num_width_tiles=1, num_height_tiles=1)
    assert found.tolist() == [g * (g + 1) + 1 for g in (1, 5, 5, 28)]
