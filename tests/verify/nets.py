"""Tiny nets that several test files share, and a count and a symbolic trace of one."""

from __future__ import annotations

from collections.abc import Callable

import sympy
import torch
from torch import Tensor, nn

from modelmeter.verify.counting import ForwardCount, count_forward
from modelmeter.verify.guards import Assumed
from modelmeter.verify.operators import CountedOperator
from modelmeter.verify.symbolic_trace import Forward, SymbolicTrace, TorchSizes, trace_everything

rows = sympy.Symbol("rows", integer=True, positive=True)


def meta(*shape: int) -> Tensor:
    return torch.empty(shape, device="meta")


def count(module: nn.Module, *inputs: Tensor) -> ForwardCount:
    return count_forward(module, lambda: module(*inputs))


def count_one(module: nn.Module, *inputs: Tensor) -> CountedOperator:
    """Count a forward that must be one operator."""
    (operator,) = count(module, *inputs).operators
    return operator


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


class AfterLinear(nn.Module):
    """Calls ``function`` on the output of a linear layer of five channels to three."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function
        self.linear = nn.Linear(5, 3)

    def forward(self, features: Tensor) -> Tensor:
        return self.function(self.linear(features))


def trace_rows(function: Callable[[Tensor], Tensor], *, assumed: Assumed = ()) -> SymbolicTrace:
    """Trace ``function`` after a linear layer on (rows, 5)."""

    def prepare(sizes: TorchSizes) -> Forward:
        model = AfterLinear(function)
        return Forward(model=model, run=lambda: model(torch.empty(sizes[rows.name], 5)))

    return trace_everything(prepare, [rows], assumed)
