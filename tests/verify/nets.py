"""Tiny nets that several test files share, and a count and a symbolic trace of one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sympy
import torch
from torch import Tensor, nn

from modelmeter.metrics.cost import Elements
from modelmeter.verify.counting import ForwardCount, count_forward
from modelmeter.verify.guards import Assumed
from modelmeter.verify.operators import CountedOperator
from modelmeter.verify.symbolic_trace import Forward, SymbolicTrace, TorchSizes, trace_everything

rows = sympy.Symbol("rows", integer=True, positive=True)


def meta(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.empty(shape, device="meta", dtype=dtype)


def indices(*shape: int) -> Tensor:
    return torch.zeros(shape, device="meta", dtype=torch.int64)


def learned(*shape: int) -> Tensor:
    """Return a tensor that wants a gradient."""
    return torch.empty(shape, device="meta", requires_grad=True)


def count(module: nn.Module, *inputs: Tensor) -> ForwardCount:
    return count_forward(module, lambda: module(*inputs))


def count_one(module: nn.Module, *inputs: Tensor) -> CountedOperator:
    """Count a forward that must be one operator."""
    (operator,) = count(module, *inputs).operators
    return operator


def make(name: str, **fields: Any) -> CountedOperator:
    """Return an operator of the model itself, whose backward begins with a gradient of all floats that it writes."""
    written: Elements = fields["writes"]
    return CountedOperator(path="", name=name, differentiated=written.floats, **fields)


class Apply(nn.Module):
    """Calls ``function``; its parameters say which type the model computes with."""

    def __init__(self, function: Callable[..., Any], **parameters: Tensor) -> None:
        super().__init__()
        self.function = function
        for name, value in parameters.items():
            self.register_parameter(name, nn.Parameter(value))

    def forward(self, *inputs: Tensor) -> Any:
        return self.function(*inputs)


class AfterLinear(nn.Module):
    """Calls ``function`` on the output of a linear layer of five channels to three."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function
        self.linear = nn.Linear(5, 3)

    def forward(self, features: Tensor) -> Tensor:
        return self.function(self.linear(features))


def trace_rows(
    function: Callable[[Tensor], Tensor], *, assumed: Assumed = (), dtype: torch.dtype = torch.bfloat16
) -> SymbolicTrace:
    """Trace ``function`` after a linear layer on (rows, 5)."""

    def prepare(sizes: TorchSizes) -> Forward:
        model = AfterLinear(function)
        return Forward(model=model, run=lambda: model(torch.empty(sizes[rows.name], 5)))

    return trace_everything(prepare, [rows], assumed, dtype)
