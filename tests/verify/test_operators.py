"""Operators of tiny nets, against numbers worked out by hand in the comments: what each reads, writes and computes."""

from __future__ import annotations

import pytest
import torch
from nets import Apply, count, count_one, meta
from torch import Tensor, nn
from torch.nn import functional

from modelmeter.cost import Elements
from modelmeter.errors import CountError
from modelmeter.models.deepseek_ocr.reference_functions import decomposed_relative_attention
from modelmeter.verify.operators import CountedOperator


def test_a_linear_layer_reads_its_input_and_weights_and_its_bias_costs_no_flops() -> None:
    # 2 x 7 rows of 5 channels to 3: products 2 * 14 * 5 * 3 = 420; weights 5 * 3 + 3 = 18.
    assert count_one(nn.Linear(5, 3, device="meta"), meta(2, 7, 5)) == CountedOperator(
        path="", name="Linear", tensor_core_flops=420, cuda_core_flops=0,
        reads=Elements(activation=70, weight=18), writes=Elements(activation=42),
    )  # fmt: skip


def test_a_convolution() -> None:
    # (11 + 2 - 3) // 2 + 1 = 6 rows and (7 + 2 - 3) // 2 + 1 = 4 columns of output.
    # Products 2 * (2 * 6 * 4) * 5 * (3 * 3 * 3) = 12,960; weights 5 * 27 + 5 = 140.
    convolution = nn.Conv2d(3, 5, kernel_size=3, stride=2, padding=1, device="meta")
    assert count_one(convolution, meta(2, 3, 11, 7)) == CountedOperator(
        path="", name="Conv2d", tensor_core_flops=12960, cuda_core_flops=0,
        reads=Elements(activation=2 * 3 * 11 * 7, weight=140), writes=Elements(activation=2 * 5 * 6 * 4),
    )  # fmt: skip


# Two sequences, six query heads over three heads of keys and values, 5 queries, 7 keys, 4 channels.
# Scores 2 * 6 * 5 * 7 = 420; two products of 2 * 420 * 4 FLOPs; queries 240 elements, keys 168, values 168.
@pytest.mark.parametrize("device", ["meta", "cpu"])
@pytest.mark.parametrize(
    ("mask_shape", "cuda_core_flops", "mask_elements"), [(None, 6 * 420, 0), ((5, 7), 7 * 420, 35)]
)
def test_attention_is_one_operator(
    device: str, mask_shape: tuple[int, int] | None, cuda_core_flops: int, mask_elements: int
) -> None:
    def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        mask = None if mask_shape is None else torch.empty(mask_shape, device=device).expand(2, 6, 5, 7)
        return functional.scaled_dot_product_attention(query, key, value, attn_mask=mask, enable_gqa=True)

    query, key, value = (torch.ones(2, heads, length, 4, device=device) for heads, length in ((6, 5), (3, 7), (3, 7)))
    assert count_one(Apply(attend), query, key, value) == CountedOperator(
        path="", name="scaled_dot_product_attention", tensor_core_flops=2 * 2 * 420 * 4,
        cuda_core_flops=cuda_core_flops, reads=Elements(activation=240 + 2 * 168 + mask_elements),
        writes=Elements(activation=240),
    )  # fmt: skip


def test_causal_attention_counts_the_full_rectangle() -> None:
    def attend(query: Tensor, key: Tensor) -> Tensor:
        return functional.scaled_dot_product_attention(query, key, key, is_causal=True)

    # 3 heads, 5 x 7 scores; keys and values are the same tensor, which is read once.
    operator = count_one(Apply(attend), meta(1, 3, 5, 2), meta(1, 3, 7, 2))
    assert operator.cuda_core_flops == 6 * 105
    assert operator.tensor_core_flops == 2 * 2 * 105 * 2
    assert operator.reads == Elements(activation=30 + 42)


def test_attention_with_decomposed_positions_is_one_operator_that_also_adds_its_bias() -> None:
    # 2 windows of 2 x 3 positions, 3 heads of 4 channels: 144 elements a tensor, 2 * 3 * 6 * 6 = 216 scores.
    # Row terms 6 * 2 * 3 * 2 = 72, column terms 6 * 2 * 3 * 3 = 108. For each score: row + column, 6, bias.
    tensors = (*(meta(2, 3, 6, 4) for _ in range(3)), meta(6, 2, 3, 2), meta(6, 2, 3, 3))
    assert count_one(Apply(decomposed_relative_attention), *tensors) == CountedOperator(
        path="", name="decomposed_relative_attention", tensor_core_flops=2 * 2 * 216 * 4,
        cuda_core_flops=8 * 216, reads=Elements(activation=3 * 144 + 72 + 108), writes=Elements(activation=144),
    )  # fmt: skip


