"""Runs every comparison with torch in both kinds of types: with casts of what is kept in float32, and without."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch

import layer_check
from modelmeter.graph.dtypes import default_dtype


@pytest.fixture(params=[torch.bfloat16, torch.float32], ids=["bfloat16", "float32"])
def default_type(request: pytest.FixtureRequest) -> Iterator[torch.dtype]:
    """The type of all modules and features that a test makes."""
    with default_dtype(request.param):
        yield request.param


@pytest.fixture
def check_layer(default_type: torch.dtype) -> Callable[..., None]:
    """The comparison of a layer with a forward of a module, which is made in one type and then in the other."""
    return layer_check.check_layer


@pytest.fixture
def check_training(default_type: torch.dtype) -> Callable[..., None]:
    """The same of a training step."""
    return layer_check.check_training
