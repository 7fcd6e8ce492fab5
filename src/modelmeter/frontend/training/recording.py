"""Records a training step: each operator of a forward, with what autograd does to go back through it.

Autograd numbers its nodes in the order in which the forward makes them, and each operator of the backward runs inside
a node. So it belongs to the operator of the forward that made the node, and with it to a module.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import pairwise, takewhile
from typing import Any, Final, NoReturn

import torch
from attrs import evolve, frozen
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from modelmeter.frontend.recording import NOTED, watch_shapes
from modelmeter.metrics.cost import Elements
from modelmeter.metrics.operator_table import ATTENTION, MATRIX_OPERATORS, find_weight, vector_flops
from modelmeter.support.errors import CountError
from modelmeter.verify.backward import ATTENTION_BACKWARD, SUMS, find_learned
from modelmeter.verify.dispatch import Dispatched, DispatchFollower, next_node_number
from modelmeter.verify.gradient_graph import GradientGraph, Meeting
from modelmeter.verify.operators import CountedOperator, OperatorRecorder
from modelmeter.verify.products import ProductCounter
from modelmeter.verify.tensor_kinds import TensorKinds
from modelmeter.verify.weights import weigh

SUM_OF_GRADIENTS: Final = "add"
"""The operator that adds two gradients of one tensor."""


@frozen(kw_only=True)
class TrainingRecording:
    """What a training step was seen to do, in torch's sizes.

    Parameters
    ----------
    operators
        Those of the forward in their order, each with its backward; then what goes back through views, and the sums of
        gradients, which have a backward only.
    output_shapes
        By path of a module, the shape of the first tensor of each of its calls.
    summed, expected_sums
        Elements of the sums that were seen in the backward, and of those that the graph of autograd asks for.
    """

    operators: tuple[CountedOperator, ...]
    output_shapes: dict[str, list[tuple[Any, ...]]]
    summed: Any
    expected_sums: Any


class _ForwardRecorder(OperatorRecorder):
    """Records the operators of a forward as its base does, and the module in which each autograd node is made."""

    def __init__(self, model: nn.Module) -> None:
        self.products = ProductCounter()
        super().__init__(model, tuple, self.products)
        self.paths: dict[int, str] = {}
        self._first = next_node_number()

    def __torch_dispatch__(
        self, func: Any, types: object, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Note the nodes that were made since the last operator, of which one is that of ``func``."""
        for number in range(self._first, next_node_number()):
            self.paths[number] = self.modules.path
        self._first = next_node_number()
        return super().__torch_dispatch__(func, types, args, kwargs)

    def insert(self, noted: object, tokens: object) -> NoReturn:
        """Refuse what stands in for a loop over experts: it makes no gradients.

        Raises
        ------
        CountError
            Always.
        """
        raise CountError("a loop over experts whose backward nothing counts", place=self.modules.path or "the model")


@frozen(kw_only=True)
class _Seen:
    """An operator of the backward: its node, and its FLOPs."""

    number: int
    name: str
    tensor_core_flops: Any
    cuda_core_flops: Any


class _BackwardRecorder(DispatchFollower):
    """Records the operators of a backward that do arithmetic, by the node that runs, and adds up sums of gradients."""

    def __init__(self, flops: FlopCounterMode) -> None:
        super().__init__(nn.Module())
        self.seen: list[_Seen] = []
        self.summed: Any = 0
        self._flops = flops
        self._flops_before: Any = 0

    def before(self) -> None:
        """Note what is counted until an operator runs."""
        self._flops_before = self._flops.get_total_flops()

    def note(self, operator: Dispatched) -> None:
        """Put an operator down to the node that runs."""
        if operator.name in SUMS:
            self.summed += operator.outputs[0].numel()
            return
        if operator.name not in MATRIX_OPERATORS and find_weight(operator.name) is None:
            return
        node = torch._C._current_autograd_node()
        if node is None:
            raise CountError("an operator of a backward outside all nodes of autograd", found=f"aten.{operator.name}")
        self.seen.append(
            _Seen(
                number=node._sequence_nr(), name=operator.name,
                tensor_core_flops=self._flops.get_total_flops() - self._flops_before, cuda_core_flops=weigh(operator),
            )
        )  # fmt: skip


