"""The counter of backwards on tiny nets, against numbers worked out by hand in the comments."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from nets import indices, learned
from nets import meta as data
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from modelmeter.metrics import operator_table
from modelmeter.support.errors import CountError
from modelmeter.verify import dispatch, matrix_products
from modelmeter.verify.backward import Attention, BackwardCount, count_backward, find_attention, record_forward


def flops_of(forward: Callable[[], object], model: nn.Module | None = None) -> tuple[int, int]:
    """Count the backward of functions, or of a module that ``forward`` calls."""
    seen = count_backward(model or nn.Identity(), forward)
    return seen.tensor_core_flops, seen.cuda_core_flops


def test_a_linear_layer_has_a_product_for_each_operand_and_a_sum_for_its_bias() -> None:
    # 14 rows of 5 channels to 3: 2 * 14 * 5 * 3 = 420 for either; 14 * 3 elements are summed.
    linear = nn.Linear(5, 3, device="meta")
    assert flops_of(lambda: linear(learned(2, 7, 5)), linear) == (2 * 420, 42)
    assert flops_of(lambda: linear(data(2, 7, 5)), linear) == (420, 42)
    plain = nn.Linear(5, 3, bias=False, device="meta")
    assert flops_of(lambda: plain(learned(2, 7, 5)), plain) == (2 * 420, 0)


def test_a_convolution_of_data_has_one_product_only() -> None:
    # (11 - 3) // 2 + 1 = 5 rows and (7 - 3) // 2 + 1 = 3 columns: 2 * (2 * 5 * 3) * 5 * (3 * 9) = 8,100.
    convolution = nn.Conv2d(3, 5, kernel_size=3, stride=2, device="meta")
    assert flops_of(lambda: convolution(data(2, 3, 11, 7)), convolution) == (8100, 2 * 5 * 5 * 3)
    assert flops_of(lambda: convolution(learned(2, 3, 11, 7)), convolution) == (2 * 8100, 2 * 5 * 5 * 3)


def test_a_tensor_that_is_used_again_has_a_sum_for_each_further_use() -> None:
    """Also a parameter, whose gradients come from several calls."""
    rows, linear = learned(7, 5), nn.Linear(5, 5, bias=False, device="meta")
    # 2 * 7 * 5 * 5 = 350. What goes through the layer three times has its 25 weights summed twice.
    assert flops_of(lambda: rows + linear(rows), linear) == (2 * 350, 35)
    assert flops_of(lambda: linear(linear(linear(rows))), linear) == (6 * 350, 2 * 25)


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
        (lambda: functional.embedding(indices(7), learned(53, 5)), 35, 1),
        (lambda: learned(53, 5)[indices(7)], 35, 1),
        # A copy hands the gradient on.
        (lambda: learned(7, 5).clone(), 35, 0),
        (lambda: learned(5, 7).t().reshape(35), 35, 0),
    ],
)
def test_functions_weigh_what_the_table_says(forward: Callable[[], object], elements: int, weight: int) -> None:
    assert flops_of(forward) == (0, weight * elements)


def test_a_cast_has_no_arithmetic() -> None:
    rows = data(7, 5, dtype=torch.bfloat16).requires_grad_()
    model = nn.Linear(5, 3, device="meta", dtype=torch.bfloat16)  # whose type is that of activations
    assert flops_of(lambda: rows.float().to(torch.bfloat16), model) == (0, 0)
    # A square between the casts: a power and two products, as the table says nothing shorter.
    assert flops_of(lambda: rows.float().pow(2).to(torch.bfloat16), model) == (0, 3 * 35)


def attend(causal: bool = False, groups: int = 3) -> BackwardCount:
    # 2 sequences, 3 heads of 5 channels, 7 queries.
    query, key, value = learned(2, 3, 7, 5), learned(2, groups, 7, 5), learned(2, groups, 7, 5)
    return count_backward(
        nn.Identity(),
        lambda: functional.scaled_dot_product_attention(query, key, value, is_causal=causal, enable_gqa=groups < 3),
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


def test_a_bias_of_scores_gets_the_gradient_of_the_scores_and_sums_it_for_both_terms() -> None:
    """As SAM's, which is made before attention and handed in."""
    # A grid of 3 x 5 positions, 2 sequences of 3 heads: 6 * 15 * 15 scores.
    query, key, value = (learned(2, 3, 15, 7) for _ in range(3))
    rows, columns = learned(6, 15, 3, 1), learned(6, 15, 1, 5)

    def attend_with_bias() -> Tensor:
        bias = (rows + columns).view(2, 3, 15, 15)
        return functional.scaled_dot_product_attention(query, key, value, attn_mask=bias)

    seen = count_backward(nn.Identity(), attend_with_bias)
    assert seen.cuda_core_flops == (5 + 2) * 6 * 15 * 15
    assert seen.tensor_core_flops == 4 * 2 * 6 * 15 * 15 * 7
    assert seen.aten_calls == {"sum": 2}, "one over the columns and one over the rows"


