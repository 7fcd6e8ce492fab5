"""Modules that see or hear, in a model that was traced without its tower: what a prompt of text never uses.

They are no part of the graph, and their parameters no part of the weights: a stage for them needs a card.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

import torch
from attrs import evolve, frozen
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from modelmeter.graph.module_graph import ModuleGraph, ModuleNode, is_inside
from modelmeter.verify.dispatch import storage_key, tensors_in

LEFT_OUT: Final = "Left out"
"""The name of the counting rule that names them."""


class _StoragesRead(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch leaves it untyped
    """Notes the memory behind everything that operators are given."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # the same
        self.keys: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: object, args: Any = (), kwargs: Any = None) -> Any:
        """Run ``func`` and note its tensors."""
        self.keys.update(map(storage_key, tensors_in(args, kwargs)))
        return func(*args, **(kwargs or {}))


def find_modules_read(model: nn.Module, runs: Iterable[Callable[[], object]]) -> set[str]:
    """Return the paths of the modules that hold a parameter which any of the runs reads."""
    seen = _StoragesRead()
    with torch.inference_mode(), seen:
        for run in runs:
            run()
    return {
        path
        for path, module in model.named_modules()
        if any(storage_key(held) in seen.keys for held in module.parameters(recurse=False))
    }


@frozen(kw_only=True)
class Part:
    """The graph of what is used, and the outermost modules that are not."""

    graph: ModuleGraph
    unused: tuple[str, ...]


def leave_out_unused(graph: ModuleGraph, read: set[str], first_path: Callable[[str], str]) -> Part:
    """Return a graph without the modules that nothing calls and whose parameters nothing reads.

    Parameters
    ----------
    graph
        Of all modules.
    read
        The modules with parameters that a run reads.
    first_path
        Returns the path of the first module that a node stands for.
    """

    def is_used(node: ModuleNode) -> bool:
        below = (each for each in graph.nodes if is_inside(each.path, node.path))
        return any(each.calls or first_path(each.path) in read for each in below)

    def list_unused(node: ModuleNode) -> Iterator[str]:
        for child in graph.children(node.path):
            if child.parameter_count and not is_used(child):
                yield child.path
            else:
                yield from list_unused(child)

    unused = tuple(list_unused(graph.root))
    kept = tuple(node for node in graph.nodes if not any(is_inside(node.path, path) for path in unused))
    return Part(graph=sum_parameters(graph, kept) if unused else graph, unused=unused)


def sum_parameters(graph: ModuleGraph, nodes: Sequence[ModuleNode]) -> ModuleGraph:
    """Return a graph of ``nodes`` in which each has the parameters of its own and of what is below it."""
    sums = {node.path: node.own_parameter_count for node in nodes}
    for node in reversed(nodes):  # what is below a node stands behind it
        if node.path:
            sums[node.path.rpartition(".")[0]] += sums[node.path] * node.repetition_count
    kept = (evolve(node, parameter_count=sums[node.path]) for node in nodes)
    return evolve(graph, nodes=tuple(kept))


def describe_left_out(unused: Iterable[str], elements: int, *, has_text: bool = True) -> dict[str, str]:
    """Return the counting rule that names what is left out, with the elements of its parameters, if anything is.

    ``has_text`` says that it is what the text does not use, and not what the tower does not.
    """
    names = ", ".join(f"``{path}``" for path in unused)
    if not names:
        return {}
    user = "A prompt of text alone" if has_text else "The tower"
    card = " How the model looks at an image needs a card." if has_text else ""
    return {
        LEFT_OUT: f"{user} never uses {names}: they are no part of any formula, and neither are their "
        f"{elements:,} parameters.{card}"
    }
