"""Counts what a training step moves: the operators of a forward, and what autograd needs of them to go back."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from attrs import frozen
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from modelmeter.cost import Elements, Work
from modelmeter.verify.aten import AtenCounter
from modelmeter.verify.backward import find_learned, note_attention, run_backward
from modelmeter.verify.gradient_graph import GradientGraph, Meeting
from modelmeter.verify.operators import CountedOperator, OperatorRecorder


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
    # Matrix products are not counted in this forward: the hooks of that counter make autograd nodes.
    aten, idle = AtenCounter(), FlopCounterMode(display=False)
    recorder = OperatorRecorder(model, (), aten, idle)
    with (
        torch.enable_grad(), sdpa_kernel(SDPBackend.MATH), note_attention(aten) as attentions,
        aten, recorder.watch_modules(), recorder,
    ):  # fmt: skip
        result = forward()
    outputs = find_learned(result)
    graph = GradientGraph.of(outputs)
    owners = {number: index for index, operator in enumerate(recorder.operators) for number in operator.nodes}
    saving = {owners[number] for number in graph.saving if number in owners}
    parameters = {id(parameter) for parameter in model.parameters()}
    moved = [
        *(_go_back(operator, index in saving) for index, operator in enumerate(recorder.operators)),
        *(_add_up(meeting, owners, parameters) for meeting in graph.meetings),
    ]
    flops = run_backward(outputs, graph, attentions)
    arithmetic = Work(tensor_core_flops=flops.tensor_core_flops, cuda_core_flops=flops.cuda_core_flops)
    return TrainingCount(operators=tuple(recorder.operators), backward=Work.of([arithmetic, *moved]))


def _go_back(operator: CountedOperator, needs_numbers: bool) -> Work:
    """Return what the backward of an operator moves."""
    written = operator.gradients
    if written is None or written == Elements():
        return Work()
    read = operator.reads if needs_numbers else Elements(index=operator.reads.index)
    return Work(reads=read + Elements(activation=operator.writes.activation), writes=written)


def _add_up(meeting: Meeting, owners: Mapping[int, int], parameters: set[int]) -> Work:
    """Return what the sums of gradients move that do not all come from one operator; a free function is its own."""
    sources = {owners.get(number, f"node {number}") for number in meeting.numbers}
    kind = "weight" if id(meeting.leaf) in parameters else "activation"
    sums = Elements(**{kind: (len(sources) - 1) * meeting.elements})
    return Work(reads=sums.scale(2), writes=sums)
