"""Counts what a training step moves: the operators of a forward, and what autograd needs of them to go back."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from attrs import frozen
from torch import nn

from modelmeter.metrics.cost import Elements, Work
from modelmeter.verify.backward import record_forward, run_backward
from modelmeter.verify.gradient_graph import GradientGraph, Meeting
from modelmeter.verify.operators import CountedOperator
from modelmeter.verify.tensor_kinds import TensorKinds


@frozen(kw_only=True)
class TrainingCount:
    """What one training step was seen to do.

    Parameters
    ----------
    operators
        Those of the forward. Their arithmetic is that of :func:`~modelmeter.verify.counting.count_forward`, but for
        attention and matrix products, which are not counted here.
    backward
        All work of the backward.
    """

    operators: tuple[CountedOperator, ...]
    backward: Work


def count_training_step(model: nn.Module, forward: Callable[[], object]) -> TrainingCount:
    """Run ``forward`` and the backward of it, and count what both move and the arithmetic of the backward.

    The backward of an operator reads the gradient of its output and, where autograd keeps any floating-point tensor
    for it, what the forward read; otherwise only the indices. It writes the gradients of what it read. Where
    gradients of different operators meet, each sum reads two and writes one.

    Parameters
    ----------
    model
        The module that ``forward`` calls. All its parameters want gradients.
    forward
        Calls the model without a cache, on meta or on real tensors.

    Raises
    ------
    CountError
        When the forward or the backward does something that nothing accounts for.
    """
    recorded = record_forward(model, forward)
    operators, outputs = recorded.operators, recorded.outputs
    graph = GradientGraph.of(outputs)
    owners = {number: index for index, operator in enumerate(operators) for number in operator.nodes}
    saving = {owners[number] for number in graph.saving if number in owners}
    kinds = TensorKinds(model, tuple)
    moved = [
        *(_go_back(operator, index in saving) for index, operator in enumerate(operators)),
        *(_add_up(meeting, owners, kinds) for meeting in graph.meetings),
    ]
    flops = run_backward(outputs, graph, recorded.attentions)
    arithmetic = Work(tensor_core_flops=flops.tensor_core_flops, cuda_core_flops=flops.cuda_core_flops)
    return TrainingCount(operators=operators, backward=Work.of([arithmetic, *moved]))


def _go_back(operator: CountedOperator, needs_numbers: bool) -> Work:
    """Return what the backward of an operator moves; that of a copy hands the gradient on."""
    written, differentiated = operator.gradients, operator.differentiated
    if written is None or differentiated is None or written == Elements() or operator.name == "clone":
        return Work()
    read = operator.reads if needs_numbers else Elements(index=operator.reads.index)
    return Work(reads=read + differentiated, writes=written)


def _add_up(meeting: Meeting, owners: Mapping[int, int], kinds: TensorKinds) -> Work:
    """Return what the sums of gradients move that do not all come from one operator; a view is its own."""
    sources = {owners.get(number, f"node {number}") for number in meeting.numbers}
    elements = (len(sources) - 1) * meeting.elements
    kind = kinds.find(meeting.leaf) if meeting.leaf is not None else kinds.find_by_type(meeting.dtype)
    sums = Elements(**{kind: elements})
    return Work(reads=sums.scale(2), writes=sums)
