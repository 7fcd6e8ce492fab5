"""The graph that autograd goes back through: its leaves, and where gradients of one tensor meet."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from math import prod
from typing import Any

import torch
from attrs import frozen
from torch import Tensor
from torch.autograd.graph import Node

from modelmeter.verify.dispatch import tensors_in


@frozen(kw_only=True)
class Meeting:
    """Gradients of one tensor that several nodes make, and that are added up.

    Parameters
    ----------
    numbers
        The sequence numbers of these nodes, which say when in the forward they were made.
    elements, dtype
        Of the tensor.
    leaf
        The tensor, where it is a parameter or an input.
    """

    numbers: tuple[int, ...]
    elements: int
    dtype: torch.dtype
    leaf: Tensor | None

    @property
    def sums(self) -> int:
        """How often two of the gradients are added."""
        return len(self.numbers) - 1


@frozen
class GradientGraph:
    """What the gradients of some tensors go back through.

    Parameters
    ----------
    leaves
        The parameters and inputs that they are made of and that require gradients.
    meetings
        All of them.
    saving
        The sequence numbers of the nodes that keep floating-point tensors of the forward.
    """

    leaves: tuple[Tensor, ...]
    meetings: tuple[Meeting, ...]
    saving: frozenset[int]

    @classmethod
    def of(cls, outputs: Iterable[Tensor]) -> GradientGraph:
        """Walk back from ``outputs``, which require gradients."""
        sources: defaultdict[tuple[Node, int], list[int]] = defaultdict(list)
        nodes = list(walk(output.grad_fn for output in outputs))
        for node in nodes:
            for below, number in node.next_functions:
                if below is not None:
                    sources[below, number].append(node._sequence_nr())
        return cls(
            tuple(leaf for leaf in map(_leaf_of, nodes) if leaf is not None),
            tuple(
                Meeting(
                    numbers=tuple(numbers),
                    elements=prod(_metadata_of(*place).shape),
                    dtype=_metadata_of(*place).dtype,
                    leaf=_leaf_of(place[0]),
                )
                for place, numbers in sources.items()
                if len(numbers) > 1
            ),
            frozenset(node._sequence_nr() for node in nodes if _saves_numbers(node)),
        )


def walk(roots: Iterable[Node | None]) -> Iterator[Node]:
    """Yield all nodes that gradients of ``roots`` go back through, each once."""
    waiting = [root for root in roots if root is not None]
    seen: set[Node] = set()
    while waiting:
        node = waiting.pop()
        if node in seen:
            continue
        seen.add(node)
        yield node
        waiting.extend(below for below, _ in node.next_functions if below is not None)


def _saves_numbers(node: Node) -> bool:
    """Tell whether a node keeps a tensor of floating-point numbers; a lone one is a constant."""
    saved = (getattr(node, name) for name in dir(node) if name.startswith("_saved_"))
    return any(tensor.is_floating_point() and tensor.dim() > 0 for tensor in tensors_in(*saved))


def _leaf_of(node: Node) -> Tensor | None:
    leaf: Tensor | None = getattr(node, "variable", None)
    return leaf


def _metadata_of(node: Node, number: int) -> Any:
    """Return what has the shape and the type of the tensor whose gradient goes into a node."""
    leaf = _leaf_of(node)
    return node._input_metadata[number] if leaf is None else leaf
