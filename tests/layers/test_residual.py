"""Blocks of branches behind norms, against a torch module of three."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
import torch
from attrs import frozen
from torch import Tensor, nn

from modelmeter.dimensions.functions import Size
from modelmeter.layers.base import Shape
from modelmeter.layers.child import Child, once
from modelmeter.layers.layer_norm import LayerNorm
from modelmeter.layers.linear import Linear
from modelmeter.layers.residual import ResidualBlock
from modelmeter.layers.tape import Buffer, Tape
from modelmeter.metrics.cost import Elements
from modelmeter.models.deepseek_ocr.dimensions import symbol


class Branches(nn.Module):
    """Three linear layers, each behind a norm and with a residual."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3))
        self.first, self.second, self.third = (nn.Linear(width, width) for _ in range(3))

    def forward(self, features: Tensor) -> Tensor:
        for norm, module in zip(self.norms, (self.first, self.second, self.third), strict=True):
            features = features + module(norm(features))
        return features


@frozen(kw_only=True, slots=False)
class BranchesLayer(ResidualBlock):
    """The layer of ``Branches``."""

    branches = (("a", "first"), ("b", "second"), ("c", "third"))

    num_tokens: Size
    hidden_size: Size

    @property
    def output_shape(self) -> Shape:
        return (self.num_tokens, self.hidden_size)

    def build_children(self) -> Mapping[str, Child]:
        rows, width = (self.num_tokens,), self.hidden_size
        linear = once(Linear(leading_shape=rows, in_features=width, out_features=width))
        norm = once(LayerNorm(leading_shape=rows, hidden_size=width))
        return {name: child for branch in self.branches for name, child in zip(branch, (norm, linear), strict=True)}


@pytest.mark.parametrize("sizes", [{"num_tokens": 7, "hidden_size": 5}, {"num_tokens": 3, "hidden_size": 11}])
def test_every_branch_adds_its_output_and_the_gradient_of_its_input(
    sizes: dict[str, int], check_training: Callable[..., None]
) -> None:
    layer = BranchesLayer(num_tokens=symbol("num_tokens"), hidden_size=symbol("hidden_size"))
    rows = torch.empty(sizes["num_tokens"], sizes["hidden_size"], device="meta", requires_grad=True)
    with torch.device("meta"):
        module = Branches(sizes["hidden_size"])
    check_training(layer, sizes, module, lambda: module(rows))


def test_what_goes_into_a_branch_is_alive_until_it_is_added() -> None:
    tape, given = Tape("BranchesLayer"), Buffer(Elements(activation=35))
    (returned,) = BranchesLayer(num_tokens=7, hidden_size=5).replay(tape, given)
    live = [(operator.path, operator.layer, operator.alive) for operator in tape.list_operators()]
    assert returned.elements == Elements(activation=35)

    def buffers(count: int, rows: int = 0) -> Elements:
        return Elements(activation=count * 35, float32=2 * rows)

    # 35 elements each: the residual and the output of the norm, with two statistics for each of 7 rows in float32. The
    # norm's output is alive until the linear layer returns, so its output is the third. Where that is added, the norm's
    # output is gone: the residual, the branch and the sum are as many, but none of them is among the three before.
    assert live == [
        (path, kind, alive)
        for norm, module in BranchesLayer.branches
        for path, kind, alive in (
            (norm, "LayerNorm", buffers(2, rows=7)),
            (module, "Linear", buffers(3)),
            ("", "BranchesLayer", buffers(3)),
        )
    ]
