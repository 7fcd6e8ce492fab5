"""Counts what a backward does by watching autograd run it: independent of every formula of the cost model.

``FlopCounterMode`` counts the matrix products. A dispatch mode weighs all other arithmetic with the published
table. Attention, which autograd takes apart, is one entry of that table: what the nodes do that its forward made
is left out, and its scores are counted instead. The sums of gradients are read off autograd's graph, since it is
not known which node they belong to, and have to be all the sums that are seen.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from attrs import frozen
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from modelmeter.metrics.operator_table import ATTENTION, VIEW_OPERATORS, vector_flops
from modelmeter.support.errors import CountError
from modelmeter.verify.dispatch import Dispatched, DispatchFollower, tensors_in
from modelmeter.verify.gradient_graph import GradientGraph, Meeting
from modelmeter.verify.known_results import KnownResults
from modelmeter.verify.operators import CountedOperator, OperatorRecorder
from modelmeter.verify.weights import weigh

SUMS = frozenset({"add", "add_"})

ATTENTION_BACKWARD = "scaled_dot_product_attention_backward"


@frozen(kw_only=True)
class BackwardCount:
    """What one backward was seen to do.

    Parameters
    ----------
    tensor_core_flops, cuda_core_flops
        FLOPs of matrix products, and of all other arithmetic.
    aten_calls
        How often each ATen operator ran outside attention.
    """

    tensor_core_flops: int
    cuda_core_flops: int
    aten_calls: Mapping[str, int]


@frozen
class Attention:
    """An attention: the autograd nodes that it made, from one sequence number up to another, and its scores."""

    start: int
    stop: int
    scores: int


class BackwardCounter(DispatchFollower):
    """Counts the ATen operators of a backward, but for sums and for what ``attentions`` do.

    Those that are ``known`` do not run again: in a backward no gradients of gradients are wanted.

    Raises
    ------
    CountError
        As :class:`~modelmeter.verify.dispatch.DispatchFollower`.
    """

    def __init__(self, attentions: Sequence[Attention], known: KnownResults) -> None:
        super().__init__(nn.Module(), known)
        self.calls: Counter[str] = Counter()
        self.cuda_core_flops = 0
        self.summed = 0
        self._attentions = attentions
        self._known = known

    def note(self, operator: Dispatched) -> None:
        """Count an operator that is no sum of gradients."""
        self.calls[operator.name] += 1
        self.cuda_core_flops += weigh(operator)

    def __torch_dispatch__(
        self, func: Any, types: object, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run ``func``, and count it unless attention does it."""
        if func._overloadpacket.__name__ in SUMS:
            result = self._known.run(func, args, kwargs or {})
            self.summed += result.numel()
            return result
        node = torch._C._current_autograd_node()
        if node is not None and find_attention(node._sequence_nr(), self._attentions) is not None:
            run = self._known.view if func._overloadpacket.__name__ in VIEW_OPERATORS else self._known.run
            return run(func, args, kwargs or {})
        return super().__torch_dispatch__(func, types, args, kwargs)


def find_attention(number: int, attentions: Sequence[Attention]) -> int | None:
    """Return the index of the attention that made the node with this sequence number, if one did."""
    index = bisect_right(attentions, number, key=lambda attention: attention.start) - 1
    return index if index >= 0 and number < attentions[index].stop else None


def count_backward(model: nn.Module, forward: Callable[[], object]) -> BackwardCount:
    """Run ``forward``, then the backward of its output to all that requires gradients, and count the backward.

    Parameters
    ----------
    model
        The module that ``forward`` calls, or one that contains it.
    forward
        Calls it without a cache.

    Raises
    ------
    CountError
        When nothing requires a gradient, or the backward does something that nothing accounts for.
    """
    recorded = record_forward(model, forward)
    return run_backward(recorded.outputs, GradientGraph.of(recorded.outputs), recorded.attentions)


@frozen
class RecordedForward:
    """A forward that a backward can follow: its operators, and the outputs that require gradients."""

    operators: tuple[CountedOperator, ...]
    outputs: list[Tensor]

    @property
    def attentions(self) -> tuple[Attention, ...]:
        """The attentions of the forward, one after the other."""
        return tuple(
            Attention(operator.nodes.start, operator.nodes.stop, operator.scores)
            for operator in self.operators
            if operator.name == ATTENTION
        )


def record_forward(model: nn.Module, forward: Callable[[], object]) -> RecordedForward:
    """Run ``forward`` where gradients are wanted.

    Matrix products are not counted in it: the hooks of their counter make autograd nodes.

    Raises
    ------
    CountError
        When it does something that nothing accounts for, or nothing in its result requires a gradient.
    """
    recorder = OperatorRecorder(model, tuple, FlopCounterMode(display=False))
    # Only the math path of attention is made of operators that FlopCounterMode knows on every device.
    with (
        torch.enable_grad(), sdpa_kernel(SDPBackend.MATH), recorder.modules.watch_modules(), recorder,
        recorder.follow_attention(),
    ):  # fmt: skip
        result = forward()
    return RecordedForward(tuple(recorder.operators), find_learned(result))


def find_learned(result: object) -> list[Tensor]:
    """Return the tensors in the result of a forward that require gradients.

    Raises
    ------
    CountError
        When there is none.
    """
    outputs = [tensor for tensor in tensors_in(result) if tensor.requires_grad]
    if not outputs:
        raise CountError("a forward without a backward", found="no output that requires a gradient")
    return outputs


def run_backward(outputs: Sequence[Tensor], graph: GradientGraph, attentions: Sequence[Attention]) -> BackwardCount:
    """Run the backward of ``outputs``, from gradients of the same shape, and count it.

    Raises
    ------
    CountError
        When it does something that nothing accounts for.
    """
    gradients = [torch.empty_like(output) for output in outputs]
    flops = FlopCounterMode(display=False)
    known = KnownResults(flops.get_total_flops)
    counter = BackwardCounter(attentions, known)
    with flops, counter:
        torch.autograd.grad(outputs, graph.leaves, gradients)
    expected = sum(meeting.sums * meeting.elements for meeting in graph.meetings)
    if counter.summed != expected:
        raise CountError("a sum that is none of gradients", expected=expected, found=counter.summed)
    sums = sum(meeting.sums * meeting.elements for meeting in graph.meetings if not _is_inside(meeting, attentions))
    entries = sum(vector_flops(ATTENTION_BACKWARD, attention.scores) for attention in attentions)
    return BackwardCount(
        tensor_core_flops=known.get_total_flops(),
        cuda_core_flops=counter.cuda_core_flops + int(entries + vector_flops("add", sums)),
        aten_calls=dict(counter.calls),
    )


def _is_inside(meeting: Meeting, attentions: Sequence[Attention]) -> bool:
    """Tell whether all gradients that meet come from one attention."""
    places = {find_attention(number, attentions) for number in meeting.numbers}
    return len(places) == 1 and None not in places
