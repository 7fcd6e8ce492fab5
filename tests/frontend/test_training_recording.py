"""What a training step does is put down to the modules that do it; numbers are counted by hand."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from modelmeter.frontend.training.recording import record_training_step
from modelmeter.metrics.cost import Elements, Work
from modelmeter.support.errors import CountError
from modelmeter.verify.operators import CountedOperator
from modelmeter.verify.training import count_training_step

ROWS = 5


class Pair(nn.Module):
    """Two matrices that read the same rows."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.other = nn.Linear(7, 11, bias=False), nn.Linear(7, 11, bias=False)

    def forward(self, rows: Tensor) -> Tensor:
        return self.one(rows) + self.other(rows)


class Net(nn.Module):
    """A pair, and a row that is scaled and added to all rows."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.pair = nn.Linear(3, 7, bias=False), Pair()
        self.scale = nn.Parameter(torch.empty(7))

    def forward(self, rows: Tensor) -> Tensor:
        kept = functional.dropout(self.first(rows), p=0.3, training=self.training)
        return self.pair(kept).sum(-1, keepdim=True) + self.scale.expand(ROWS, 7) * kept


@pytest.fixture(scope="module")
def recorded() -> tuple[nn.Module, Callable[[], Tensor], tuple[CountedOperator, ...]]:
    with torch.device("meta"):
        net, rows = Net().eval(), torch.empty(ROWS, 3)

    def forward() -> Tensor:
        return net(rows)

    return net, forward, record_training_step(net, forward).operators


def test_a_product_has_one_for_each_operand_that_wants_a_gradient(recorded: tuple) -> None:
    flops = {each.path: each.backward_tensor_core_flops for each in recorded[2] if each.name == "mm"}
    forward = {each.path: each.tensor_core_flops for each in recorded[2] if each.name == "mm"}
    of_pair = 2 * ROWS * 7 * 11
    assert forward == {"first": 2 * ROWS * 3 * 7, "pair.one": of_pair, "pair.other": of_pair}
    # The rows that come from outside want none.
    assert flops == {"first": 2 * ROWS * 3 * 7, "pair.one": 2 * of_pair, "pair.other": 2 * of_pair}


def test_sums_of_gradients_are_of_the_innermost_module_that_has_both(recorded: tuple) -> None:
    sums = [each for each in recorded[2] if each.name == "add" and each.reads == Elements()]
    # Rows of 7 come back from both matrices of the pair, and then from the product with the scale.
    assert sorted(each.path for each in sums) == ["", "pair"]
    assert all(each.backward_cuda_core_flops == ROWS * 7 for each in sums)
    assert all(each.backward.reads == Elements(activation=2 * ROWS * 7) for each in sums)


def test_a_view_moves_nothing_and_its_arithmetic_counts(recorded: tuple) -> None:
    (summed,) = (each for each in recorded[2] if each.name == "sum" and each.reads == Elements())
    # Gradients of 5 rows are added up into the one that was expanded: 35 numbers in.
    assert summed.path == ""
    assert summed.backward == Work(cuda_core_flops=ROWS * 7)


def test_what_drops_nothing_copies_nothing(recorded: tuple) -> None:
    assert "clone" not in {each.name for each in recorded[2]}


def test_all_of_it_is_what_autograd_is_seen_to_do(recorded: tuple) -> None:
    net, forward, operators = recorded
    assert Work.of([each.backward for each in operators]) == count_training_step(net, forward).backward


def test_a_model_without_gradients_is_refused() -> None:
    with torch.device("meta"):
        net = nn.Linear(3, 5).requires_grad_(False)
        rows = torch.empty(2, 3)
    with pytest.raises(CountError, match="a forward without a backward"):
        record_training_step(net, lambda: net(rows))
