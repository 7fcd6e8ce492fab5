"""Operators of tiny nets, against numbers worked out by hand in the comments: what each reads, writes and computes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from nets import Apply, count, count_one, indices, learned, make, meta
from torch import Tensor, nn
from torch.nn import functional

from modelmeter.metrics.cost import Elements, Operator
from modelmeter.support.errors import CountError
from modelmeter.verify.backward import record_forward
from modelmeter.verify.dispatch import Dispatched
from modelmeter.verify.operators import CountedOperator, count_stored
from modelmeter.verify.weights import count_scores, weigh


def test_a_linear_layer_reads_its_input_and_weights_and_its_bias_costs_no_flops() -> None:
    # 2 x 7 rows of 5 channels to 3: products 2 * 14 * 5 * 3 = 420; weights 5 * 3 + 3 = 18.
    assert count_one(nn.Linear(5, 3, device="meta"), meta(2, 7, 5)) == make(
        "addmm", tensor_core_flops=420, cuda_core_flops=0,
        reads=Elements(activation=70, weight=18), writes=Elements(activation=42),
    )  # fmt: skip
    assert count_one(nn.Linear(5, 3, bias=False, device="meta"), meta(2, 7, 5)) == make(
        "mm", tensor_core_flops=420, reads=Elements(activation=70, weight=15), writes=Elements(activation=42)
    )


def test_a_bias_that_is_dispatched_on_its_own_is_an_operator_of_its_own() -> None:
    """ATen does not give turned rows to addmm: it multiplies them, and adds the bias to what it has written."""
    multiply, add = count(nn.Linear(5, 3, device="meta"), meta(7, 2, 5).transpose(0, 1)).operators
    assert multiply == make(
        "bmm", tensor_core_flops=420, reads=Elements(activation=70, weight=15), writes=Elements(activation=42)
    )
    assert add == make(
        "add", cuda_core_flops=42, reads=Elements(activation=42, weight=3), writes=Elements(activation=42)
    )


def test_complex_numbers_are_two_numbers_each_and_their_products_six_operations() -> None:
    # 2 x 7 angles: a cosine, a sine and two products each, 56; 14 complex numbers of two 32-bit floats.
    def turn(length: Tensor, angle: Tensor) -> Tensor:
        return torch.polar(length, angle)

    assert count_one(Apply(turn), meta(2, 7), meta(2, 7)) == make(
        "polar", cuda_core_flops=56, reads=Elements(activation=28), writes=Elements(activation=28)
    )

    # 2 x 5 pairs by 5 numbers that all rows share: 10 products of 6 operations; views as complex cost nothing.
    def rotate(pairs: Tensor, by: Tensor) -> Tensor:
        return torch.view_as_real(torch.view_as_complex(pairs) * torch.view_as_complex(by))

    assert count_one(Apply(rotate), meta(2, 5, 2), meta(5, 2)) == make(
        "mul", cuda_core_flops=60, reads=Elements(activation=20 + 10), writes=Elements(activation=20)
    )

    with pytest.raises(CountError, match=r"complex numbers has no price; found aten\.div"):
        count_one(
            Apply(lambda one, other: torch.view_as_complex(one) / torch.view_as_complex(other)), *[meta(5, 2)] * 2
        )


def test_a_convolution() -> None:
    # (11 + 2 - 3) // 2 + 1 = 6 rows and (7 + 2 - 3) // 2 + 1 = 4 columns of output.
    # Products 2 * (2 * 6 * 4) * 5 * (3 * 3 * 3) = 12,960; weights 5 * 27 + 5 = 140.
    convolution = nn.Conv2d(3, 5, kernel_size=3, stride=2, padding=1, device="meta")
    assert count_one(convolution, meta(2, 3, 11, 7)) == make(
        "convolution", tensor_core_flops=12960, cuda_core_flops=0,
        reads=Elements(activation=2 * 3 * 11 * 7, weight=140), writes=Elements(activation=2 * 5 * 6 * 4),
    )  # fmt: skip


# Two sequences, six query heads over three heads of keys and values, 5 queries, 7 keys, 4 channels.
# Scores 2 * 6 * 5 * 7 = 420; two products of 2 * 420 * 4 FLOPs; queries 240 elements, keys 168, values 168.
# A mask that is stored for every score is read so; one that all heads share is expanded, and read once.
@pytest.mark.parametrize("device", ["meta", "cpu"])
@pytest.mark.parametrize(
    ("mask_shape", "cuda_core_flops", "mask_elements"),
    [(None, 6 * 420, 0), ((5, 7), 7 * 420, 35), ((2, 6, 5, 7), 7 * 420, 420)],
    ids=["no mask", "shared mask", "stored mask"],
)
def test_attention_is_one_operator(
    device: str, mask_shape: tuple[int, ...] | None, cuda_core_flops: int, mask_elements: int
) -> None:
    def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        mask = None if mask_shape is None else torch.empty(mask_shape, device=device).expand(2, 6, 5, 7)
        return functional.scaled_dot_product_attention(query, key, value, attn_mask=mask, enable_gqa=True)

    query, key, value = (torch.ones(2, heads, length, 4, device=device) for heads, length in ((6, 5), (3, 7), (3, 7)))
    assert count_one(Apply(attend), query, key, value) == make(
        "scaled_dot_product_attention", scores=420, tensor_core_flops=2 * 2 * 420 * 4, cuda_core_flops=cuda_core_flops,
        reads=Elements(activation=240 + 2 * 168 + mask_elements), writes=Elements(activation=240),
    )  # fmt: skip


def test_causal_attention_counts_the_full_rectangle() -> None:
    def attend(query: Tensor, key: Tensor) -> Tensor:
        return functional.scaled_dot_product_attention(query, key, key, is_causal=True)

    # 3 heads, 5 x 7 scores; keys and values are the same tensor, which is read once.
    operator = count_one(Apply(attend), meta(1, 3, 5, 2), meta(1, 3, 7, 2))
    assert operator.cuda_core_flops == 6 * 105
    assert operator.tensor_core_flops == 2 * 2 * 105 * 2
    assert operator.reads == Elements(activation=30 + 42)


def test_a_bias_of_scores_that_is_made_before_is_stored() -> None:
    """As SAM's: a row term and a column term of 6 heads over 3 x 5 positions, 15 * 15 scores each."""

    def add_terms(rows: Tensor, columns: Tensor) -> Tensor:
        return rows.unsqueeze(-1) + columns.unsqueeze(-2)

    # 6 * 15 * 3 and 6 * 15 * 5 terms are read, 6 * 15 * 15 sums are written.
    assert count_one(Apply(add_terms), meta(6, 15, 3), meta(6, 15, 5)) == make(
        "add", cuda_core_flops=1350, reads=Elements(activation=270 + 450), writes=Elements(activation=1350)
    )


