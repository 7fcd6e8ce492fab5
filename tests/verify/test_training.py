"""The counter of training steps on tiny nets, against numbers worked out by hand in the comments."""

from __future__ import annotations

import pytest
import torch
from nets import Apply, indices, learned
from nets import meta as data
from torch import Tensor, nn
from torch.nn import functional

from modelmeter.metrics.cost import Elements
from modelmeter.support.errors import CountError
from modelmeter.verify.training import TrainingCount, count_training_step


def count(module: nn.Module, *inputs: Tensor) -> TrainingCount:
    return count_training_step(module, lambda: module(*inputs))


def moved(module: nn.Module, *inputs: Tensor) -> tuple[Elements, Elements]:
    backward = count(module, *inputs).backward
    return backward.reads, backward.writes


def test_a_linear_layer_reads_what_it_read_and_a_gradient_and_writes_the_gradients_of_both() -> None:
    # 14 rows of 5 channels to 3; weights 5 * 3 + 3 = 18.
    linear = nn.Linear(5, 3, device="meta")
    step = count(linear, learned(2, 7, 5))
    assert step.backward.reads == Elements(activation=70 + 42, weight=18)
    assert step.backward.writes == Elements(activation=70, weight=18)
    assert (step.backward.tensor_core_flops, step.backward.cuda_core_flops) == (2 * 420, 42)
    (forward,) = step.operators
    assert (forward.reads, forward.writes) == (Elements(activation=70, weight=18), Elements(activation=42))


def test_what_wants_no_gradient_gets_none() -> None:
    assert moved(nn.Linear(5, 3, device="meta"), data(2, 7, 5)) == (
        Elements(activation=70 + 42, weight=18),
        Elements(weight=18),
    )


def test_a_linear_operator_needs_the_gradient_only() -> None:
    """A sum, and a product with a constant; a product of two needs both."""
    rows = learned(7, 5)
    assert moved(Apply(lambda one: one + data(7, 5)), rows) == (Elements(activation=35), Elements(activation=35))
    assert moved(Apply(lambda one: 2.5 * one), rows) == (Elements(activation=35), Elements(activation=35))
    assert moved(Apply(lambda one: one * data(7, 5)), rows) == (Elements(activation=105), Elements(activation=35))


def test_a_look_up_needs_the_indices_and_writes_the_rows_that_it_took() -> None:
    table, ids = nn.Embedding(53, 5, device="meta"), indices(7)
    assert moved(table, ids) == (Elements(activation=35, index=7), Elements(weight=35))
    assert moved(Apply(lambda rows: rows[ids]), learned(53, 5)) == (
        Elements(activation=35, index=7),
        Elements(activation=35),
    )


def test_gradients_that_meet_are_read_in_pairs() -> None:
    """The input of a residual, and a parameter that two calls use."""
    rows, linear = learned(7, 5), nn.Linear(5, 5, bias=False, device="meta")
    residual = Apply(lambda one: one + linear(one))
    residual.linear = linear
    # The sum reads 35 and writes two gradients; the layer reads 35 + 35 and 25 weights; one sum reads 70, writes 35.
    assert moved(residual, rows) == (
        Elements(activation=35 + 70 + 70, weight=25),
        Elements(activation=70 + 35 + 35, weight=25),
    )
    twice = Apply(lambda one: linear(linear(one)))
    twice.linear = linear
    assert moved(twice, rows) == (
        Elements(activation=2 * 70, weight=2 * 25 + 50),
        Elements(activation=70, weight=2 * 25 + 25),
    )


def test_sums_inside_an_operator_move_nothing_between_memory_and_the_chip() -> None:
    square = count(Apply(lambda one: one * one), learned(7, 5))
    # Two products, and the sum of what both give. It reads the rows and a gradient, and writes one.
    assert square.backward.cuda_core_flops == 3 * 35
    assert (square.backward.reads, square.backward.writes) == (Elements(activation=70), Elements(activation=35))
    # With another operator between, the sum is one between operators: the product reads 3 and writes 2, the sign reads
    # and writes 1, the sum reads 2 and writes 1.
    other = count(Apply(lambda one: one * one.neg()), learned(7, 5))
    assert other.backward.cuda_core_flops == 4 * 35
    assert (other.backward.reads, other.backward.writes) == (
        Elements(activation=(3 + 1 + 2) * 35),
        Elements(activation=(2 + 1 + 1) * 35),
    )


