"""Operators of tiny nets, against numbers worked out by hand in the comments: what each reads, writes and computes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from nets import Apply, count, count_one, indices, learned, make, meta
from torch import Tensor, nn
from torch.nn import functional

from modelmeter.core.cost import Elements, Operator
from modelmeter.models.deepseek_ocr.reference_functions import list_offsets
from modelmeter.support.errors import CountError
from modelmeter.verify.backward import record_forward
from modelmeter.verify.dispatch import Dispatched
from modelmeter.verify.operators import CountedOperator, TensorKinds, count_stored
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


def test_what_is_float32_in_a_model_of_another_type_is_a_kind_of_its_own() -> None:
    """As in the decoder's norm: what is cast is read in one kind and written in the other."""

    def norm(states: Tensor) -> Tensor:
        wide = states.to(torch.float32)
        return model.scale * (wide * wide.mean(-1, keepdim=True)).to(states.dtype)

    # 7 rows of 5.
    model = Apply(norm, scale=meta(5, dtype=torch.bfloat16))
    widen, mean, multiply, narrow, weigh_channels = count(model, meta(7, 5, dtype=torch.bfloat16)).operators
    assert widen == make("_to_copy", reads=Elements(activation=35), writes=Elements(float32=35))
    assert mean == make("mean", cuda_core_flops=35, reads=Elements(float32=35), writes=Elements(float32=7))
    assert multiply == make("mul", cuda_core_flops=35, reads=Elements(float32=42), writes=Elements(float32=35))
    assert narrow == make("_to_copy", reads=Elements(float32=35), writes=Elements(activation=35))
    assert weigh_channels == make(
        "mul", cuda_core_flops=35, reads=Elements(activation=35, weight=5), writes=Elements(activation=35)
    )


def test_where_the_model_computes_in_float32_nothing_is_cast_and_all_are_activations() -> None:
    model = Apply(lambda states: states.to(torch.float32) * model.scale.float(), scale=meta(5))
    assert count_one(model, meta(7, 5)) == make(
        "mul", cuda_core_flops=35, reads=Elements(activation=35, weight=5), writes=Elements(activation=35)
    )


def test_a_cast_of_a_parameter_reads_weights_and_what_it_writes_is_none() -> None:
    """As the gate's: its weight is cast at each call. A view of a parameter is still the parameter."""
    model = Apply(
        lambda states: states.float() @ model.scale.view(3, 5).t().float(), scale=meta(15, dtype=torch.bfloat16)
    )
    _, cast, multiply = count(model, meta(7, 5, dtype=torch.bfloat16)).operators
    assert cast == make("_to_copy", reads=Elements(weight=15), writes=Elements(float32=15))
    assert multiply == make(
        "mm", tensor_core_flops=2 * 7 * 5 * 3, reads=Elements(float32=35 + 15), writes=Elements(float32=21)
    )


def test_the_statistics_of_a_norm_are_written_and_start_no_gradient() -> None:
    norm = nn.LayerNorm(5, device="meta", dtype=torch.bfloat16)
    # 3 rows of 5 channels: a mean and a deviation for each row.
    operator = count_one(norm, meta(3, 5, dtype=torch.bfloat16))
    assert operator.reads == Elements(activation=15, weight=10)
    assert operator.writes.activation == operator.differentiated.activation == 15
    assert operator.writes.float32 == 6
    assert operator.differentiated == Elements(activation=15)


def test_coordinates_become_numbers_of_the_type_of_activations_and_indices_again() -> None:
    """As of relative positions on a side of 5: 5 queries, 5 keys, 25 offsets."""
    operators = count(Apply(lambda: list_offsets(5, torch.device("meta")))).operators
    assert [(operator.name, operator.reads, operator.writes) for operator in operators] == [
        ("mul", Elements(index=5), Elements(activation=5)),
        ("mul", Elements(index=5), Elements(activation=5)),
        ("sub", Elements(activation=10), Elements(activation=25)),
        ("add", Elements(activation=25), Elements(activation=25)),
        ("_to_copy", Elements(activation=25), Elements(index=25)),
    ]
    # A product that makes floating-point numbers out of integers is arithmetic on them.
    assert [operator.cuda_core_flops for operator in operators] == [5, 5, 25, 25, 0]


def test_what_is_read_twice_or_expanded_is_read_once() -> None:
    assert count_one(nn.GELU(), meta(1, 5).expand(7, 5)) == make(
        "gelu", cuda_core_flops=5 * 35, reads=Elements(activation=5), writes=Elements(activation=35)
    )
    assert count_one(Apply(lambda rows: rows * rows), meta(3, 5)).reads == Elements(activation=15)
    # Other parts of one memory are other reads: columns 0 and 1, and columns 1 and 2.
    assert count_one(Apply(lambda rows: rows[:, :2] + rows[:, 1:3]), meta(3, 5)).reads == Elements(activation=12)


def test_a_padding_reads_what_it_pads_and_writes_all() -> None:
    # 3 rows of 5 become 5 rows.
    operator = count_one(Apply(lambda rows: functional.pad(rows, (0, 0, 0, 2))), meta(3, 5))
    assert operator == make("constant_pad_nd", reads=Elements(activation=15), writes=Elements(activation=25))


def test_numbers_without_an_agreed_width_are_an_error() -> None:
    wide = torch.ones(5, 5, dtype=torch.float64, device="meta")
    model = Apply(lambda rows: rows @ rows.transpose(-2, -1) + wide)
    with pytest.raises(CountError, match=r"without an agreed width; found torch\.float64"):
        count(model, meta(1, 3, 5, 2))
    with pytest.raises(CountError, match=r"found torch\.float16"):
        count(Apply(lambda rows: rows.half()), meta(3, 5))


def test_kinds_follow_the_memory_and_then_the_type() -> None:
    model = Apply(lambda: None, scale=meta(15, dtype=torch.bfloat16))
    cached: list[Tensor] = []
    kinds = TensorKinds(model, lambda: cached)
    keys, wide = meta(3, 5, dtype=torch.bfloat16), meta(3, 5)
    found = [kinds.find(tensor) for tensor in (model.scale.view(3, 5), keys, wide, indices(3))]
    assert found == ["weight", "activation", "float32", "index"]
    cached.append(keys)
    assert kinds.find(keys) == "activation", "the cache is looked at when it is refreshed"
    kinds.refresh()
    assert kinds.find(keys[:, 1:]) == "kv"
    assert [kinds.is_state(tensor) for tensor in (keys, model.scale, wide)] == [True, True, False]


def test_a_model_without_parameters_computes_with_the_default_type() -> None:
    assert TensorKinds(nn.Identity(), tuple).find_by_type(torch.float32) == "activation"
    with pytest.raises(CountError, match="without an agreed width"):
        TensorKinds(nn.Identity(), tuple).find_by_type(torch.bfloat16)


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
