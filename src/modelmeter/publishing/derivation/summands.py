"""What adds up to the formulas of a layer: its own operators, and the formulas of the layers inside it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import sympy
from attrs import evolve, field, frozen

from modelmeter.dimensions.functions import CeilDiv, FloorDiv, Size
from modelmeter.dimensions.sums import bits_to_bytes
from modelmeter.dimensions.symbols import Dimensions
from modelmeter.layers.base import BaseLayer
from modelmeter.layers.child import Child, Routing, forward
from modelmeter.layers.container import ModuleList, Sequential
from modelmeter.metrics.cost import FLOAT32_BITS, Cost, Operator, Precision, Work
from modelmeter.metrics.fusion import keep_unfused
from modelmeter.metrics.metric import FUSED_IO, METRICS
from modelmeter.publishing.formula import Shown

Costs = Mapping[Shown, Size]
"""A formula for each metric; one that is not there is 0."""

PRECISION: Final = Precision()

HELD: Final = "parameters and cache of its own"

STATES: Final = ("weight_bytes", "kv_cache_bytes")
"""What a module holds however often it is called."""


@frozen(kw_only=True)
class Calls:
    """Calls of a layer: how many there are of it, how often each is called, and at which sizes."""

    layer: BaseLayer
    count: Size = 1
    times: Size = 1


@frozen(kw_only=True)
class Summand:
    """A part of a formula.

    Parameters
    ----------
    title
        What it is: an operator, or a module.
    costs
        Its formulas.
    calls
        The calls of layers that it is the formulas of; none where it is of operators.
    alike
        How many operators alike it is of.
    note
        What it is where its title does not say it, as a part of a sentence.
    """

    title: str
    costs: Costs
    calls: tuple[Calls, ...] = ()
    alike: int = 1
    note: str = ""


@frozen
class LayerFormulas:
    """The formulas of layers at the sizes of their calls: those of the layer's page, its symbols replaced.

    Parameters
    ----------
    dimensions
        The sizes of the model.
    published
        The formulas of the catalogue, by the class and the switches of the layer.
    """

    dimensions: Dimensions
    published: Mapping[tuple[type[BaseLayer], tuple[tuple[str, bool], ...]], Costs]
    _made: dict[int, tuple[BaseLayer, Costs]] = field(init=False, factory=dict, eq=False, repr=False)
    """By the identity of a layer, which is kept with it: traced layers have no hash."""

    def of(self, layer: BaseLayer) -> Costs:
        """Return what one call costs."""
        if id(layer) not in self._made:
            self._made[id(layer)] = layer, self._make(layer)
        return self._made[id(layer)][1]

    def _make(self, layer: BaseLayer) -> Costs:
        if not layer.has_own_sizes:  # its formula is that of its place in the model
            return cost_of(layer)
        sizes = {
            self.dimensions.describe_in_layer(name).symbol: sympy.sympify(size)
            for name, size in layer.own_sizes.items()
        }
        return {
            metric: round_up(sympy.sympify(formula).xreplace(sizes)) for metric, formula in self._find(layer).items()
        }

    def _find(self, layer: BaseLayer) -> Costs:
        published = self.published.get(key_of(layer))
        if published is not None:
            return published
        # A form of the layer that has no entry of its own.
        flags: dict[str, Any] = {**layer.flags}
        return cost_of(evolve(type(layer).canonical(self.dimensions), **flags))


def round_up(formula: sympy.Expr) -> sympy.Expr:
    """Return a formula with ``CeilDiv(a, b)`` for what a number in place of a symbol makes ``FloorDiv(a + b - 1, b)``.

    Layers write the output sides of their convolutions so, whose kernels and strides are numbers.
    """
    while quotients := {each: shorter for each in formula.atoms(FloorDiv) if (shorter := _write_ceiling(each)) != each}:
        formula = formula.xreplace(quotients)
    return formula


def _write_ceiling(quotient: FloorDiv) -> sympy.Expr:
    dividend, divisor = quotient.args
    number, rest = dividend.as_coeff_Add()
    return CeilDiv(rest, divisor) if divisor.is_Integer and number == divisor - 1 != 0 else quotient


def key_of(layer: BaseLayer) -> tuple[type[BaseLayer], tuple[tuple[str, bool], ...]]:
    """Return the class and the switches of a layer, which decide about its formulas."""
    return type(layer), tuple(sorted(layer.flags.items()))


def cost_of(layer: BaseLayer) -> Costs:
    """Return all formulas of a layer."""
    return to_costs(layer.cost, layer.forward_fused_io_bytes())


def to_costs(cost: Cost, fused_io_bytes: Size = 0) -> Costs:
    """Return the formulas of a cost, and that of its fused traffic, by metric."""
    return {**{metric: cost[metric] for metric in METRICS}, FUSED_IO: fused_io_bytes}


def split_states(costs: Costs) -> tuple[Costs, Costs]:
    """Return the formulas of what is held however often a module is called, and those of what each call does."""
    held: Costs = {metric: size for metric, size in costs.items() if metric in STATES}
    done: Costs = {metric: size for metric, size in costs.items() if metric not in STATES}
    return held, done


def list_layer_summands(layer: BaseLayer, formulas: LayerFormulas) -> list[Summand]:
    """Return what adds up to the formulas of a layer, of a forward of it."""
    return [*list_operators(layer.operators_under(None)), *list_held(layer), *_list_children(layer, formulas, "")]


def list_operators(operators: Iterable[Operator], note: str = "") -> Iterator[Summand]:
    """Yield a summand for each operator, alike ones in one."""
    counts: dict[Operator, int] = {}
    for operator in operators:
        counts[operator] = counts.get(operator, 0) + 1
    for operator, count in counts.items():
        costs = cost_of_work(Work.of([operator]).scale(count), keep_unfused(operator).scale(count))
        yield Summand(title=operator.name, costs=costs, alike=count, note=note)


def cost_of_work(work: Work, unfused: Work) -> Costs:
    """Return the formulas of work that holds no parameters; ``unfused`` is the part that is not fused."""
    cost = Cost.of(work=work, parameters=0, kv_elements=0, precision=PRECISION)
    return to_costs(cost, (unfused.reads + unfused.writes).to_bytes(PRECISION))


def add_costs(parts: Sequence[tuple[Size, Costs]]) -> dict[Shown, Size]:
    """Return the sum of formulas, each taken some times."""
    names = dict.fromkeys(name for _, costs in parts for name in costs)
    return {
        name: sympy.Add(*(times * costs[name] for times, costs in parts if costs.get(name, 0) != 0)) for name in names
    }


def list_held(layer: BaseLayer, count: Size = 1, note: str = "") -> Iterator[Summand]:
    """Yield what ``count`` modules hold themselves."""
    costs: Costs = {
        "weight_bytes": bits_to_bytes(count * layer.own_parameters * PRECISION.weight_bits),
        "kv_cache_bytes": bits_to_bytes(
            count * (layer.own_kv_elements * PRECISION.kv_bits + layer.own_state_elements * FLOAT32_BITS)
        ),
    }
    if any(size != 0 for size in costs.values()):
        yield Summand(title=HELD, costs=costs, note=note)


def _list_children(layer: BaseLayer, formulas: LayerFormulas, prefix: str) -> Iterator[Summand]:
    for name, child in layer.children.items():
        path = f"{prefix}{'*' if isinstance(layer, ModuleList) else name}"
        if isinstance(child.layer, ModuleList | Sequential) and child.count == 1:
            yield from _list_children(child.layer, formulas, f"{path}.")
            continue
        yield from _list_calls(path, child, formulas)


def _list_calls(path: str, child: Child, formulas: LayerFormulas) -> Iterator[Summand]:
    for place, (called, times) in enumerate(child.calls):
        held, done = split_states(formulas.of(called))
        # Parameters and cache are held once, however many calls there are.
        costs = add_costs([(child.count if place == 0 else 0, held), (child.count * times, done)])
        yield Summand(title=path, costs=costs, calls=(Calls(layer=called, count=child.count, times=times),))
        if child.routing is not None:
            yield Summand(
                title=path, costs=_spare_weights(child, called, times, child.routing),
                note="less the weights of those that no token is expected to choose",
            )  # fmt: skip


def _spare_weights(child: Child, called: BaseLayer, times: Size, routing: Routing) -> Costs:
    """Return what is read less than all weights of all siblings, as tokens choose among them."""

    def spare(direction: Callable[[Operator], Operator | Work]) -> Size:
        chosen = called.work_under(routing, direction).reads.weight
        every = child.count * called.work_under(None, direction).reads.weight
        return bits_to_bytes(times * (chosen - every) * PRECISION.weight_bits)

    return {"io_bytes": spare(forward), FUSED_IO: spare(keep_unfused)}
