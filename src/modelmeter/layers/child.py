"""The modules below a layer: which layers they are, how often they are called, and how many alike there are."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from attrs import Attribute, evolve, frozen

from modelmeter.dimensions.functions import Size, routed_reads
from modelmeter.dimensions.sums import add_sizes
from modelmeter.metrics.cost import Cost, Elements, Operator, Precision, Work
from modelmeter.metrics.metric import FLOWS, METRICS
from modelmeter.metrics.operator_table import vector_flops

if TYPE_CHECKING:
    from modelmeter.layers.base import BaseLayer

Repetition = Literal["none", "for", "parfor"]
Direction = Callable[[Operator], Operator | Work]
"""Returns the part of the work of an operator that is asked for: its forward, or its backward."""


def forward(operator: Operator) -> Operator:
    """Return the forward of an operator, which is what it says of itself."""
    return operator


def forward_without_cache(operator: Operator) -> Operator:
    """Return the forward of an operator in training."""
    return operator.without_cache


def backward(operator: Operator) -> Work:
    """Return the backward of an operator."""
    return operator.backward


@frozen(kw_only=True)
class Routing:
    """How tokens choose among alike siblings, which decides whose weights are read.

    ``num_tokens`` tokens choose ``num_experts_per_tok`` of ``n_routed_experts`` each.
    """

    n_routed_experts: Size
    num_experts_per_tok: Size
    num_tokens: Size

    def read_weights(self, weight: Size) -> Size:
        """Return the expected elements read when each sibling has ``weight`` of them."""
        return routed_reads(self.n_routed_experts, self.num_experts_per_tok, self.num_tokens, weight)


@frozen(kw_only=True)
class Child:
    """A module below a layer, or several alike.

    Parameters
    ----------
    calls
        A layer for each call, with the sizes of that call, and how often it happens: 0 for a module
        that is stored but never called. All calls share the parameters of the first.
    repetition, count
        ``for``: ``count`` alike siblings one after the other; ``parfor``: side by side.
    routing
        Set where tokens are routed to the siblings: then only chosen siblings read their weights.
    """

    calls: tuple[tuple[BaseLayer, Size], ...]
    repetition: Repetition = "none"
    count: Size = 1
    routing: Routing | None = None

    @property
    def layer(self) -> BaseLayer:
        """The layer of the first call."""
        return self.calls[0][0]

    def work_under(self, routing: Routing | None, direction: Direction = forward) -> Work:
        """Return the work of all calls of all siblings; ``routing`` is what holds above this child."""
        total = Work()
        for layer, times in self.calls:
            work = layer.work_under(self.routing or routing, direction)
            siblings = work.scale(self.count)
            if self.routing is not None:
                # The routed weights, and their gradients, are those of all siblings together.
                siblings = evolve(
                    siblings,
                    reads=evolve(siblings.reads, weight=work.reads.weight),
                    writes=evolve(siblings.writes, weight=work.writes.weight),
                )
            total = total + siblings.scale(times)
        return total

    @property
    def trained_parameters(self) -> Size:
        """Elements of the parameters of all siblings that get a gradient: of those that are called."""
        if all(times == 0 for _, times in self.calls):
            return 0
        parameters = self.layer.trained_parameters
        return self.count * parameters if self.routing is None else self.routing.read_weights(parameters)

    @property
    def accumulated(self) -> Elements:
        """Elements of the gradients that are added up inside all calls, and where a call is not the only one."""
        inside = (layer.accumulated.scale(self.count * times) for layer, times in self.calls)
        # Every call but one adds its gradients of the parameters to another's.
        other_calls = add_sizes(times for _, times in self.calls) - 1
        return Elements.total([*inside, Elements(weight=other_calls * self.trained_parameters)])

    def train(self, precision: Precision) -> Cost:
        """Return what all calls of all siblings cost in a training step; see :attr:`BaseLayer.training_cost`."""
        return train(
            self.work_under(None, forward_without_cache),
            self.work_under(None, backward) + add_gradients(self.accumulated),
            parameters=self.count * self.layer.parameters,
            precision=precision,
        )


def once(layer: BaseLayer) -> Child:
    """Return a child that is called once."""
    return Child(calls=((layer, 1),))


def never(layer: BaseLayer) -> Child:
    """Return a child whose weights are stored but that is never called."""
    return Child(calls=((layer, 0),))


def repeat(layer: BaseLayer, count: Size) -> Child:
    """Return ``count`` alike children that run one after the other."""
    return Child(calls=((layer, 1),), repetition="for", count=count)


def add_gradients(sums: Elements) -> Work:
    """Return the work of adding as many elements of gradients to others."""
    flops = vector_flops("add", sums.activation + sums.weight + sums.float32)
    return Work(cuda_core_flops=flops, reads=sums.scale(2), writes=sums)


def train(forward: Work, backward: Work, *, parameters: Size, precision: Precision) -> Cost:
    """Return the cost of a forward and its backward: the flows of both, and the activations of the forward."""
    states = Cost.of(work=forward, parameters=parameters, kv_elements=0, precision=precision)
    both = Cost.of(work=forward + backward, parameters=0, kv_elements=0, precision=precision)
    return evolve(states, **{metric: both[metric] for metric in METRICS if metric in FLOWS})


def is_backward_only(size: Attribute[Any]) -> bool:
    """Tell whether a field of a layer changes nothing in its forward."""
    return "is_backward_only" in size.metadata