def test_embedding_reads_the_rows_it_takes() -> None:
    operator = count_one(nn.Embedding(11, 5, device="meta"), indices(2, 3))
    assert operator == make("embedding", reads=Elements(weight=30, index=6), writes=Elements(activation=30))


def test_indexing_reads_the_rows_it_takes_and_assignment_reads_and_writes_the_target_it_is_given() -> None:
    def move(table: Tensor, rows: Tensor) -> Tensor:
        target = torch.empty_like(table)
        target[rows // 2] = table[rows]
        return target

    # Three rows of 11, each of 5 channels; halving the row numbers is integer work. The target has 55 elements.
    halve, index, index_put = sorted(count(Apply(move), meta(11, 5), indices(3)).operators, key=lambda one: one.name)
    assert halve == make("floor_divide", reads=Elements(index=3), writes=Elements(index=3))
    assert index == make("index", reads=Elements(activation=15, index=3), writes=Elements(activation=15))
    assert index_put == make("index_put_", reads=Elements(activation=55 + 15, index=3), writes=Elements(activation=55))


# 3 rows of 5. In place, the target is read and written; the operator costs what it costs out of place.
@pytest.mark.parametrize(
    ("change", "name", "flops", "read"),
    [
        (lambda target: target.mul_(2.5), "mul_", 15, 15),
        (lambda target: target.mul_(meta(3, 1)), "mul_", 15, 15 + 3),
        (lambda target: target.add_(meta(5)), "add_", 15, 15 + 5),
        (lambda target: target.copy_(meta(3, 1)), "copy_", 0, 3),
    ],
    ids=["a number", "a column", "a row", "a copy"],
)
def test_an_operator_in_place_reads_its_target_unless_it_overwrites_it(
    change: Callable[[Tensor], Tensor], name: str, flops: int, read: int
) -> None:
    operator = count_one(Apply(change), meta(3, 5))
    assert operator == make(
        name, cuda_core_flops=flops, reads=Elements(activation=read), writes=Elements(activation=15)
    )


def test_marking_and_counting_and_sorting_experts_is_work_on_integers_only() -> None:
    """As of a router: 7 tokens choose 2 of 5 experts."""

    def sort_tokens(numbers: Tensor) -> Tensor:
        table = numbers.new_zeros(7, 5).scatter_(1, numbers, 1)
        table.sum(dim=0)
        return numbers.view(-1).argsort()

    mark, add, sort = count(Apply(sort_tokens), indices(7, 2)).operators
    # The table of 35 is read with the 14 numbers; a sort writes the numbers in their order and their places.
    assert mark == make("scatter_", reads=Elements(index=35 + 14), writes=Elements(index=35))
    assert add == make("sum", reads=Elements(index=35), writes=Elements(index=5))
    assert sort == make("sort", reads=Elements(index=14), writes=Elements(index=28))


def test_what_is_read_twice_or_expanded_is_read_once() -> None:
    assert count_one(nn.GELU(), meta(1, 5).expand(7, 5)) == make(
        "gelu", cuda_core_flops=5 * 35, reads=Elements(activation=5), writes=Elements(activation=35)
    )
    assert count_one(Apply(lambda rows: rows * rows), meta(3, 5)).reads == Elements(activation=15)
    # Other parts of one memory are other reads: columns 0 and 1, and columns 1 and 2.
    assert count_one(Apply(lambda rows: rows[:, :2] + rows[:, 1:3]), meta(3, 5)).reads == Elements(activation=12)


def test_operators_of_the_same_shapes_on_other_memory_read_other_elements() -> None:
    weight = meta(3, 4)

    def multiply(one: Tensor, other: Tensor) -> None:
        held = net.get_parameter("weight")
        for left, right in ((one, other), (one, one), (one, held), (held, one), (held, held), (one, other)):
            torch.mul(left, right)

    net = Apply(multiply, weight=weight)
    with torch.inference_mode():
        counted = count(net, meta(3, 4), meta(3, 4)).operators
    # Of 12 elements each: two tensors, one twice, one and the weights in either order, the weights twice, two tensors.
    assert [each.reads for each in counted] == [
        Elements(activation=24), Elements(activation=12), Elements(activation=12, weight=12),
        Elements(activation=12, weight=12), Elements(weight=12), Elements(activation=24),
    ]  # fmt: skip
    assert {each.writes for each in counted} == {Elements(activation=12)}
    assert [each.cuda_core_flops for each in counted] == [12] * 6


def test_a_padding_reads_what_it_pads_and_writes_all() -> None:
    # 3 rows of 5 become 5 rows.
    operator = count_one(Apply(lambda rows: functional.pad(rows, (0, 0, 0, 2))), meta(3, 5))
    assert operator == make("constant_pad_nd", reads=Elements(activation=15), writes=Elements(activation=25))


def test_gradients_are_wanted_of_the_floats_that_require_them() -> None:
    table, ids = learned(53, 5), indices(7)
    recorded = record_forward(nn.Identity(), lambda: table[ids] * meta(7, 1) + learned(5))
    take, scale, shift = recorded.operators
    # Seven rows of 5; the factors are data; a row of 5 that is broadcast has a gradient of 5.
    assert take.gradients == Elements(activation=35)
    assert scale.gradients == Elements(activation=35)
    assert shift.gradients == Elements(activation=35 + 5)
    assert [len(operator.nodes) for operator in recorded.operators] == [1, 1, 1]
    assert len({operator.nodes.start for operator in recorded.operators}) == 3
    assert count_one(Apply(lambda: learned(3, 5) + 1.0)).gradients is None, "nothing is learned in inference"


def test_what_is_stored_leaves_out_expanded_dimensions() -> None:
    assert count_stored(meta(3, 1, 5).expand(3, 7, 5)) == 15
    assert count_stored(meta(3, 7)[:, 1:4]) == 9
    assert count_stored(meta()) == 1
    # 2 x 6 heads of 5 queries, and 7 keys.
    assert count_scores(meta(2, 6, 5, 4), meta(2, 3, 7, 4)) == 420


@pytest.mark.parametrize(
    ("name", "inputs", "outputs", "flops"),
    [
        ("mul_", [meta(3, 5)], [meta(3, 5)], 15),
        ("sum", [meta(3, 5)], [meta(3)], 15),
        ("topk", [meta(3, 5)], [meta(3, 2), indices(3, 2)], 15),
        ("native_layer_norm", [meta(3, 5), meta(5), meta(5)], [meta(3, 5), meta(3, 1), meta(3, 1)], 7 * 15),
        ("index_put", [meta(53, 5), indices(7), meta(7, 5)], [meta(53, 5)], 35),
        ("mul", [indices(3, 5)], [indices(3, 5)], 0),
        ("mul", [indices(3, 5)], [meta(3, 5)], 15),
        ("clone", [meta(3, 5)], [meta(3, 5)], 0),
        # A gradient of 2 x 5 x 3 x 3 for a convolution, and for its bias of 5 or without one.
        ("convolution_backward", [meta(2, 5, 3, 3)], [meta(2, 3, 7, 7), meta(5, 3, 3, 3), meta(5)], 90),
        ("convolution_backward", [meta(2, 5, 3, 3)], [meta(2, 3, 7, 7), meta(5, 3, 3, 3)], 0),
    ],
)
def test_arithmetic_is_weighed_by_the_elements_that_the_table_names(
    name: str, inputs: list[Tensor], outputs: list[Tensor], flops: int
) -> None:
    assert weigh(Dispatched(path="", name=name, inputs=inputs, outputs=outputs)) == flops


def test_a_counted_operator_is_an_operator_with_a_place() -> None:
    fields = {"name": "add", "reads": Elements(activation=3), "writes": Elements(activation=3)}
    assert isinstance(CountedOperator(path="lin", **fields), Operator)
    assert CountedOperator(path="lin", **fields) != CountedOperator(path="other", **fields)
    assert CountedOperator(path="lin", nodes=range(3, 4), **fields) == CountedOperator(path="lin", **fields)
