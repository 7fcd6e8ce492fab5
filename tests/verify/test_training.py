"""The counter of training steps on tiny nets, against numbers worked out by hand in the comments."""

from __future__ import annotations

import pytest
import torch
from nets import Apply
from torch import Tensor, nn
from torch.nn import functional

from modelmeter.cost import Elements
from modelmeter.errors import CountError
from modelmeter.verify.training import TrainingCount, count_training_step


def learned(*shape: int) -> Tensor:
    return torch.empty(shape, device="meta", requires_grad=True)


def data(*shape: int) -> Tensor:
    return torch.empty(shape, device="meta")


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
    table, ids = nn.Embedding(53, 5, device="meta"), torch.zeros(7, dtype=torch.int64, device="meta")
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
    class Square(nn.Module):
        def forward(self, rows: Tensor) -> Tensor:
            return rows * rows.neg()

    step = count(Square(), learned(7, 5))
    # Two products, a sign, and the sum of what both uses give.
    assert step.backward.cuda_core_flops == 4 * 35
    assert (step.backward.reads, step.backward.writes) == (Elements(activation=70), Elements(activation=35))


def test_attention_moves_queries_keys_values_and_their_gradients_but_no_scores() -> None:
    # 2 sequences of 7 positions; 3 heads of 5 channels share one of keys and values: 210 and 70 elements.
    inputs = learned(2, 3, 7, 5), learned(2, 1, 7, 5), learned(2, 1, 7, 5)
    attention = Apply(
        lambda query, key, value: functional.scaled_dot_product_attention(
            query, key, value, is_causal=True, enable_gqa=True
        )
    )
    assert moved(attention, *inputs) == (Elements(activation=350 + 210), Elements(activation=350))


def test_a_function_that_nothing_accounts_for_is_an_error() -> None:
    with pytest.raises(CountError, match="tanh: arithmetic that nothing accounts for"):
        count(Apply(torch.tanh), learned(7, 5))