def test_attention_moves_queries_keys_values_and_their_gradients_but_no_scores() -> None:
    # 2 sequences of 7 positions; 3 heads of 5 channels share one of keys and values: 210 and 70 elements.
    inputs = learned(2, 3, 7, 5), learned(2, 1, 7, 5), learned(2, 1, 7, 5)
    attention = Apply(
        lambda query, key, value: functional.scaled_dot_product_attention(
            query, key, value, is_causal=True, enable_gqa=True
        )
    )
    assert moved(attention, *inputs) == (Elements(activation=350 + 210), Elements(activation=350))


def test_a_copy_hands_the_gradient_on_and_a_cast_writes_one_of_its_own() -> None:
    """A copy into another layout moves nothing in a backward. A cast reads a gradient, and writes it in its kind."""
    assert moved(Apply(lambda one: one.t().reshape(35)), learned(7, 5)) == (Elements(), Elements())
    model = Apply(lambda one: one.float(), scale=data(5, dtype=torch.bfloat16))
    rows = data(7, 5, dtype=torch.bfloat16).requires_grad_()
    assert moved(model, rows) == (Elements(float32=35), Elements(activation=35))


def test_gradients_of_what_is_float32_are_float32() -> None:
    """As in the decoder's norm: a cast, and a square in float32 that reads its input again."""
    model = Apply(lambda one: one.float().pow(2).to(one.dtype), scale=data(5, dtype=torch.bfloat16))
    rows = data(7, 5, dtype=torch.bfloat16).requires_grad_()
    # Casts: 35 into 35 either way. The square: its input and a gradient into a gradient.
    assert moved(model, rows) == (
        Elements(activation=35, float32=35 + 35 + 35),
        Elements(activation=35, float32=35 + 35),
    )


def test_a_cast_weight_gets_its_gradient_through_the_cast() -> None:
    """As the gate's: 3 experts of 5 channels, 7 tokens that are data."""
    model = Apply(lambda one: one.float() @ model.scale.float().t(), scale=data(3, 5, dtype=torch.bfloat16))
    # The product reads 35 + 15 and a gradient of 21 and writes that of the weight; the cast reads 15 and writes 15.
    assert moved(model, data(7, 5, dtype=torch.bfloat16)) == (
        Elements(float32=35 + 15 + 21 + 15),
        Elements(float32=15, weight=15),
    )


def test_sums_of_gradients_have_the_kind_of_what_they_are_the_gradients_of() -> None:
    """What is normed goes into the mean square and is scaled: its two gradients, in float32, are added."""

    def norm(one: Tensor) -> Tensor:
        wide = one.float()
        return wide * wide.neg()

    rows = data(7, 5, dtype=torch.bfloat16).requires_grad_()
    # The product reads both factors and a gradient, and writes two; the sign one; one sum; the cast 35 into 35.
    assert moved(Apply(norm, scale=data(5, dtype=torch.bfloat16)), rows) == (
        Elements(float32=3 * 35 + 35 + 2 * 35 + 35),
        Elements(float32=2 * 35 + 35 + 35, activation=35),
    )


def test_an_assignment_gives_a_gradient_to_what_is_assigned_and_none_to_the_memory_behind() -> None:
    order = indices(7)

    def put_back(one: Tensor) -> Tensor:
        target = torch.empty_like(one)
        target[order] = one * 2.0
        return target

    step = count(Apply(put_back), learned(7, 5))
    # The assignment reads the gradient of the target and the order, and writes that of the values; then the product.
    assert step.backward.reads == Elements(activation=35 + 35, index=7)
    assert step.backward.writes == Elements(activation=35 + 35)


def test_an_operator_that_nothing_accounts_for_is_an_error() -> None:
    with pytest.raises(CountError, match=r"found aten\.erfinv"):
        count(Apply(torch.erfinv), learned(7, 5))
