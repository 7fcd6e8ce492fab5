"""Symbolic traces of tiny modules, against formulas worked out by hand in the comments."""

from __future__ import annotations

from math import isqrt

import pytest
import sympy
import torch
from nets import AfterLinear, rows, trace_rows
from torch import Tensor, nn
from torch.nn import functional

from modelmeter.dimensions.functions import CeilDiv
from modelmeter.metrics.cost import Cost
from modelmeter.models.deepseek_ocr.dimensions import symbol
from modelmeter.support.errors import CountError
from modelmeter.verify.guards import GuardError, find_padding, is_padded
from modelmeter.verify.symbolic_trace import (
    LARGE_EXAMPLES,
    SMALL_EXAMPLES,
    Forward,
    TorchSize,
    TorchSizes,
    trace_everything,
    trace_matrix_products,
)

channels, k = (sympy.Symbol(name, integer=True, positive=True) for name in ("channels", "k"))
ACTIVATION, WEIGHT, KV = symbol("activation_bits"), symbol("weight_bits"), symbol("kv_bits")


def test_all_metrics_of_a_module_and_of_what_is_below_it_are_formulas() -> None:
    traced = trace_rows(lambda features: features + features)
    # 5 rows elements in, 3 rows out, 15 weights and 3 biases; the sum reads one tensor once, and writes 3 rows.
    linear = Cost(
        tensor_core_flops=30 * rows,
        io_bytes=(8 * rows * ACTIVATION + 18 * WEIGHT) / 8,
        weight_bytes=18 * WEIGHT / 8,
        activation_bytes=3 * rows * ACTIVATION / 8,
    )
    whole = Cost(
        tensor_core_flops=30 * rows,
        cuda_core_flops=3 * rows,
        io_bytes=(14 * rows * ACTIVATION + 18 * WEIGHT) / 8,
        weight_bytes=18 * WEIGHT / 8,
        activation_bytes=6 * rows * ACTIVATION / 8,
    )
    assert list(traced.costs) == ["", "linear"]
    for path, expected in (("linear", linear), ("", whole)):
        for metric in traced.metrics:
            assert sympy.expand(traced.costs[path][metric] - expected[metric]) == 0
    assert traced.domain.least == {rows: 2}
    assert traced.domain.excluded == {}
    assert traced.seconds > 0


class Caching(nn.Module):
    """Appends its input to a cache, and attends over all that is cached."""

    def __init__(self, length: TorchSize) -> None:
        super().__init__()
        self.length = length
        self.child = nn.Identity()

    def forward(self, states: Tensor, cache: Tensor) -> Tensor:
        stop = self.length + states.shape[2]
        cache[:, :, self.length : stop].copy_(states)
        return functional.scaled_dot_product_attention(states, cache[:, :, :stop], cache[:, :, :stop])


def test_a_cache_is_counted_as_far_as_it_is_filled_and_not_where_nothing_touches_it() -> None:
    def prepare(sizes: TorchSizes) -> Forward:
        model = nn.Sequential(Caching(sizes["rows"]))
        cache, states = torch.empty(2, 3, sizes["rows"] + 7, 4), torch.empty(2, 3, 5, 4)
        unused = torch.empty(3, sizes["rows"])
        return Forward(model=model, run=lambda: model[0](states, cache), cache=lambda: [cache, unused])

    traced = trace_everything(prepare, [rows])
    # Two sequences, three heads, rows + 5 positions, four channels.
    assert sympy.expand(traced.costs["0"].kv_cache_bytes - 24 * (rows + 5) * KV / 8) == 0
    assert traced.costs[""].kv_cache_bytes == traced.costs["0"].kv_cache_bytes
    assert traced.costs["0.child"].kv_cache_bytes == 0
    # Two products of 2 * (2 * 3 * 5 * (rows + 5)) * 4.
    assert traced.costs["0"].tensor_core_flops == 480 * rows + 2400
    # 120 new numbers are copied behind the others. Attention reads 120 of the queries and writes as many; keys and
    # values are one tensor here, read once and as far as it is filled.
    moved = 120 * (ACTIVATION + KV) + 2 * 120 * ACTIVATION + 24 * (rows + 5) * KV
    assert sympy.expand(8 * traced.costs["0"].io_bytes - moved) == 0
    assert traced.operators == {"copy_": 1, "scaled_dot_product_attention": 1}


def square(features: Tensor) -> Tensor:
    return features.float().pow(2).to(features.dtype)


def test_what_is_cast_is_float32_whatever_the_activations_are() -> None:
    traced = trace_rows(square)
    # Of 3 rows elements: a cast from activations, a square, and a cast back; the linear layer before them.
    linear = 8 * rows * ACTIVATION + 18 * WEIGHT
    cast = 3 * rows * (ACTIVATION + 32) + 6 * rows * 32 + 3 * rows * (32 + ACTIVATION)
    assert sympy.expand(8 * traced.costs[""].io_bytes - linear - cast) == 0
    written = 3 * rows * ACTIVATION + 3 * rows * 32 + 3 * rows * 32 + 3 * rows * ACTIVATION
    assert sympy.expand(8 * traced.costs[""].activation_bytes - written) == 0
    assert traced.operators == {"addmm": 1, "_to_copy": 2, "pow": 1}


def test_in_float32_nothing_is_cast() -> None:
    traced = trace_rows(square, dtype=torch.float32)
    assert traced.operators == {"addmm": 1, "pow": 1}
    assert sympy.expand(8 * traced.costs[""].io_bytes - (14 * rows * ACTIVATION + 18 * WEIGHT)) == 0


