"""Compares our formulas with traced ones, module by module, and records a verdict on each metric.

Equal means that the difference of the two formulas, multiplied out, is 0: then it is 0 for all sizes in the
domain of the trace. Values that a trace leaves out (1, and points that guards exclude) are traced on their own.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Literal

import sympy
from attrs import evolve, field, frozen

from modelmeter.analysis.bind import BoundModule
from modelmeter.dimensions.symbols import symbol
from modelmeter.graph.module_graph import is_inside
from modelmeter.metrics.cost import Cost
from modelmeter.metrics.metric import FUSED_IO, METRICS, BackwardMetric, FusedMetric, MetricName, PeakMetric
from modelmeter.support.errors import CountError
from modelmeter.verify.case import Case, Kind
from modelmeter.verify.model_formulas import ModelFormulas, map_cost
from modelmeter.verify.proved_model import ProvedModel
from modelmeter.verify.symbolic_trace import SymbolicTrace

Implementation = Literal["reference", "transformers", "formulas", "enumeration"]
"""What our formulas were compared with: our torch modules, the independent implementation in the transformers
package, another form of the formulas themselves, or all cases one by one."""

Quantity = MetricName | FusedMetric | PeakMetric | BackwardMetric
"""What a verdict is on."""

Progress = Callable[[str], None]
"""Is told the name of each case before it is traced."""


def ignore_progress(name: str) -> None:
    """Do nothing with the name of a case."""


@frozen(kw_only=True)
class Verdict:
    """One comparison.

    Parameters
    ----------
    implementation
        Whose code the other side is.
    subject, layer
        The module with everything below it, by its path in the module graph, and its layer class, by the name of its
        page; no layer where it is about a stage only.
    stages
        The stages whose costs were compared, joined with ``+``.
    metric, kind
        What was compared, and how.
    domain
        The sizes that it holds for.
    dimensions
        The dimensions that are symbols in it, or formulas of symbols; empty for all.
    derived, measured, difference
        The model's own formula, what it was compared with, and the first less the second, expanded.
    seconds
        How long the trace took that ``measured`` comes from.
    note
        What the implementation does differently, by name; it is left out of both sides.
    operators
        How often each ATen operator ran in the trace: only in verdicts on the module that was run.
    """

    implementation: Implementation
    subject: str
    layer: str
    stages: str
    metric: Quantity
    kind: Kind
    domain: str
    dimensions: tuple[str, ...]
    derived: sympy.Expr
    measured: sympy.Expr
    difference: sympy.Expr
    seconds: float
    note: str = ""
    operators: Mapping[str, int] = field(factory=dict, repr=False)

    @property
    def is_equal(self) -> bool:
        """Whether nothing is left of the difference."""
        return bool(self.difference == 0)


@frozen(kw_only=True)
class Counterparts:
    """Where an implementation has our modules.

    Parameters
    ----------
    implementation
        Whose it is.
    find
        Its modules that do the work of the module at a path; none where it has no such module.
    left_out
        Torch classes of the reference model whose work it does in another way.
    note
        What that is.
    is_complete
        Whether it has all of our modules, so that what a stage costs is the sum over those of the stage.
    """

    implementation: Implementation
    find: Callable[[str], tuple[str, ...]]
    left_out: Collection[str] = ()
    note: str = ""
    is_complete: bool = False


REFERENCE = Counterparts(implementation="reference", find=lambda path: (path,), is_complete=True)
"""The reference model has each module at its own path."""


def prove(
    formulas: ModelFormulas,
    cases: Iterable[Case],
    *,
    counterparts: Counterparts = REFERENCE,
    progress: Progress = ignore_progress,
) -> Iterator[Verdict]:
    """Trace each case with its corners, and what guards leave out of them, and yield all verdicts.

    Raises
    ------
    CountError
        If a trace is not valid, or it and the formulas do not have the same modules.
    """
    for case in cases:
        for corner in case.corners():
            progress(corner.name)
            trace = corner.run()
            verdicts = list(compare(formulas, corner, trace, counterparts))
            yield from verdicts
            if trace.fused_io:
                yield from compare_fused_io(formulas, corner, trace, verdicts)
            gaps = [
                corner.at(symbol, point) for symbol, points in trace.domain.excluded.items() for point in sorted(points)
            ]
            yield from prove(formulas, gaps, counterparts=counterparts, progress=progress)


def compare(
    formulas: ModelFormulas, case: Case, trace: SymbolicTrace, counterparts: Counterparts = REFERENCE
) -> Iterator[Verdict]:
    """Yield a verdict on every counted metric of every module that does something, on either side.

    A run of several stages is also compared stage by stage, where the other side has all of our modules.

    Raises
    ------
    CountError
        If the trace lacks a module that it should have.
    """
    (root,) = counterparts.find(case.root)
    for bound, members in formulas.members():
        path = bound.node.path
        if bound.node.class_name in counterparts.left_out or not any(
            is_inside(member, case.root) for member in members
        ):
            continue
        found = [name for member in members for name in counterparts.find(member)]
        if not found:
            continue  # the implementation has no such module; what it does there is in the module above
        missing = [name for name in found if _below(name, root) not in trace.costs]
        if missing:
            raise CountError("a module was not traced", place=case.name, found=missing)
        measured = _at_widths(case, sum((trace.costs[_below(name, root)] for name in found), start=Cost()))
        stages = [stage for stage in case.stages if stage in formulas.costs[path]]
        sizes = {**case.sizes, **case.widths}
        derived = formulas.cost(path, stages, sizes, trace.domain)
        for below in bound.walk():
            if below.node.class_name in counterparts.left_out:
                left_out = formulas.cost(below.node.path, stages, sizes, trace.domain)
                derived = derived + map_cost(left_out, lambda size: -size)
        yield from _judge(case, trace, counterparts, bound, stages, derived, measured)
    if len(case.stages) > 1 and counterparts.is_complete:
        for stage in case.stages:
            derived = formulas.stage_cost(stage, {**case.sizes, **case.widths}, trace.domain)
            measured = _at_widths(case, _sum_stage(formulas.proved, trace, stage))
            yield from _judge(case, trace, counterparts, formulas.model, [stage], derived, measured)


def compare_fused_io(
    formulas: ModelFormulas, case: Case, trace: SymbolicTrace, verdicts: Iterable[Verdict]
) -> Iterator[Verdict]:
    """Yield a verdict on ``fused_io_bytes`` beside each of ``verdicts`` on ``io_bytes``.

    The other side is the traffic of the operators that the trace saw in the reference model and that are not fused.
    """
    members = {bound.node.path: paths for bound, paths in formulas.members()}
    for verdict in verdicts:
        if verdict.metric != "io_bytes":
            continue
        stages = verdict.stages.split("+")
        if verdict.subject == "" and len(stages) < len(case.stages):
            measured = sympy.Add(
                *(sign * trace.fused_io[path] for path, sign in _list_own(formulas.proved, trace.fused_io, *stages))
            )
        else:
            measured = sympy.Add(*(trace.fused_io[_below(name, case.root)] for name in members[verdict.subject]))
        derived = formulas.fused_io(verdict.subject, stages, {**case.sizes, **case.widths}, trace.domain)
        measured = sympy.expand(
            measured.xreplace({symbol(name): sympy.Integer(bits) for name, bits in case.widths.items()})
        )
        difference = sympy.expand(derived - measured)
        yield evolve(verdict, metric=FUSED_IO, derived=derived, measured=measured, difference=difference, operators={})


def _judge(
    case: Case,
    trace: SymbolicTrace,
    counterparts: Counterparts,
    bound: BoundModule,
    stages: Collection[str],
    derived: Cost,
    measured: Cost,
) -> Iterator[Verdict]:
    """Yield a verdict on each metric of a module, unless neither side does anything."""
    if _is_idle(derived) and _is_idle(measured):
        return
    for metric in trace.metrics:
        yield Verdict(
            implementation=counterparts.implementation,
            subject=bound.node.path,
            layer=type(bound.layer).function_name(),
            stages="+".join(stages),
            metric=metric,
            kind=case.kind,
            domain=case.describe(trace.domain),
            dimensions=case.dimensions,
            derived=derived[metric],
            measured=measured[metric],
            difference=sympy.expand(derived[metric] - measured[metric]),
            seconds=trace.seconds,
            note=counterparts.note,
            operators=trace.operators if bound.node.path == case.root else {},
        )


def _sum_stage(proved: ProvedModel, trace: SymbolicTrace, stage: str) -> Cost:
    """Return what the modules of a stage did themselves in a traced forward of the whole model."""
    total = sum((trace.costs[path].scale(sign) for path, sign in _list_own(proved, trace.costs, stage)), start=Cost())
    return map_cost(total, sympy.expand)


def _list_own(proved: ProvedModel, paths: Iterable[str], stage: str) -> Iterator[tuple[str, int]]:
    """Yield what adds up to what the modules of a stage did themselves: modules with a sign."""
    run = proved.forward_run
    for path in paths:
        if proved.model.stage_of(run, path) == stage:
            yield path, 1
        if path and proved.model.stage_of(run, path.rpartition(".")[0]) == stage:
            yield path, -1


def _at_widths(case: Case, cost: Cost) -> Cost:
    """Return what was traced with the storage widths that are numbers in the case."""
    widths = {symbol(name): sympy.Integer(width) for name, width in case.widths.items()}
    return map_cost(cost, lambda size: sympy.expand(size.xreplace(widths))) if widths else cost


def _is_idle(cost: Cost) -> bool:
    """Tell whether a module does nothing; what it stores does not count."""
    return all(cost[metric] == 0 for metric in METRICS if metric != "weight_bytes")


def _below(path: str, root: str) -> str:
    """Return ``path`` as seen from ``root``."""
    return path.removeprefix(root).removeprefix(".")