def test_embedding_reads_the_rows_it_takes() -> None:
    embedding = nn.Embedding(11, 5, device="meta")
    operator = count_one(embedding, torch.zeros(2, 3, dtype=torch.int64, device="meta"))
    assert operator.reads == Elements(weight=30, index=6)
    assert operator.writes == Elements(activation=30)


def test_indexing_reads_the_rows_it_takes_and_assignment_writes_the_rows_it_is_given() -> None:
    def swap(table: Tensor, rows: Tensor) -> Tensor:
        target = torch.empty_like(table)
        target[rows // 2] = table[rows]
        return target

    # Three rows of 11, each of 5 channels; halving the row numbers is integer work.
    index, index_put = count(Apply(swap), meta(11, 5), torch.zeros(3, dtype=torch.int64, device="meta")).operators
    expected = {"reads": Elements(activation=15, index=3), "writes": Elements(activation=15)}
    assert index == CountedOperator(path="", name="index", **expected)
    assert index_put == CountedOperator(path="", name="index_put", **expected)


def test_a_layout_change_or_a_cast_of_a_parameter_is_still_a_parameter() -> None:
    model = Apply(lambda rows: rows * model.scale.to(torch.bfloat16).float().view(5, 3).t().reshape(15), scale=meta(15))
    # 7 rows of 15. The copies that the casts and the reshape make are not counted, and what is read is weights.
    assert count_one(model, meta(7, 15)).reads == Elements(activation=105, weight=15)


def test_an_expanded_dimension_is_read_once_by_leaf_modules_too() -> None:
    operator = count_one(nn.GELU(), meta(1, 5).expand(7, 5))
    assert operator.reads == Elements(activation=5)
    assert operator.writes == Elements(activation=35)
    assert operator.cuda_core_flops == 5 * 35


class Picky(nn.Module):
    """A leaf that is given two tensors and looks at the shape of the second only."""

    def forward(self, rows: Tensor, other: Tensor) -> Tensor:
        return rows * other.shape[0]


def test_an_input_that_is_never_touched_is_not_read() -> None:
    assert count_one(Picky(), meta(3, 5), meta(7, 11)).reads == Elements(activation=15)


def test_a_module_that_returns_its_input_writes_nothing() -> None:
    operator = count_one(nn.Identity(), meta(3, 5))
    assert operator.reads == operator.writes == Elements()


class Filling(nn.Module):
    """A leaf that fills a tensor which it is given."""

    def forward(self, rows: Tensor, target: Tensor) -> Tensor:
        return target[:, :5].copy_(rows)


def test_an_input_that_is_overwritten_is_written_and_not_read() -> None:
    operator = count_one(Filling(), meta(3, 5), meta(3, 7))
    assert operator.reads == operator.writes == Elements(activation=15)


class Secretive(nn.Module):
    """A leaf that reads a tensor which it was not given."""

    def __init__(self) -> None:
        super().__init__()
        self.secrets = [meta(3, 5)]

    def forward(self, rows: Tensor) -> Tensor:
        return rows + self.secrets[0]


def test_reading_a_tensor_that_is_no_input_is_an_error() -> None:
    with pytest.raises(CountError, match="Secretive: an operator reads a tensor that is not among its inputs"):
        count(Secretive(), meta(3, 5))


def test_a_module_outside_the_model_is_an_error() -> None:
    stranger = nn.GELU()
    with pytest.raises(CountError, match="GELU: a module runs inside an operator, or is not part of the model"):
        count(Apply(lambda rows: stranger(rows)), meta(3, 5))


class Borrowing(nn.Module):
    """A leaf that runs a module of its neighbour."""

    def __init__(self, neighbour: nn.Module) -> None:
        super().__init__()
        self.borrowed = [neighbour]

    def forward(self, rows: Tensor) -> Tensor:
        return self.borrowed[0](rows)


def test_a_module_inside_a_leaf_module_is_an_error() -> None:
    activation = nn.GELU()
    with pytest.raises(CountError, match="GELU: a module runs inside an operator"):
        count(nn.Sequential(activation, Borrowing(activation)), meta(3, 5))


def test_numbers_without_an_agreed_width_are_an_error() -> None:
    mask = torch.ones(5, 5, dtype=torch.bool, device="meta")
    model = Apply(lambda rows: functional.scaled_dot_product_attention(rows, rows, rows, attn_mask=mask))
    with pytest.raises(CountError, match="without an agreed width"):
        count(model, meta(1, 3, 5, 2))


def test_an_assignment_of_anything_but_whole_rows_is_an_error() -> None:
    rows = torch.zeros(3, dtype=torch.int64, device="meta")
    model = Apply(lambda table: table.__setitem__((rows, rows), table[0, :3]))
    with pytest.raises(CountError, match="index_put: only whole rows"):
        count(model, meta(11, 5))