def test_copies_keep_their_symbols_and_views_that_need_none_are_none() -> None:
    def turn(features: Tensor) -> Tensor:
        return features.t().reshape(-1).view(3, -1).reshape(-1)

    traced = trace_rows(turn)
    assert traced.operators == {"addmm": 1, "clone": 1}
    assert sympy.expand(8 * traced.costs[""].activation_bytes - 6 * rows * ACTIVATION) == 0
    assert traced.domain.excluded == {}


def test_padding_to_whole_windows_keeps_its_symbols() -> None:
    def cut_into_windows(features: Tensor) -> Tensor:
        # 28 k + 5 rows and 9 of padding are 2 k + 1 windows of 14.
        padded = functional.pad(features, (0, 0, 0, -features.shape[0] % 14))
        windows = padded.view(padded.shape[0] // 14, 14, 3)
        return windows @ windows.transpose(1, 2)

    def prepare(sizes: TorchSizes) -> Forward:
        model = AfterLinear(cut_into_windows)
        return Forward(model=model, run=lambda: model(torch.empty(28 * sizes["k"] + 5, 5)))

    traced = trace_everything(prepare, [k])
    # 2 (28 k + 5) 5 3, and 2 k + 1 products of 14 x 3 by 3 x 14.
    expected = 30 * (28 * k + 5) + (2 * k + 1) * 2 * 14 * 3 * 14
    assert sympy.expand(traced.costs[""].tensor_core_flops - expected) == 0
    assert traced.domain.excluded == {}


def test_sizes_of_modules_can_be_symbols_too() -> None:
    def prepare(sizes: TorchSizes) -> Forward:
        width = sizes["channels"]
        model = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 3), nn.Conv1d(3, width, 1), nn.Embedding(width, 7))
        return Forward(model=model, run=lambda: model[1](model[0](torch.empty(sizes["rows"], width))))

    traced = trace_everything(prepare, [rows, channels])
    assert traced.costs["1"].tensor_core_flops == 6 * rows * channels
    # Norm 2 c, linear 3 c + 3, convolution 3 c + c, embedding 7 c.
    assert sympy.expand(traced.costs[""].weight_bytes - (16 * channels + 3) * WEIGHT / 8) == 0


def test_matrix_products_alone_can_be_traced_of_any_module() -> None:
    def prepare(sizes: TorchSizes) -> Forward:
        # An error function is in no table of ours, turned around.
        model = AfterLinear(torch.erfinv)
        return Forward(model=model, run=lambda: model(torch.empty(sizes["rows"], 5)))

    traced = trace_matrix_products(prepare, [rows])
    assert traced.metrics == ("tensor_core_flops",)
    assert {path: cost.tensor_core_flops for path, cost in traced.costs.items()} == {"": 30 * rows, "linear": 30 * rows}
    with pytest.raises(CountError, match=r"the model: an operator that nothing accounts for; found aten\.erfinv"):
        trace_everything(prepare, [rows])


def test_an_assumption_that_no_example_fits_is_an_error() -> None:
    with pytest.raises(CountError, match="no example fits an assumption"):
        trace_rows(lambda features: features, assumed=[rows < 7])


def test_a_cost_that_is_rounded_is_an_error() -> None:
    def prepare(sizes: TorchSizes) -> Forward:
        model = nn.Conv1d(3, 5, kernel_size=3, stride=2)
        return Forward(model=model, run=lambda: model(torch.empty(2, 3, sizes["rows"] + 2)))

    # (rows - 1) // 2 + 1 outputs; with 2 k rows it would be k of them.
    with pytest.raises(CountError, match="a counted size is no polynomial in the symbolic sizes"):
        trace_everything(prepare, [rows])


def test_a_symbol_that_takes_no_part_is_an_error() -> None:
    def prepare(sizes: TorchSizes) -> Forward:
        model = AfterLinear(torch.neg)
        return Forward(model=model, run=lambda: model(torch.empty(sizes["rows"], 5)))

    with pytest.raises(CountError, match=r"a symbolic size takes no part in the result; found \['channels'\]"):
        trace_everything(prepare, [rows, channels])


def test_an_operator_that_nothing_accounts_for_is_an_error() -> None:
    with pytest.raises(CountError, match=r"found aten\.cumprod"):
        trace_rows(lambda features: features.cumprod(0))


def test_examples_are_primes() -> None:
    examples = [*LARGE_EXAMPLES, *SMALL_EXAMPLES]
    assert all(example % divisor for example in examples for divisor in range(2, isqrt(example) + 1))
    assert len(set(examples)) == len(examples)


def test_what_is_filled_up_to_whole_chunks_has_their_number_in_its_formulas() -> None:
    def chunk(features: Tensor) -> Tensor:
        missing = (16 - features.shape[0] % 16) % 16
        filled = functional.pad(features, (0, 0, 0, missing)) if missing > 0 else features
        chunked = filled.reshape(-1, 16, 3)
        return chunked @ chunked.transpose(1, 2)

    chunks = CeilDiv(rows, sympy.Integer(16))
    padded = is_padded(chunks)
    # Each chunk of 16 rows of 3 channels times itself: 2 * 16 * 16 * 3 = 1,536 FLOPs. The layer before: 30 a row.
    traced = trace_rows(chunk, assumed=[padded, rows >= 17])
    assert traced.costs[""].tensor_core_flops == 1536 * chunks + 30 * rows
    with pytest.raises(GuardError) as caught:
        trace_rows(chunk, assumed=[rows >= 17])
    assert find_padding(caught.value.condition) == chunks
