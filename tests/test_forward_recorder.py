"""What is recorded while small nets run: shapes of calls, and data that flows from one sibling to another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from modelmeter.graph.trace import trace_modules
from modelmeter.support.errors import TraceError
from traced_nets import Net, empty, linear, repetitions, run_in_turn, shapes, trace_one


def test_keyword_arguments_have_shapes() -> None:
    inner = Net(lambda net, *, query, pair: net.layer(input=query) + pair[1]["b"], layer=linear(3, 5))
    net = Net(lambda net, x, y: net.inner(query=x, pair=(y, {"b": y})), inner=inner)
    graph = trace_one(net, empty(7, 3), y=empty(1, 5))
    assert shapes(graph, "") == [(((7, 3), (1, 5)), (7, 5))]
    assert shapes(graph, "inner") == [(((7, 3), (1, 5), (1, 5)), (7, 5))]
    assert shapes(graph, "inner.layer") == [(((7, 3),), (7, 5))]


@pytest.mark.parametrize(
    "wrap",
    [
        lambda first, second: (first, second),
        lambda first, second: [first, second],
        lambda first, second: {"a": first, "b": second},
        lambda first, second: (None, first, second),
        lambda first, second: ({"a": first}, second),
    ],
)
def test_the_first_tensor_of_the_output_gives_its_shape(wrap: Callable[..., object]) -> None:
    """TorchInfo itself records the last tensor of a dictionary, and none where the first item is None."""
    graph = trace_one(Net(lambda net, x: wrap(x, x[0])), empty(7, 3))
    assert shapes(graph, "") == [(((7, 3),), (7, 3))]


def run_through_a_buffer(net: Any, x: Tensor) -> Tensor:
    """Each layer reads a tensor into which the one before was copied, in part."""
    buffer = torch.zeros_like(x)
    for layer in net.layers:
        buffer[1:].copy_(layer(buffer)[1:])
    return buffer


def run_side_by_side(net: Any, x: Tensor) -> Tensor:
    return torch.stack([layer(x) for layer in net.layers]).sum(0)


def run_each_on_its_own_history(net: Any, x: Tensor) -> Tensor:
    """Two calls of each layer, the second on what the first returned."""
    return run_side_by_side(net, x) + torch.stack([layer(layer(x)) for layer in net.layers]).sum(0)


def run_in_pairs(net: Any, x: Tensor) -> Tensor:
    """The first two and the last two depend on each other."""
    first, second, third, fourth = net.layers
    return second(first(x)) + fourth(third(x))


@pytest.mark.parametrize(
    ("run", "repetition"),
    [
        (run_in_turn, "for"),
        (run_through_a_buffer, "for"),
        (run_in_pairs, "for"),
        (run_side_by_side, "parfor"),
        (run_each_on_its_own_history, "parfor"),
    ],
)
def test_data_flow_decides_how_a_group_runs(run: Callable[..., Tensor], repetition: str) -> None:
    net = Net(run, layers=nn.ModuleList(linear(3, 3) for _ in range(4)))
    assert repetitions(trace_one(net, empty(7, 3))) == {"layers.0-3": (repetition, 4)}


def test_a_list_whose_members_are_not_called_themselves_has_data_flow_too() -> None:
    def run(net: Any, x: Tensor) -> Tensor:
        for pair in net.pairs:
            x = pair[1](pair[0](x))
        return x

    pairs = nn.ModuleList(nn.ModuleList([linear(3, 5), linear(5, 3)]) for _ in range(3))
    assert repetitions(trace_one(Net(run, pairs=pairs), empty(7, 3))) == {"pairs.0-2": ("for", 3)}


def test_data_does_not_flow_from_one_run_to_the_next() -> None:
    """The second run reads what the first one made, but within a run the layers are side by side."""
    net = Net(run_side_by_side, layers=nn.ModuleList(linear(3, 3) for _ in range(3)))
    made = []
    graph = trace_modules(net, {"a": lambda: made.append(net(empty(5, 3))), "b": lambda: net(made[0])})
    assert repetitions(graph) == {"layers.0-2": ("parfor", 3)}


def test_calls_know_their_run() -> None:
    net = Net(lambda net, x: net.layer(x), layer=linear(3, 5))
    graph = trace_modules(net, {"prefill": lambda: net(empty(7, 3)), "decode": lambda: net.layer(empty(1, 3))})
    assert [(call.run, call.output_shape) for call in graph.node("layer").calls] == [
        ("prefill", (7, 5)),
        ("decode", (1, 5)),
    ]
    assert [call.run for call in graph.root.calls] == ["prefill"]


def test_a_failing_forward_is_named_with_its_run_and_module() -> None:
    net = Net(lambda net, x: net.second(net.first(x)), first=linear(3, 5), second=linear(7, 5))
    with pytest.raises(TraceError) as caught:
        trace_modules(net, {"prefill": lambda: net(empty(11, 3))})
    assert caught.value.place == "prefill second"
    assert all(not module._forward_hooks for module in net.modules())


def test_a_module_without_an_output_tensor_is_refused() -> None:
    with pytest.raises(TraceError, match="returns no tensor"):
        trace_one(Net(lambda net, x: None), empty(3))
