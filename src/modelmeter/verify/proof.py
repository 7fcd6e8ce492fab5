"""Compares our formulas with traced ones, module by module, and records a verdict on each metric.

Equal means that the difference of the two formulas, multiplied out, is 0: then it is 0 for all sizes in the
domain of the trace. Values that a trace leaves out (1, and points that guards exclude) are traced on their own.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Literal

import sympy
from attrs import frozen

from modelmeter.cost import METRICS, Cost, Metric
from modelmeter.errors import CountError
from modelmeter.verify.case import Case, Kind
from modelmeter.verify.our_formulas import OurFormulas, map_cost
from modelmeter.verify.symbolic_trace import SymbolicTrace

Implementation = Literal["reference", "transformers", "formulas"]
"""What our formulas were compared with: our torch modules, the independent implementation in the transformers
package, or another form of the formulas themselves."""

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
    subject, class_name
        The module with everything below it, by its path in the module graph, and its torch class.
    stages
        The stages whose costs were compared, joined with ``+``.
    metric, kind
        What was compared, and how.
    domain
        The sizes that it holds for.
    ours, theirs, difference
        The formulas, and ours less theirs.
    seconds
        How long the trace took that theirs comes from.
    note
        What the implementation does differently, by name; it is left out of both sides.
    """

    implementation: Implementation
    subject: str
    class_name: str
    stages: str
    metric: Metric
    kind: Kind
    domain: str
    ours: sympy.Expr
    theirs: sympy.Expr
    difference: sympy.Expr
    seconds: float
    note: str = ""

    @property
    def is_equal(self) -> bool:
        """Whether nothing is left of the difference."""
        return bool(self.difference == 0)


@frozen(kw_only=True)
class Evidence:
    """All verdicts on one metric of one subject, over their domains.

    ``verdict`` is the first that found a difference, if any did, else the first.
    """

    verdict: Verdict
    domains: tuple[str, ...]


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
        Torch classes of ours whose work it does in another way.
    note
        What that is.
    """

    implementation: Implementation
    find: Callable[[str], tuple[str, ...]]
    left_out: Collection[str] = ()
    note: str = ""


REFERENCE = Counterparts(implementation="reference", find=lambda path: (path,))
"""The reference model has each module at its own path."""


def prove(
    formulas: OurFormulas,
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
            yield from compare(formulas, corner, trace, counterparts)
            gaps = [
                corner.at(symbol, point) for symbol, points in trace.domain.excluded.items() for point in sorted(points)
            ]
            yield from prove(formulas, gaps, counterparts=counterparts, progress=progress)


def compare(
    formulas: OurFormulas, case: Case, trace: SymbolicTrace, counterparts: Counterparts = REFERENCE
) -> Iterator[Verdict]:
    """Yield a verdict on every counted metric of every module that does something, on either side.

    Raises
    ------
    CountError
        If the trace lacks a module that it should have.
    """
    domain = case.describe(trace.domain)
    (root,) = counterparts.find(case.root)
    for bound, members in formulas.members():
        path = bound.node.path
        if bound.node.class_name in counterparts.left_out or not any(
            _is_inside(member, case.root) for member in members
        ):
            continue
        found = [name for member in members for name in counterparts.find(member)]
        if not found:
            continue  # the implementation has no such module; what it does there is in the module above
        missing = [name for name in found if _below(name, root) not in trace.costs]
        if missing:
            raise CountError("a module was not traced", place=case.name, found=missing)
        theirs = sum((trace.costs[_below(name, root)] for name in found), start=Cost())
        stages = [stage for stage in case.stages if stage in formulas.costs[path]]
        ours = formulas.cost(path, stages, case.sizes, trace.domain)
        for below in bound.walk():
            if below.node.class_name in counterparts.left_out:
                left_out = formulas.cost(below.node.path, stages, case.sizes, trace.domain)
                ours = ours + map_cost(left_out, lambda size: -size)
        if _is_idle(ours) and _is_idle(theirs):
            continue
        for metric in trace.metrics:
            yield Verdict(
                implementation=counterparts.implementation,
                subject=path,
                class_name=bound.node.class_name,
                stages="+".join(stages),
                metric=metric,
                kind=case.kind,
                domain=domain,
                ours=ours[metric],
                theirs=theirs[metric],
                difference=sympy.expand(ours[metric] - theirs[metric]),
                seconds=trace.seconds,
                note=counterparts.note,
            )


def gather_evidence(verdicts: Iterable[Verdict]) -> tuple[Evidence, ...]:
    """Return one piece of evidence for all verdicts that differ only in their domain and formulas."""
    groups: dict[tuple[str, ...], list[Verdict]] = {}
    for verdict in verdicts:
        key = (verdict.implementation, verdict.subject, verdict.stages, verdict.metric, verdict.kind)
        groups.setdefault(key, []).append(verdict)
    return tuple(
        Evidence(
            verdict=next((verdict for verdict in group if not verdict.is_equal), group[0]),
            domains=tuple(dict.fromkeys(verdict.domain for verdict in group)),
        )
        for group in groups.values()
    )


def _is_idle(cost: Cost) -> bool:
    """Tell whether a module does nothing; what it stores does not count."""
    return all(cost[metric] == 0 for metric in METRICS if metric != "weight_bytes")


def _is_inside(path: str, root: str) -> bool:
    return not root or path == root or path.startswith(f"{root}.")


def _below(path: str, root: str) -> str:
    """Return ``path`` as seen from ``root``."""
    return path.removeprefix(root).removeprefix(".")