def test_sums_beside_attention_count() -> None:
    """The queries are a residual too: a sum of 2 * 3 * 7 * 5 gradients, which attention's own node starts."""
    query, key, value = (learned(2, 3, 7, 5) for _ in range(3))
    seen = count_backward(nn.Identity(), lambda: functional.scaled_dot_product_attention(query, key, value) + query)
    assert seen.cuda_core_flops == 5 * 294 + 210


def test_the_products_are_those_that_torch_counts_in_a_plain_backward() -> None:
    query, key, value = (learned(2, 3, 7, 5) for _ in range(3))
    attended = functional.scaled_dot_product_attention(query, key, value)
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        attended.sum().backward()
    assert counter.get_total_flops() == attend().tensor_core_flops


def test_joining_the_heads_of_attention_is_a_view_in_learning_too() -> None:
    query, key, value = (learned(2, 3, 7, 5) for _ in range(3))

    def join() -> Tensor:
        attended = functional.scaled_dot_product_attention(query, key, value)
        return attended.transpose(1, 2).reshape(2, 7, 15)

    assert [operator.name for operator in record_forward(nn.Identity(), join).operators] == [
        "scaled_dot_product_attention"
    ]
    seen = count_backward(nn.Identity(), join)
    assert (seen.tensor_core_flops, seen.cuda_core_flops, seen.aten_calls) == (4 * 2940, 5 * 294, {})


def test_the_nodes_of_attentions_are_told_from_others_by_their_numbers() -> None:
    query = learned(1, 3, 7, 5)

    def attend_twice() -> Tensor:
        once = functional.scaled_dot_product_attention(query, query, query)
        return functional.scaled_dot_product_attention(once * 2.0, query, query)

    recorded = record_forward(nn.Identity(), attend_twice)
    first, scale, second = recorded.operators
    assert [attention.scores for attention in recorded.attentions] == [3 * 49, 3 * 49]
    assert first.nodes.stop <= scale.nodes.start < scale.nodes.stop <= second.nodes.start
    found = {find_attention(number, recorded.attentions) for number in first.nodes}
    assert found == {0}
    assert find_attention(scale.nodes.start, recorded.attentions) is None
    assert find_attention(second.nodes[-1], recorded.attentions) == 1
    assert find_attention(3, [Attention(5, 7, 11)]) is None


def test_counting_leaves_no_gradients_and_torch_as_it_was() -> None:
    original, linear = functional.scaled_dot_product_attention, nn.Linear(5, 3, device="meta")
    first = count_backward(linear, lambda: linear(learned(7, 5)))
    assert linear.weight.grad is None
    assert count_backward(linear, lambda: linear(learned(7, 5))) == first
    assert functional.scaled_dot_product_attention is original


def test_an_operator_that_the_table_lacks_is_an_error() -> None:
    with pytest.raises(CountError, match=r"found aten\.erfinv"):
        count_backward(nn.Identity(), lambda: torch.erfinv(learned(7, 5)))


def forget_operators() -> None:
    """Forget which operators were found in the table."""
    dispatch.is_listed.cache_clear()
    matrix_products._is_accounted_for.cache_clear()


def test_a_backward_of_an_operator_that_the_table_lacks_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operator_table, "VECTOR_FLOPS", {
        name: weight for name, weight in operator_table.VECTOR_FLOPS.items() if name != "gelu_backward"
    })  # fmt: skip
    forget_operators()
    with pytest.raises(CountError, match=r"found aten\.gelu_backward"):
        count_backward(nn.Identity(), lambda: functional.gelu(learned(7, 5)))
    forget_operators()


def test_a_forward_that_nothing_can_learn_from_is_an_error() -> None:
    frozen = nn.Linear(5, 3, device="meta").requires_grad_(False)
    with pytest.raises(CountError, match="a forward without a backward"):
        count_backward(frozen, lambda: frozen(data(7, 5)))
