"""The type of the numbers that torch makes where nothing else is said."""

from __future__ import annotations

import pytest
import torch

from modelmeter.graph.dtypes import default_dtype


def test_what_is_made_inside_has_the_type_and_what_is_made_afterwards_that_of_before() -> None:
    before = torch.get_default_dtype()
    with default_dtype(torch.bfloat16):
        assert torch.empty(3).dtype == torch.bfloat16
        # Integers that are multiplied by a number, as coordinates are, become numbers of this type.
        assert (torch.arange(3) * 1.0).dtype == torch.bfloat16
        with default_dtype(torch.float64):
            assert torch.empty(3).dtype == torch.float64
        assert torch.empty(3).dtype == torch.bfloat16
        assert torch.arange(3).dtype == torch.int64
        assert torch.empty(3, dtype=torch.float32).dtype == torch.float32, "what says its type itself has that"
    assert torch.get_default_dtype() == before


def test_the_type_is_put_back_also_where_something_fails() -> None:
    before = torch.get_default_dtype()
    with pytest.raises(ZeroDivisionError), default_dtype(torch.float16):
        raise ZeroDivisionError
    assert torch.get_default_dtype() == before
