"""What adds up to the formulas of a stage: its layers at the sizes of their calls; and of a training step."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from attrs import evolve

from modelmeter.analysis.bind import BoundModule
from modelmeter.analysis.totals import close_loop, sum_over_steps
from modelmeter.graph.module_graph import join_path
from modelmeter.layers.base import BaseLayer
from modelmeter.layers.child import Child, add_gradients, backward, forward_without_cache, train
from modelmeter.layers.container import ModuleList
from modelmeter.metrics.cost import Cost, Operator, Work
from modelmeter.metrics.metric import FUSED_IO, METRICS
from modelmeter.model.loop import Loop
from modelmeter.publishing.derivation.summands import (
    PRECISION,
    Calls,
    Costs,
    LayerFormulas,
    Summand,
    add_costs,
    list_held,
    list_operators,
    split_states,
    to_costs,
)
from modelmeter.publishing.page_input import PageInput
from modelmeter.support.errors import FormulaError

_MODEL: Final = "the model"


def list_stage_summands(source: PageInput, root: BoundModule, stage: str, formulas: LayerFormulas) -> Iterator[Summand]:
    """Yield what adds up to the formulas of a module in a stage: the layers in it, and its own operators."""
    loop = source.definition.loop
    for summand in _list_summands(source, root, stage, formulas):
        yield summand if loop is None or stage != loop.stage else evolve(summand, costs=_close(summand.costs, loop))


def _list_summands(source: PageInput, bound: BoundModule, stage: str, formulas: LayerFormulas) -> Iterator[Summand]:
    path, stage_of = bound.node.path, source.definition.stage_of
    calls = [call for call in bound.list_calls() if stage_of(call.run, path) == stage]
    if isinstance(bound.layer, ModuleList) or is_taken_apart(bound.layer, path):
        for child in bound.children:
            yield from _list_summands(source, child, stage, formulas)
        operators: list[Operator] = [operator for call in calls for operator in call.own_operators]
        of_whom = f"of {path or _MODEL} itself"
        yield from list_operators(operators, of_whom)
        if calls:
            yield from list_held(calls[0].layer, bound.count, of_whom)
        return
    if not calls:
        return
    for call in calls:
        if call.routing is not None:
            raise FormulaError("a layer that tokens are routed to stands in a stage by itself", place=path)
    held, _ = split_states(formulas.of(calls[0].layer))
    done = [(call.times, split_states(formulas.of(call.layer))[1]) for call in calls]
    yield Summand(
        title=path, costs=add_costs([(bound.count, held), *done]),
        calls=tuple(Calls(layer=call.layer, times=call.times) for call in calls),
    )  # fmt: skip


def is_taken_apart(layer: BaseLayer, path: str) -> bool:
    """Tell whether a stage is derived from what is in a module, not from the formula of the module."""
    # A traced model: its layers have formulas of their place only, so what is inside the outermost two is shown.
    return layer.holds_layers or (not layer.has_own_sizes and bool(layer.children) and "." not in path)


def _close(costs: Costs, loop: Loop) -> Costs:
    """Return the formulas of all steps of a loop from those of one."""
    closed = close_loop(Cost(**{metric: costs.get(metric, 0) for metric in METRICS}), loop)
    return to_costs(closed, sum_over_steps(costs.get(FUSED_IO, 0), loop))


def list_training_summands(layer: BaseLayer, path: str = "") -> Iterator[Summand]:
    """Yield what adds up to the formulas of a training step: the forward and backward of each layer."""
    for name, child in layer.children.items():
        below = join_path(path, name)
        if isinstance(child.layer, ModuleList):
            for group in child.layer.groups:
                yield _train(below, group)
        elif is_taken_apart(child.layer, below):
            yield from list_training_summands(child.layer, below)
        else:
            yield _train(below, child)
    operators = layer.operators_under(None)
    own = train(
        Work.of(map(forward_without_cache, operators)),
        Work.of(map(backward, operators)) + add_gradients(layer.own_accumulated),
        parameters=layer.own_parameters,
        precision=PRECISION,
    )
    yield Summand(title=path or _MODEL, costs=to_costs(own), note="its own operators")


def _train(path: str, child: Child) -> Summand:
    return Summand(
        title=path, costs=to_costs(child.train(PRECISION)),
        calls=tuple(Calls(layer=called, count=child.count, times=times) for called, times in child.calls),
    )  # fmt: skip
