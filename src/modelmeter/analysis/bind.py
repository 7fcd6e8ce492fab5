"""Bind a module graph to layer trees: every module gets its formulas, and nothing is left over."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from functools import cached_property

from attrs import evolve, field, frozen

from modelmeter.dimensions.evaluate import evaluate
from modelmeter.dimensions.functions import Size
from modelmeter.dimensions.sums import multiply_size
from modelmeter.graph.module_graph import ModuleGraph, ModuleNode, name_group
from modelmeter.layers.base import BaseLayer
from modelmeter.layers.child import Child, Routing
from modelmeter.layers.container import ModuleList
from modelmeter.metrics.cost import Operator, Work
from modelmeter.support.errors import BindError


@frozen(kw_only=True)
class BoundCall:
    """One call of a module, with the layer at the sizes of that call.

    Parameters
    ----------
    run
        The forward that the call is part of.
    layer
        The formulas.
    member_times
        How often one of the alike siblings makes this call, in one run.
    times
        How often all of them make it.
    weight_times
        The same for weight reads; it leaves out siblings that tokens are routed to, since ``routing``
        already counts the reads of all of them.
    routing
        How tokens choose among the siblings, if they do.
    """

    run: str
    layer: BaseLayer
    member_times: Size = 1
    times: Size = 1
    weight_times: Size = 1
    routing: Routing | None = None

    @cached_property
    def own_operators(self) -> tuple[Operator, ...]:
        """The module's own operators, each with its work over all siblings and calls."""
        return tuple(self._spread(operator) for operator in self.layer.operators_under(self.routing))

    def own_work(self) -> Work:
        """Return the work of the module's own operators, over all siblings and calls."""
        return Work.of(self.own_operators)

    def _spread(self, operator: Operator) -> Operator:
        reads = operator.reads.scale(self.times)
        return evolve(
            operator,
            tensor_core_flops=multiply_size(self.times, operator.tensor_core_flops),
            cuda_core_flops=multiply_size(self.times, operator.cuda_core_flops),
            reads=evolve(reads, weight=multiply_size(self.weight_times, operator.reads.weight)),
            writes=operator.writes.scale(self.times),
        )

    def enter(self, child: Child, layer: BaseLayer, times: Size) -> BoundCall:
        """Return the call that ``child`` gets, ``times`` times, inside this one."""
        weight_count: Size = 1 if child.routing is not None else child.count
        return BoundCall(
            run=self.run,
            layer=layer,
            member_times=self.member_times * times,
            times=self.times * times * child.count,
            weight_times=self.weight_times * times * weight_count,
            routing=child.routing or self.routing,
        )


@frozen(kw_only=True)
class BoundModule:
    """A node of the module graph with its formulas.

    Parameters
    ----------
    node
        What the trace saw.
    layer
        The layer of the first call, which gives the parameters.
    count
        Modules that the node stands for, over all repetitions above it.
    calls
        Every call of every run.
    children
        The bound modules below, in the graph's order.
    """

    node: ModuleNode
    layer: BaseLayer
    count: Size
    calls: tuple[BoundCall, ...]
    children: tuple[BoundModule, ...] = field(repr=False)

    @property
    def routes_experts(self) -> bool:
        """Whether tokens choose among modules in it."""
        return any(call.routing is not None for bound in self.walk() for call in bound.calls)

    def list_calls(self) -> list[BoundCall]:
        """Return the calls that happen, and then those of runs in which it is stored only."""
        return sorted(self.calls, key=lambda call: call.times == 0)

    def walk(self) -> Iterator[BoundModule]:
        """Yield this module and all below it, parents first."""
        yield self
        for child in self.children:
            yield from child.walk()


def bind(graph: ModuleGraph, layers: Mapping[str, BaseLayer], sizes: Mapping[str, int]) -> BoundModule:
    """Bind ``graph`` to the layer tree of each run.

    Parameters
    ----------
    graph
        The traced modules.
    layers
        A layer tree for each run. The first covers every module of the graph, called or not; the others
        only what their run calls.
    sizes
        The traced workload and architecture: every formula is checked against the trace at these.

    Raises
    ------
    BindError
        If one side has a module that the other lacks, or a class, a parameter count, a number of calls
        or an output shape differs.
    """
    runs = list(layers)
    unknown = {call.run for node in graph.walk() for call in node.calls}.difference(runs)
    if unknown:
        raise BindError("a run of the graph has no layers", place="", expected=runs, found=sorted(unknown))
    binder = _Binder(graph=graph, sizes=sizes, main_run=runs[0])
    calls = tuple(BoundCall(run=run, layer=layer) for run, layer in layers.items())
    return binder.bind(graph.root, layers[runs[0]], count=1, calls=calls)


