"""The formulas of every module of a model, at the sizes of a trace: our side of a proof."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping

import sympy
from attrs import evolve, field, frozen

from modelmeter.analysis.bind import BoundModule, bind
from modelmeter.analysis.totals import add_up
from modelmeter.dimensions.functions import RoutedReads, Size, differs
from modelmeter.dimensions.sums import bits_to_bytes
from modelmeter.dimensions.symbols import symbol
from modelmeter.graph.module_graph import ModuleGraph, join_path
from modelmeter.layers.operators import ACTIVATIONS_ARE_CAST, WEIGHTS_ARE_CAST
from modelmeter.metrics.cost import Cost, Precision
from modelmeter.metrics.metric import FLOWS, METRICS
from modelmeter.model.loop import Loop
from modelmeter.support.errors import CountError
from modelmeter.verify.integer_facts import Domain, EvenReads, resolve
from modelmeter.verify.proved_model import ProvedModel


@frozen(kw_only=True)
class ModelFormulas:
    """The totals of each module of a model, as :func:`modelmeter.analysis.totals.add_up` makes them, to be compared.

    Parameters
    ----------
    model
        The bound modules.
    costs
        By path and stage. A looped stage is one step of it; the experts' weights are read as the traced
        model routes, in even shares; parameters count wherever a module takes part.
    stages
        The same of the whole model, with the parameters of each stage.
    unfused
        ``fused_io_bytes`` by path and stage, in the same way.
    proved
        What they are the formulas of.
    """

    model: BoundModule
    costs: Mapping[str, Mapping[str, Cost]] = field(repr=False)
    stages: Mapping[str, Cost] = field(repr=False)
    unfused: Mapping[str, Mapping[str, sympy.Expr]] = field(repr=False)
    proved: ProvedModel = field(repr=False)

    def substitute(self, sizes: Mapping[str, Size]) -> ModelFormulas:
        """Return the formulas with ``sizes`` in place of the symbols of those names."""
        values = self._values(sizes)
        return evolve(
            self,
            costs={
                path: {stage: _substitute(cost, values) for stage, cost in by_stage.items()}
                for path, by_stage in self.costs.items()
            },
            stages={stage: _substitute(cost, values) for stage, cost in self.stages.items()},
            unfused={
                path: {stage: size.xreplace(values) for stage, size in by_stage.items()}
                for path, by_stage in self.unfused.items()
            },
        )

    def cost(self, path: str, stages: Collection[str], sizes: Mapping[str, Size], domain: Domain) -> Cost:
        """Return what the module at ``path`` costs over ``stages`` at ``sizes``, multiplied out."""
        values = self._values(sizes)
        found = [settle(_substitute(cost, values)) for stage, cost in self.costs[path].items() if stage in stages]
        if not found:
            return Cost()
        # Parameters stand once, in however many stages they are used.
        total = evolve(sum(found[1:], start=found[0]), weight_bytes=found[0].weight_bytes)
        return map_cost(total, lambda size: resolve(size, domain))

    def stage_cost(self, stage: str, sizes: Mapping[str, Size], domain: Domain) -> Cost:
        """Return what a stage costs at ``sizes``, multiplied out."""
        return map_cost(
            settle(_substitute(self.stages[stage], self._values(sizes))), lambda size: resolve(size, domain)
        )

    def fused_io(self, path: str, stages: Collection[str], sizes: Mapping[str, Size], domain: Domain) -> sympy.Expr:
        """Return ``fused_io_bytes`` of the module at ``path`` over ``stages`` at ``sizes``, multiplied out."""
        found = (size for stage, size in self.unfused[path].items() if stage in stages)
        return resolve(sympy.Add(*found).xreplace(self._values(sizes)).xreplace(_SETTLED), domain)

    def _values(self, sizes: Mapping[str, Size]) -> dict[sympy.Symbol, sympy.Expr]:
        dimensions = self.proved.model.dimensions
        return {dimensions.symbol(name): sympy.sympify(size) for name, size in sizes.items()}

    def members(self) -> Iterator[tuple[BoundModule, tuple[str, ...]]]:
        """Yield every bound module with the paths of the modules that it stands for, parents first."""
        yield from _walk_members(self.model, ("",))


def build_formulas(graph: ModuleGraph, proved: ProvedModel) -> ModelFormulas:
    """Bind and add up the formulas of the modules in ``graph``, with a symbol for every dimension.

    Raises
    ------
    BindError
        If the graph and the layers disagree.
    CountError
        If no steps cost something.
    """
    record, loop = proved.model, proved.model.loop
    sizes = record.at_step({**graph.architecture, **graph.workload}, 1)
    model = bind(graph, record.build_layers(record.symbolic_sizes()), sizes)
    totals = add_up(model, record.stage_of, stages=record.stages, loop=loop)
    costs: dict[str, dict[str, Cost]] = {}
    for bound in model.walk():
        path = bound.node.path
        weight_bytes = bits_to_bytes(bound.count * bound.layer.parameters * Precision().weight_bits)
        costs[path] = {
            stage: evolve(
                map_cost(open_loop(cost, loop, path) if loop and stage == loop.stage else cost, share_evenly),
                weight_bytes=weight_bytes,
            )
            for stage, cost in totals.by_module[path].items()
        }
    root = costs[model.node.path]
    stages = {stage: evolve(root[stage], weight_bytes=cost.weight_bytes) for stage, cost in totals.by_stage.items()}
    unfused = {
        path: {
            stage: share_evenly(_open_flow(size, loop, path) if loop and stage == loop.stage else sympy.sympify(size))
            for stage, size in by_stage.items()
        }
        for path, by_stage in totals.fused_io_by_module.items()
    }
    return ModelFormulas(model=model, costs=costs, stages=stages, unfused=unfused, proved=proved)


def open_loop(looped: Cost, loop: Loop, place: str) -> Cost:
    """Return the cost of one step from the closed form over all steps.

    A closed form D is right if D(0) = 0 and D(t) - D(t - 1) is the cost of step t, by induction. So this
    difference is what a trace has to equal. States are those after the last step, t.

    Raises
    ------
    CountError
        If D(0) is not 0.
    """
    return Cost(
        **{
            metric: _open_flow(looped[metric], loop, place)
            if metric in FLOWS
            else _at_steps(looped[metric], loop, loop.index)
            for metric in METRICS
        }
    )


def _open_flow(looped: Size, loop: Loop, place: str) -> sympy.Expr:
    if _at_steps(looped, loop, 0) != 0:
        raise CountError("no steps cost something", place=place, expected=0, found=looped)
    return _at_steps(looped, loop, loop.index) - _at_steps(looped, loop, loop.index - 1)


def _at_steps(size: Size, loop: Loop, count: Size) -> sympy.Expr:
    return resolve(sympy.sympify(size).xreplace({loop.count: sympy.sympify(count)}), Domain())


def share_evenly(size: sympy.Expr) -> sympy.Expr:
    """Return a formula with the weight reads of even shares in place of the expected ones."""
    return size.replace(RoutedReads, EvenReads)


def map_cost(cost: Cost, change: Callable[[sympy.Expr], sympy.Expr]) -> Cost:
    """Return ``cost`` with every metric changed."""
    return Cost(**{metric: change(sympy.sympify(cost[metric])) for metric in METRICS})


def settle(cost: Cost) -> Cost:
    """Return ``cost`` as a trace has it: what can be cast is cast, and the cache has the type of activations."""
    return map_cost(cost, lambda size: size.xreplace(_SETTLED))


_SETTLED: dict[sympy.Expr, sympy.Expr] = {
    sympy.sympify(ACTIVATIONS_ARE_CAST): sympy.S.One,
    sympy.sympify(WEIGHTS_ARE_CAST): sympy.S.One,
    sympy.sympify(differs(symbol("kv_bits"), symbol("activation_bits"))): sympy.S.Zero,
}
"""Brackets about storage widths where these are symbols; numbers have settled them already."""


def _substitute(cost: Cost, values: Mapping[sympy.Symbol, sympy.Expr]) -> Cost:
    return map_cost(cost, lambda size: size.xreplace(values))


def _walk_members(bound: BoundModule, above: tuple[str, ...]) -> Iterator[tuple[BoundModule, tuple[str, ...]]]:
    members = tuple(join_path(parent, name) for parent in above for name in bound.node.members)
    yield bound, members
    for child in bound.children:
        yield from _walk_members(child, members)
