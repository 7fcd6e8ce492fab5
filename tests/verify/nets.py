"""Tiny nets that several test files share."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn


class Apply(nn.Module):
    """A composite module, because it has a child, whose forward calls ``function``."""

    def __init__(self, function: Callable[..., object], **parameters: Tensor) -> None:
        super().__init__()
        self.function = function
        self.child = nn.Identity()
        for name, value in parameters.items():
            self.register_parameter(name, nn.Parameter(value))

    def forward(self, *inputs: Tensor) -> object:
        return self.function(*inputs)