@frozen(kw_only=True)
class _Binder:
    graph: ModuleGraph
    sizes: Mapping[str, int]
    main_run: str

    def bind(self, node: ModuleNode, layer: BaseLayer, *, count: Size, calls: tuple[BoundCall, ...]) -> BoundModule:
        """Check ``node`` against ``layer`` and its ``calls``, and bind what is below."""
        for call in calls:
            self._expect(node, "class", call.layer.torch_class(), node.class_name)
            self._check_names(node, layer, call)
        self._expect(node, "own parameters", self._value(node, layer.own_parameters), node.own_parameter_count)
        self._check_calls(node, calls)
        children = []
        for child_node, name, child in self._match_children(node, layer):
            child_calls: list[BoundCall] = []
            for call in calls:
                for inner in _child_of(call, name, child_node, self.main_run):
                    self._expect(
                        child_node, "siblings", self._value(child_node, inner.count), child_node.repetition_count
                    )
                    child_calls.extend(call.enter(inner, inner_layer, times) for inner_layer, times in inner.calls)
            children.append(self.bind(child_node, child.layer, count=count * child.count, calls=tuple(child_calls)))
        # What is below comes first: an error names the module itself, not all that contain it.
        self._expect(node, "parameters", self._value(node, layer.parameters), node.parameter_count)
        return BoundModule(node=node, layer=layer, count=count, calls=calls, children=tuple(children))

    def _check_names(self, node: ModuleNode, layer: BaseLayer, call: BoundCall) -> None:
        """Check that the layer of a later run has no child that ``layer``, that of the first run, lacks."""
        extra = sorted(call.layer.children.keys() - layer.children.keys())
        if extra:
            raise BindError(
                "the layers of a run have a child that those of the first run lack", place=_name(node),
                expected=sorted(layer.children), found=f"{', '.join(extra)} in run {call.run!r}",
            )  # fmt: skip

    def _match_children(self, node: ModuleNode, layer: BaseLayer) -> Iterator[tuple[ModuleNode, str, Child]]:
        """Yield each module below ``node`` with the name and the child that model it; fail on any left over."""
        remaining = dict(layer.children)
        is_list = isinstance(layer, ModuleList)
        for child_node in self.graph.children(node.path):
            if layer.names_groups and name_group(child_node.members) in remaining:
                name = name_group(child_node.members)
            elif is_list:
                name = self._find_group(child_node, remaining)
            else:
                name = child_node.members[0]
                if name not in remaining or len(child_node.members) > 1:
                    raise BindError(
                        "no layer models this module", place=child_node.path, expected=sorted(remaining),
                        found=f"{'/'.join(child_node.members)} ({child_node.class_name})",
                        remedy=f"add it to the children of {type(layer).__name__}",
                    )  # fmt: skip
            yield child_node, name, remaining.pop(name)
        for name, child in remaining.items():
            if self._value(node, child.count) != 0:
                raise BindError(
                    "the layer has a child that the torch module lacks", place=_name(node),
                    expected=f"{name} ({child.layer.torch_class()})",
                    found=[below.members[0] for below in self.graph.children(node.path)],
                )  # fmt: skip

    def _find_group(self, node: ModuleNode, groups: Mapping[str, Child]) -> str:
        """Return the group of a ModuleList that ``node`` is: same class, number of siblings and parameters."""
        fitting = [
            name
            for name, group in groups.items()
            if group.layer.torch_class() == node.class_name
            and self._value(node, group.count) == node.repetition_count
            and self._value(node, group.layer.parameters) == node.parameter_count
        ]
        if len(fitting) != 1:
            raise BindError(
                "not exactly one group of layers fits these siblings", place=node.path,
                expected=[
                    f"{self._value(node, group.count)} x {group.layer.torch_class()} of "
                    f"{self._value(node, group.layer.parameters)} parameters"
                    for group in groups.values()
                ],
                found=f"{node.repetition_count} x {node.class_name} of {node.parameter_count} parameters",
            )  # fmt: skip
        return fitting[0]

    def _check_calls(self, node: ModuleNode, calls: tuple[BoundCall, ...]) -> None:
        """Check the number of calls and the output shape of each, run by run."""
        if calls and isinstance(calls[0].layer, ModuleList):
            self._expect(node, "calls of a list", 0, len(node.calls))
            return
        expected = [
            (call.run, tuple(self._value(node, size) for size in call.layer.output_shape))
            for call in calls
            if call.layer.is_called
            for _ in range(self._value(node, call.member_times))
        ]
        seen = [(call.run, call.output_shape) for call in node.calls]
        self._expect(node, "calls (run, output shape)", sorted(expected), sorted(seen))

    def _expect(self, node: ModuleNode, what: str, ours: object, traced: object) -> None:
        if ours != traced:
            raise BindError(f"the {what} of layer and module differ", place=_name(node), expected=traced, found=ours)

    def _value(self, node: ModuleNode, size: Size) -> int:
        value = evaluate(size, self.sizes)
        if isinstance(value, Fraction):
            raise BindError(
                "a size is not whole at the traced workload", place=_name(node), expected="an integer", found=value,
                remedy="trace a workload that the experts share evenly",
            )  # fmt: skip
        return value


def _name(node: ModuleNode) -> str:
    """Return what messages call ``node``: its path, or the class of the root, whose path is empty."""
    return node.path or node.class_name


def _child_of(call: BoundCall, name: str, node: ModuleNode, main_run: str) -> tuple[Child, ...]:
    """Return the child of that name in the layer of ``call``: none where a later run leaves it out."""
    child = call.layer.children.get(name)
    if child is not None:
        return (child,)
    if call.run == main_run or any(seen.run == call.run for seen in node.calls):
        raise BindError(
            "the layers of a run lack a module that the run calls", place=node.path, expected=name,
            found=sorted(call.layer.children), remedy=f"add it to the layers of run {call.run!r}",
        )  # fmt: skip
    return ()
