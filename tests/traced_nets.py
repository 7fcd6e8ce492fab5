"""Small nets to trace, and what tests look at in their graphs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from modelmeter.graph.module_graph import ModuleGraph
from modelmeter.graph.trace import trace_modules


class Net(nn.Module):
    """A net of the given children whose forward is the given function of itself and the inputs."""

    def __init__(self, forward: Callable[..., Any], **children: nn.Module) -> None:
        super().__init__()
        for name, child in children.items():
            self.add_module(name, child)
        self._forward = forward

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self._forward(self, *args, **kwargs)


def linear(inputs: int, outputs: int) -> nn.Linear:
    return nn.Linear(inputs, outputs, device="meta")


def empty(*shape: int) -> Tensor:
    return torch.empty(shape, device="meta")


def trace_one(net: nn.Module, *args: Any, **kwargs: Any) -> ModuleGraph:
    """Trace one forward of ``net``."""
    return trace_modules(net, {"run": lambda: net(*args, **kwargs)})


def shapes(graph: ModuleGraph, path: str) -> list[tuple[tuple[tuple[int, ...], ...], tuple[int, ...]]]:
    return [(call.input_shapes, call.output_shape) for call in graph.node(path).calls]


def paths(graph: ModuleGraph) -> list[str]:
    return [node.path for node in graph.nodes]


def repetitions(graph: ModuleGraph) -> dict[str, tuple[str, int]]:
    """Return the repetition of each group."""
    return {
        node.path: (node.repetition, node.repetition_count) for node in graph.nodes if node.repetition != "none"
    }  # fmt: skip


def run_in_turn(net: Any, x: Tensor) -> Tensor:
    """ModuleCall the layers of ``net`` one after the other, each on what the one before made."""
    for layer in net.layers:
        x = layer(x)
    return x
