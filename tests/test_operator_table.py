"""The published table of vector arithmetic."""

from __future__ import annotations

import re

import pytest
import torch

from modelmeter.errors import FormulaError
from modelmeter.operator_table import FREE_OPERATORS, MATRIX_OPERATORS, VECTOR_FLOPS, vector_flops
from modelmeter.symbols import symbol

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


def test_no_operator_is_in_two_lists() -> None:
    """One that is counted as a matrix product and as vector work would be counted twice."""
    assert not VECTOR_FLOPS.keys() & MATRIX_OPERATORS
    assert not VECTOR_FLOPS.keys() & FREE_OPERATORS
    assert not MATRIX_OPERATORS & FREE_OPERATORS


@pytest.mark.parametrize("name", sorted({*VECTOR_FLOPS, *MATRIX_OPERATORS, *FREE_OPERATORS}))
def test_every_operator_is_one_of_aten(name: str) -> None:
    """A misspelt name would never be met; a bias, and the backward of attention, are entries without an operator."""
    assert hasattr(torch.ops.aten, name.removesuffix("_bias").replace("attention_backward", "attention"))


def test_the_weight_is_by_element() -> None:
    assert vector_flops("sigmoid", 7) == 4 * 7
    assert vector_flops("sigmoid", symbol("num_tokens")) == 4 * symbol("num_tokens")


def test_an_operator_without_a_weight_is_an_error_and_not_free() -> None:
    for name in ("tanh", "mm", "view"):
        with pytest.raises(FormulaError, match=f"no weight for this operator; found {name}"):
            vector_flops(name, 7)
