"""Lets torch modules be built with symbolic sizes, which a few of their constructors would turn into numbers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from unittest.mock import patch

import torch
from torch import nn

_INITIALISERS = ("kaiming_uniform_", "uniform_", "normal_")
"""They take square roots of sizes. Nothing reads the values on the meta device."""


@contextmanager
def symbolic_modules() -> Iterator[None]:
    """Leave new parameters as they are, and take one symbolic size for the shape of a norm, while it is open."""
    initialise = nn.LayerNorm.__init__

    def initialise_norm(norm: nn.LayerNorm, shape: object, *options: object, **named: object) -> None:
        # LayerNorm takes an int for a shape of one dimension, and a symbolic size is no int to it.
        initialise(norm, (shape,) if isinstance(shape, torch.SymInt) else shape, *options, **named)  # type: ignore[arg-type]

    with ExitStack() as patches:
        for name in _INITIALISERS:
            patches.enter_context(patch.object(nn.init, name, lambda tensor, *options, **named: tensor))
        patches.enter_context(patch.object(nn.init, "_calculate_fan_in_and_fan_out", lambda tensor: (1, 1)))
        patches.enter_context(patch.object(nn.LayerNorm, "__init__", initialise_norm))
        yield
