"""The published table of vector arithmetic."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from modelmeter.metrics.operator_table import (
    ATTENTION,
    EAGER_ATTENTION,
    FRESH_MEMORY,
    LOOK_UPS,
    MATRIX_OPERATORS,
    MOVING_OPERATORS,
    OVERWRITING,
    UNFUSED_OPERATORS,
    VECTOR_FLOPS,
    VIEW_OPERATORS,
    find_weight,
    vector_flops,
)
from modelmeter.models.deepseek_ocr.dimensions import symbol
from modelmeter.support.errors import FormulaError

NUMBERS = {
    "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "fifteen": 15, "sixteen": 16
}  # fmt: skip


@pytest.mark.parametrize("name", VECTOR_FLOPS)
def test_the_reason_lists_as_many_operations_as_the_weight_says(name: str) -> None:
    """Each word of a list is one operation; "two products" and "five of a softmax" are as many as they say."""
    weight = VECTOR_FLOPS[name]
    parts = re.split(r", and the | and |, ", weight.reason)
    counts = []
    for part in parts:
        first, *_ = part.split()
        counts.append({**NUMBERS, "a": 1}.get(first, 1))
    assert sum(counts) == weight.flops


LISTS = {"matrix": MATRIX_OPERATORS, "moving": MOVING_OPERATORS, "views": VIEW_OPERATORS, "fresh memory": FRESH_MEMORY}


def test_no_operator_is_in_two_lists() -> None:
    """One that is counted as a matrix product and as vector work would be counted twice."""
    named = [name for names in (VECTOR_FLOPS, *LISTS.values()) for name in names]
    assert sorted(named) == sorted(set(named))


@pytest.mark.parametrize("name", sorted({*VECTOR_FLOPS, *(name for names in LISTS.values() for name in names)}))
def test_every_operator_is_one_of_aten(name: str) -> None:
    """A misspelt name would never be met; a bias, complex numbers and the backward of attention have none."""
    own = name.removesuffix("_bias").removesuffix("_complex").replace("attention_backward", "attention")
    assert hasattr(torch.ops.aten, own)


def test_special_operators_are_listed_as_what_they_are_otherwise() -> None:
    """Look-ups read rows, and overwriting ones do not read what they write; both only move, or fill."""
    assert LOOK_UPS <= MOVING_OPERATORS
    assert OVERWRITING <= MOVING_OPERATORS | FRESH_MEMORY
    assert {*MATRIX_OPERATORS, *LOOK_UPS, ATTENTION, EAGER_ATTENTION} == UNFUSED_OPERATORS
    assert ATTENTION in VECTOR_FLOPS


def make_samples() -> dict[str, Callable[[Tensor], object]]:
    """Return calls of listed operators on 3 x 4 numbers, of which the lists say whether they give a view of them."""
    index = torch.tensor([[2, 0, 1, 1]])
    return {
        # views
        "view": lambda x: x.view(4, 3),
        "permute": lambda x: x.permute(1, 0),
        "transpose": lambda x: x.transpose(0, 1),
        "t": lambda x: x.t(),
        "unsqueeze": lambda x: x.unsqueeze(0),
        "squeeze": lambda x: x.squeeze(),
        "expand": lambda x: x.expand(2, 3, 4),
        "slice": lambda x: x[1:],
        "select": lambda x: x[1],
        "split": lambda x: x.split(2),
        "split_with_sizes": lambda x: x.split([1, 2]),
        "unbind": lambda x: x.unbind(0),
        "detach": lambda x: x.detach(),
        "unfold": lambda x: x.unfold(0, 2, 1),
        # copies
        "clone": lambda x: x.clone(),
        "_to_copy": lambda x: x.to(torch.float64),
        "cat": lambda x: torch.cat((x, x)),
        "stack": lambda x: torch.stack((x, x)),
        "constant_pad_nd": lambda x: functional.pad(x, (1, 2)),
        "index": lambda x: x[index[0] % 3],
        "gather": lambda x: x.gather(0, index),
        "embedding": lambda x: functional.embedding(index, x),
        "sort": lambda x: x.sort(stable=False),
    }


@pytest.mark.parametrize("name", make_samples())
def test_views_share_the_memory_of_what_they_show_and_copies_do_not(name: str) -> None:
    numbers = torch.arange(12.0).view(3, 4)
    result = make_samples()[name](numbers)
    tensors = [result] if isinstance(result, Tensor) else [each for each in result if isinstance(each, Tensor)]
    shares = {tensor.untyped_storage().data_ptr() == numbers.untyped_storage().data_ptr() for tensor in tensors}
    assert shares == {name in VIEW_OPERATORS}
    assert (name in VIEW_OPERATORS) != (name in MOVING_OPERATORS)


def test_in_place_operators_weigh_as_those_that_they_are() -> None:
    assert find_weight("mul_") == find_weight("mul") == VECTOR_FLOPS["mul"]
    # What only moves has no weight, although one of the backward has its name without the mark.
    assert find_weight("index_put_") is None
    assert find_weight("index_put") == VECTOR_FLOPS["index_put"]
    assert find_weight("tanh_") == find_weight("tanh") == VECTOR_FLOPS["tanh"]
    assert find_weight("copy_") is None


def test_the_weight_is_by_element() -> None:
    assert vector_flops("sigmoid", 7) == 4 * 7
    assert vector_flops("sigmoid", symbol("num_tokens")) == 4 * symbol("num_tokens")


def test_an_operator_without_a_weight_is_an_error_and_not_free() -> None:
    for name in ("frobnicate", "mm", "view", "clone", "index_put_"):
        with pytest.raises(FormulaError, match=f"no weight for this operator; found {name}"):
            vector_flops(name, 7)