def record_training_step(model: nn.Module, forward: Callable[[], object]) -> TrainingRecording:
    """Run ``forward`` where gradients are wanted, then the backward of its output, and record both.

    What the backward of an operator moves is what :func:`modelmeter.verify.training.count_training_step` says.

    Parameters
    ----------
    model
        All its parameters want gradients.
    forward
        Calls the model without a cache.

    Raises
    ------
    CountError
        When either does something that nothing accounts for, or nothing requires a gradient.
    """
    recorder = _ForwardRecorder(model)
    shapes: dict[str, list[tuple[Any, ...]]] = {}
    NOTED.append(recorder)
    # Only the math path of attention is made of operators that FlopCounterMode knows on every device.
    with (
        torch.enable_grad(), sdpa_kernel(SDPBackend.MATH), recorder.modules.watch_modules(),
        watch_shapes(model, shapes), recorder.products, recorder, recorder.follow_attention(), drop_nothing(),
    ):  # fmt: skip
        try:
            outputs = find_learned(forward())
        finally:
            NOTED.pop()
    graph = GradientGraph.of(outputs)
    flops = FlopCounterMode(display=False)
    backward = _BackwardRecorder(flops)
    with flops, backward:
        torch.autograd.grad(outputs, graph.leaves, [torch.empty_like(output) for output in outputs])
    return TrainingRecording(
        operators=tuple(_put_together(recorder, backward.seen, graph, TensorKinds(model, tuple))),
        output_shapes=shapes,
        summed=backward.summed,
        expected_sums=sum(meeting.sums * meeting.elements for meeting in graph.meetings),
    )


@contextmanager
def drop_nothing() -> Iterator[None]:
    """Let dropout return what it is given where it drops nothing, as it does where gradients are wanted.

    The Python code of torch, which keeps symbols, copies it.
    """
    original = functional.dropout

    def drop(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
        return original(input, p, training, inplace) if training and p else input

    functional.dropout = drop
    try:
        yield
    finally:
        functional.dropout = original


def _put_together(
    recorder: _ForwardRecorder, seen: Sequence[_Seen], graph: GradientGraph, kinds: TensorKinds
) -> Iterator[CountedOperator]:
    """Yield the operators of the forward with their backward, and then what belongs to none of them."""
    operators, paths = recorder.operators, recorder.paths
    owners = {number: index for index, operator in enumerate(operators) for number in operator.nodes}
    saving = {owners[number] for number in graph.saving if number in owners}
    own: defaultdict[int, list[_Seen]] = defaultdict(list)
    of_views = []
    for each in seen:
        if each.number in owners:
            own[owners[each.number]].append(each)
        else:
            of_views.append(each)
    for index, operator in enumerate(operators):
        yield evolve(
            operator,
            # Attention, which autograd takes apart, is one entry of the table in both directions.
            backward_cuda_core_flops=vector_flops(ATTENTION_BACKWARD, operator.scores)
            if operator.name == ATTENTION and operator.nodes
            else sum(each.cuda_core_flops for each in own[index]),
            backward_tensor_core_flops=sum(each.tensor_core_flops for each in own[index]),
            gradients=operator.gradients or Elements(),
            is_linear=index not in saving,
        )
    for each in of_views:
        yield CountedOperator(
            path=paths[each.number], name=each.name, gradients=Elements(), differentiated=Elements(),
            backward_tensor_core_flops=each.tensor_core_flops, backward_cuda_core_flops=each.cuda_core_flops,
        )  # fmt: skip
    attentions = {number: index for number, index in owners.items() if operators[index].name == ATTENTION}
    for meeting in graph.meetings:
        yield from _add_up(meeting, owners, attentions, paths, kinds)


def _add_up(
    meeting: Meeting, owners: Mapping[int, int], attentions: Mapping[int, int], paths: Mapping[int, str],
    kinds: TensorKinds,
) -> Iterator[CountedOperator]:  # fmt: skip
    """Yield the sums of gradients that meet, each in the innermost module that both are made in.

    Gradients that one operator makes are added inside it, and move nothing.
    """
    kind = kinds.find(meeting.leaf) if meeting.leaf is not None else kinds.find_by_type(meeting.dtype)
    one = Elements(**{kind: meeting.elements})
    places = {attentions.get(number) for number in meeting.numbers}
    is_inside = len(places) == 1 and None not in places
    sources = {owners.get(number, f"node {number}"): number for number in meeting.numbers}
    moving = Counter(_join(paths[number] for number in sources.values()))
    for path in _join(paths[number] for number in meeting.numbers):
        moves = moving[path] > 0
        moving[path] -= 1
        yield CountedOperator(
            path=path, name=SUM_OF_GRADIENTS, gradients=one if moves else Elements(),
            differentiated=one.scale(2) if moves else Elements(), is_linear=True,
            backward_cuda_core_flops=0 if is_inside else vector_flops(SUM_OF_GRADIENTS, meeting.elements),
        )  # fmt: skip


def _join(paths: Iterable[str]) -> list[str]:
    """Return where things in modules come together two by two: one path less than there are things."""
    rows = sorted(path.split(".") if path else [] for path in paths)
    joined = []
    for one, other in pairwise(rows):
        shared = takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False))
        joined.append(".".join(name for name, _ in shared))
    return joined
