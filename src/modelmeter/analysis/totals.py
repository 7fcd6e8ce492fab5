"""Totals of a bound model: by module, by class, by stage, with repetition and calls applied."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Generic, TypeAlias, TypeVar

import sympy
from attrs import field, frozen

from modelmeter.analysis.bind import BoundModule
from modelmeter.dimensions.functions import Exceeds, Size, Triangular, exceeds
from modelmeter.dimensions.sums import add_sizes, bits_to_bytes
from modelmeter.metrics.cost import Cost, Operator, Precision, Work
from modelmeter.metrics.fusion import keep_unfused
from modelmeter.metrics.metric import FLOWS, METRICS, MetricName
from modelmeter.model.loop import Loop
from modelmeter.model.request import fold_metric
from modelmeter.model.stages import Stage
from modelmeter.support.errors import FormulaError

StageRule = Callable[[str, str], str]
"""Returns the stage of a module's own work, from the run and the module's path."""

T = TypeVar("T")


@frozen(kw_only=True)
class Totals:
    """Costs as formulas over the workload, the storage widths and the architecture.

    Parameters
    ----------
    by_stage
        Each stage; for one of many steps, all of them in closed form. They add up to ``total``.
    by_module
        Each module path with everything below it, by stage.
    by_class
        Each torch class, over all its modules with everything below them, by stage. A module below
        another of its class is part of that one, not counted twice.
    total
        All stages chained: flows add up, parameters count once, the largest activations and the final
        cache stand.
    fused_io_by_stage, fused_io_by_module
        ``fused_io_bytes`` of each stage, and of each module path by stage. It is a flow, too.
    """

    by_stage: Mapping[str, Cost]
    by_module: Mapping[str, Mapping[str, Cost]]
    by_class: Mapping[str, Mapping[str, Cost]]
    total: Cost
    fused_io_by_stage: Mapping[str, Size]
    fused_io_by_module: Mapping[str, Mapping[str, Size]]


@frozen(kw_only=True)
class _Own:
    """What a module itself does and holds in one stage."""

    operators: tuple[Operator, ...]
    parameters: Size
    kv_elements: Size
    state_elements: Size


_Tally: TypeAlias = list[_Own]
"""What a set of modules does and holds in one stage: it is added up at once, where it is asked for."""


def _to_cost(tally: _Tally, stage: str, loop: Loop | None) -> Cost:
    cost = Cost.of(
        work=Work.of(operator for own in tally for operator in own.operators),
        parameters=add_sizes(own.parameters for own in tally),
        kv_elements=add_sizes(own.kv_elements for own in tally),
        precision=Precision(),
        state_elements=add_sizes(own.state_elements for own in tally),
    )
    return close_loop(cost, loop) if loop is not None and stage == loop.stage else cost


def _to_fused_io(tally: _Tally, stage: str, loop: Loop | None) -> Size:
    """Return the traffic of those of the operators that are not fused."""
    unfused = Work.of(keep_unfused(operator) for own in tally for operator in own.operators)
    size = (unfused.reads + unfused.writes).to_bytes(Precision())
    return sum_over_steps(size, loop) if loop is not None and stage == loop.stage else size


@frozen
class _OnDemand(Mapping[str, Mapping[str, T]], Generic[T]):
    """The formulas of each tally by stage, made when they are first asked for: few of them ever are."""

    _tallies: Mapping[str, Mapping[str, _Tally]]
    _make: Callable[[_Tally, str], T] = field(eq=False)  # follows from the tallies
    _made: dict[str, dict[str, T]] = field(init=False, factory=dict, repr=False, eq=False)

    def __getitem__(self, key: str) -> Mapping[str, T]:
        if key not in self._made:
            self._made[key] = {stage: self._make(tally, stage) for stage, tally in self._tallies[key].items()}
        return self._made[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tallies)

    def __len__(self) -> int:
        return len(self._tallies)


def add_up(model: BoundModule, stage_of: StageRule, *, stages: Sequence[Stage], loop: Loop | None = None) -> Totals:
    """Add up a bound model.

    Parameters
    ----------
    model
        The root of the bound modules.
    stage_of
        Assigns own work to stages.
    stages
        The stages in the order in which they run.
    loop
        The stage whose run is one step of several, if there is one.

    Raises
    ------
    FormulaError
        If a stage costs what is not linear in its step.
    """
    by_module: dict[str, dict[str, _Tally]] = {}
    _tally_modules(model, stage_of, by_module)
    by_class: dict[str, dict[str, _Tally]] = {}
    _tally_classes(model, by_module, by_class, above=frozenset())

    def make_cost(tally: _Tally, stage: str) -> Cost:
        return _to_cost(tally, stage, loop)

    def make_fused_io(tally: _Tally, stage: str) -> Size:
        return _to_fused_io(tally, stage, loop)

    costs_by_module, fused_io_by_module = _OnDemand(by_module, make_cost), _OnDemand(by_module, make_fused_io)
    costs, fused_io = costs_by_module[model.node.path], fused_io_by_module[model.node.path]
    names = [stage.name for stage in stages]
    by_stage = {name: costs[name] for name in names}
    return Totals(
        by_stage=by_stage,
        by_module=costs_by_module,
        by_class=_OnDemand(by_class, make_cost),
        total=chain_stages(by_stage, stages, parameters=model.layer.parameters),
        fused_io_by_stage={name: fused_io[name] for name in names},
        fused_io_by_module=fused_io_by_module,
    )


def close_loop(step: Cost, loop: Loop) -> Cost:
    """Return the cost of all steps of a loop from the cost of one.

    Flows are summed in closed form. The cache is that after the last step, and activations are those
    of one step; without a step there are none.
    """
    steps, index = loop.count, loop.index
    closed: dict[MetricName, Size] = {}
    for metric in METRICS:
        if metric in FLOWS:
            closed[metric] = sum_over_steps(step[metric], loop)
        else:
            closed[metric] = sympy.sympify(step[metric]).xreplace({index: steps})
    closed["activation_bytes"] = exceeds(steps, 0) * closed["activation_bytes"]
    return Cost(**closed)


def sum_over_steps(flow: Size, loop: Loop) -> sympy.Expr:
    """Return the sum of ``flow`` over all steps of a loop, from 1 to their number.

    Raises
    ------
    FormulaError
        If ``flow`` is not linear in the index of a step, everywhere or from some step on.
    """
    steps, index = loop.count, loop.index
    growing: list[sympy.Expr] = []
    terms: dict[sympy.Expr, list[sympy.Expr]] = {sympy.S.One: [], index: []}
    for term in sympy.Add.make_args(sympy.sympify(flow)):
        # Most operators do the same in every step; multiplying them out would take long.
        (growing if term.has(index) else terms[sympy.S.One]).append(term)
    for term in sympy.Add.make_args(sympy.Add(*growing).expand()) if growing else ():
        rest, power = term.as_independent(index, as_Add=False)
        terms.setdefault(power, []).append(rest)
    sums = {sympy.S.One: steps, index: Triangular(steps)}
    for power in terms.keys() - sums.keys():
        found = _sum_from_a_step(power, loop)
        if found is None:
            raise FormulaError("a step is not linear in its index", place=loop.stage, found=flow)
        sums[power] = found
    # In the order in which they were met: that of a set is another one in each process.
    total: sympy.Expr = sympy.Add(*(sympy.Add(*rests) * sums[power] for power, rests in terms.items()))
    return total


def _sum_from_a_step(power: sympy.Expr, loop: Loop) -> sympy.Expr | None:
    """Return the sum of ``[t + r > 0]``, or of ``t [t + r > 0]``, over all steps t; None for anything else.

    With u = max(T + r, 0) and v = max(r, 0), T being the number of steps, the first is u - v. The second is
    1 + ... + u less 1 + ... + v, less r times the first.
    """
    factors = set(sympy.Mul.make_args(power))
    is_growing = loop.index in factors
    others = factors - {loop.index}
    if len(others) != 1 or not isinstance(bracket := others.pop(), Exceeds):
        return None
    rest = sympy.expand(bracket.args[0] - bracket.args[1] - loop.index)
    if rest.has(loop.index):
        return None

    def count_from(end: sympy.Expr) -> tuple[sympy.Expr, sympy.Expr]:
        """Return the bracket at a step, and how many steps it has been open there."""
        return bracket.xreplace({loop.index: end}), sympy.expand(end + rest)

    (last, after), (first, before) = count_from(loop.count), count_from(sympy.S.Zero)
    count = last * after - first * before
    if not is_growing:
        return count
    return last * after * (after + 1) / 2 - first * before * (before + 1) / 2 - rest * count


def chain_stages(by_stage: Mapping[str, Cost], stages: Sequence[Stage], *, parameters: Size) -> Cost:
    """Return the cost of all stages one after the other; ``parameters`` are those of the model."""
    total: dict[MetricName, Size] = {}
    for metric in METRICS:
        fold = fold_metric(metric, stages)
        total[metric] = fold.apply(by_stage[stage][metric] for stage in fold.stages)
    return Cost(**{**total, "weight_bytes": bits_to_bytes(parameters * Precision().weight_bits)})


def _tally_modules(bound: BoundModule, stage_of: StageRule, tallies: dict[str, dict[str, _Tally]]) -> dict[str, _Tally]:
    """Fill ``tallies`` for ``bound`` and all below it, and return its own with everything below."""
    path = bound.node.path
    inclusive: dict[str, _Tally] = {}
    tallies[path] = inclusive  # parents first, as people read
    for stage in dict.fromkeys(stage_of(call.run, path) for call in bound.calls):
        calls = [call for call in bound.list_calls() if stage_of(call.run, path) == stage]
        own = _Own(
            operators=tuple(operator for call in calls for operator in call.own_operators),
            # Parameters and cache are states: they stand once, however many calls there are.
            parameters=bound.count * calls[0].layer.own_parameters,
            kv_elements=bound.count * calls[0].layer.own_kv_elements,
            state_elements=bound.count * calls[0].layer.own_state_elements,
        )
        _merge(inclusive, {stage: [own]})
    for child in bound.children:
        _merge(inclusive, _tally_modules(child, stage_of, tallies))
    return inclusive


def _tally_classes(
    bound: BoundModule,
    by_module: Mapping[str, Mapping[str, _Tally]],
    tallies: dict[str, dict[str, _Tally]],
    *,
    above: frozenset[str],
) -> None:
    """Add each module to the tally of its class, unless it is inside another of that class."""
    name = bound.node.class_name
    if name not in above:
        _merge(tallies.setdefault(name, {}), by_module[bound.node.path])
    for child in bound.children:
        _tally_classes(child, by_module, tallies, above=above | {name})


def _merge(into: dict[str, _Tally], tallies: Mapping[str, _Tally]) -> None:
    for stage, tally in tallies.items():
        into.setdefault(stage, []).extend(tally)
