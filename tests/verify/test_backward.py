"""The counter of backwards on tiny nets, against numbers worked out by hand in the comments."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from modelmeter.errors import CountError
from modelmeter.models.deepseek_ocr.reference_functions import decomposed_relative_attention
from modelmeter.verify.backward import BackwardCount, count_backward


def learned(*shape: int) -> Tensor:
    return torch.empty(shape, device="meta", requires_grad=True)


def data(*shape: int) -> Tensor:
    return torch.empty(shape, device="meta")


def flops_of(forward: Callable[[], object]) -> tuple[int, int]:
    seen = count_backward(forward)
    return seen.tensor_core_flops, seen.cuda_core_flops


def test_a_linear_layer_has_a_product_for_each_operand_and_a_sum_for_its_bias() -> None:
    # 14 rows of 5 channels to 3: 2 * 14 * 5 * 3 = 420 for either; 14 * 3 elements are summed.
    linear = nn.Linear(5, 3, device="meta")
    assert flops_of(lambda: linear(learned(2, 7, 5))) == (2 * 420, 42)
    assert flops_of(lambda: linear(data(2, 7, 5))) == (420, 42)
    assert flops_of(lambda: nn.Linear(5, 3, bias=False, device="meta")(learned(2, 7, 5))) == (2 * 420, 0)


def test_a_convolution_of_data_has_one_product_only() -> None:
    # (11 - 3) // 2 + 1 = 5 rows and (7 - 3) // 2 + 1 = 3 columns: 2 * (2 * 5 * 3) * 5 * (3 * 9) = 8,100.
    convolution = nn.Conv2d(3, 5, kernel_size=3, stride=2, device="meta")
    assert flops_of(lambda: convolution(data(2, 3, 11, 7))) == (8100, 2 * 5 * 5 * 3)
    assert flops_of(lambda: convolution(learned(2, 3, 11, 7))) == (2 * 8100, 2 * 5 * 5 * 3)


def test_a_tensor_that_is_used_again_has_a_sum_for_each_further_use() -> None:
    """Also a parameter, whose gradients come from several calls."""
    rows, linear = learned(7, 5), nn.Linear(5, 5, bias=False, device="meta")
    # 2 * 7 * 5 * 5 = 350. What goes through the layer three times has its 25 weights summed twice.
    assert flops_of(lambda: rows + linear(rows)) == (2 * 350, 35)
    assert flops_of(lambda: linear(linear(linear(rows)))) == (6 * 350, 2 * 25)


def test_what_was_broadcast_gets_the_sum_of_what_it_became() -> None:
    # A sum over 3 sequences of 7 rows of 5; a product has a product for either side before it.
    assert flops_of(lambda: data(3, 7, 5) + learned(7, 5)) == (0, 105)
    assert flops_of(lambda: data(3, 7, 5) * learned(5)) == (0, 105 + 105)
    assert flops_of(lambda: data(1, 7, 5) + learned(1, 7, 5)) == (0, 0)


@pytest.mark.parametrize(
    ("forward", "elements", "weight"),
    [
        (lambda: functional.gelu(learned(7, 5)), 35, 11),
        (lambda: functional.silu(learned(7, 5)), 35, 9),
        (lambda: torch.sigmoid(learned(7, 5)), 35, 3),
        (lambda: functional.softmax(learned(7, 5), dim=-1), 35, 4),
        (lambda: functional.layer_norm(learned(7, 5), (5,), learned(5), learned(5)), 35, 13),
        # The gradient goes back from 11 elements, not to the 5 that there were.
        (lambda: functional.interpolate(learned(1, 3, 5), size=11, mode="linear"), 33, 4),
        (lambda: functional.embedding(torch.zeros(7, dtype=torch.int64, device="meta"), learned(53, 5)), 35, 1),
        (lambda: learned(53, 5)[torch.zeros(7, dtype=torch.int64, device="meta")], 35, 1),
    ],
)
def test_functions_weigh_what_the_table_says(forward: Callable[[], object], elements: int, weight: int) -> None:
    assert flops_of(forward) == (0, weight * elements)


def attend(causal: bool = False, groups: int = 3) -> BackwardCount:
    # 2 sequences, 3 heads of 5 channels, 7 queries.
    query, key, value = learned(2, 3, 7, 5), learned(2, groups, 7, 5), learned(2, groups, 7, 5)
    return count_backward(
        lambda: functional.scaled_dot_product_attention(query, key, value, is_causal=causal, enable_gqa=groups < 3)
    )


def test_attention_is_four_products_and_one_entry_of_the_table() -> None:
    # Two products of 2 * 6 * 7 * 7 * 5 = 2,940 in the forward, twice as many in the backward; 6 * 7 * 7 scores.
    seen = attend()
    assert (seen.tensor_core_flops, seen.cuda_core_flops) == (4 * 2940, 5 * 294)
    assert seen.aten_calls == {}, "all of it is attention"


@pytest.mark.parametrize("options", [{"causal": True}, {"groups": 1}], ids=str)
def test_a_mask_and_shared_keys_are_part_of_the_entry(options: dict[str, int]) -> None:
    seen, plain = attend(**options), attend()
    assert (seen.tensor_core_flops, seen.cuda_core_flops) == (plain.tensor_core_flops, plain.cuda_core_flops)


def test_relative_attention_sums_the_gradients_of_the_scores_for_both_terms() -> None:
    # A grid of 3 x 5 positions, 2 sequences of 3 heads: 6 * 15 * 15 scores.
    query, key, value = (learned(2, 3, 15, 7) for _ in range(3))
    rows, columns = learned(6, 3, 5, 3), learned(6, 3, 5, 5)
    seen = count_backward(lambda: decomposed_relative_attention(query, key, value, rows, columns))
    assert seen.cuda_core_flops == (5 + 2) * 6 * 15 * 15


def test_sums_beside_attention_count() -> None:
    """The queries are a residual too: a sum of 2 * 3 * 7 * 5 gradients, which attention's own node starts."""
    query, key, value = (learned(2, 3, 7, 5) for _ in range(3))
    seen = count_backward(lambda: functional.scaled_dot_product_attention(query, key, value) + query)
    assert seen.cuda_core_flops == 5 * 294 + 210


def test_the_products_are_those_that_torch_counts_in_a_plain_backward() -> None:
    query, key, value = (learned(2, 3, 7, 5) for _ in range(3))
    attended = functional.scaled_dot_product_attention(query, key, value)
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        attended.sum().backward()
    assert counter.get_total_flops() == attend().tensor_core_flops


def test_counting_leaves_no_gradients_and_torch_as_it_was() -> None:
    original, linear = functional.scaled_dot_product_attention, nn.Linear(5, 3, device="meta")
    first = count_backward(lambda: linear(learned(7, 5)))
    assert linear.weight.grad is None
    assert count_backward(lambda: linear(learned(7, 5))) == first
    assert functional.scaled_dot_product_attention is original


def test_an_operator_that_the_table_lacks_is_an_error() -> None:
    with pytest.raises(CountError, match=r"found aten\.tanh_backward"):
        count_backward(lambda: torch.tanh(learned(7, 5)))


def test_a_forward_that_nothing_can_learn_from_is_an_error() -> None:
    with pytest.raises(CountError, match="a forward without a backward"):
        count_backward(lambda: nn.Linear(5, 3, device="meta").requires_grad_(False)(data(7, 5)))
