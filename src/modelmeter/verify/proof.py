"""Compares our formulas with traced ones, module by module, and records a verdict on each metric.

Equal means that the difference of the two formulas, multiplied out, is 0: then it is 0 for all sizes in the
domain of the trace. Values that a trace leaves out (1, and points that guards exclude) are traced on their own.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from math import prod
from typing import Literal, cast

import sympy
from attrs import evolve, field, frozen
from sympy.core.relational import Relational

from modelmeter.cost import METRICS, Cost, Metric
from modelmeter.errors import CountError
from modelmeter.functions import Size
from modelmeter.verify.integer_facts import Domain
from modelmeter.verify.our_formulas import OurFormulas, map_cost
from modelmeter.verify.symbolic_trace import LEAST_SIZE, Forward, SymbolicTrace, TorchSize, Trace

Implementation = Literal["reference", "transformers", "formulas"]
"""What our formulas were compared with: our torch modules, the independent implementation in the transformers
package, or another form of the formulas themselves."""

Kind = Literal["identity", "polynomial identity test", "exact at n points"]
"""``identity``: the difference of two formulas is 0. The others compare numbers: at random points, where a wrong
polynomial is 0 with a bounded probability; or at the points that the domains list, one for each."""

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


@frozen(kw_only=True)
class Case:
    """A forward to trace, and what it is in our formulas.

    Parameters
    ----------
    name
        For people.
    trace
        How its costs are counted.
    inputs
        The sizes that it is built from, by name: numbers, or polynomials in the symbols of the trace.
    build
        Makes the forward from ``inputs``, as sizes of torch.
    sizes
        Dimensions of our formulas, in the same symbols.
    stages
        The stages that it is all of.
    root
        The path of the module that it runs.
    least
        Symbols whose least value is below 2.
    assumed
        Relations that its domain is limited to: the guards that are expected.
    kind
        The kind of its verdicts.
    """

    name: str
    trace: Trace
    inputs: Mapping[str, Size]
    build: Callable[[Mapping[str, TorchSize]], Forward]
    sizes: Mapping[str, Size]
    stages: tuple[str, ...]
    root: str = ""
    least: Mapping[sympy.Symbol, int] = field(factory=dict)
    assumed: tuple[Relational, ...] = ()
    kind: Kind = "identity"

    @property
    def symbols(self) -> tuple[sympy.Symbol, ...]:
        """The symbols of the trace."""
        found = {free for size in self.inputs.values() for free in sympy.sympify(size).free_symbols}
        return tuple(sorted(found, key=str))

    def at(self, chosen: sympy.Symbol, value: int) -> Case:
        """Return the case at one value of a symbol."""

        values = {chosen: sympy.Integer(value)}

        def put_in(size: Size) -> sympy.Expr:
            return sympy.expand(sympy.sympify(size).xreplace(values))

        relations = [relation.xreplace(values) for relation in self.assumed]
        return evolve(
            self,
            name=f"{self.name}, {chosen} = {value}",
            inputs={name: put_in(size) for name, size in self.inputs.items()},
            sizes={name: put_in(size) for name, size in self.sizes.items()},
            least={symbol: least for symbol, least in self.least.items() if symbol != chosen},
            assumed=tuple(relation for relation in relations if relation != sympy.true),
        )

    def corners(self) -> Iterator[Case]:
        """Yield the case itself, and with each set of symbols at values that are too small to be symbols."""
        if not self.least:
            yield self
            return
        symbol, least = next(iter(self.least.items()))
        rest = evolve(self, least={other: value for other, value in self.least.items() if other != symbol})
        yield from rest.corners()
        for value in range(least, LEAST_SIZE):
            yield from rest.at(symbol, value).corners()

    def run(self) -> SymbolicTrace:
        """Trace the forward."""

        def prepare(sizes: Mapping[str, TorchSize]) -> Forward:
            return self.build({name: _to_torch(size, sizes) for name, size in self.inputs.items()})

        return self.trace(prepare, self.symbols, self.assumed)


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
    domain = describe_domain(case, trace.domain)
    (root,) = counterparts.find(case.root)
    for bound, members in formulas.members():
        path = bound.node.path
        if bound.node.class_name in counterparts.left_out or not any(_is_inside(member, case.root) for member in members):
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
                note=counterparts.note,
            )


def describe_domain(case: Case, domain: Domain) -> str:
    """Return the sizes that a trace of ``case`` holds for, as one line."""
    fixed = [f"{name} = {size}" for name, size in case.sizes.items() if str(size) != name]
    ranges = [f"{symbol.name} >= {domain.least_of(symbol)}" for symbol in case.symbols]
    gaps = [f"{symbol.name} != {point}" for symbol, points in domain.excluded.items() for point in sorted(points)]
    return "; ".join([*fixed, *ranges, *gaps, *map(_describe_relation, case.assumed)])


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


def _describe_relation(relation: Relational) -> str:
    return f"{relation.lhs} {relation.rel_op} {relation.rhs}"


def _is_idle(cost: Cost) -> bool:
    """Tell whether a module does nothing; what it stores does not count."""
    return all(cost[metric] == 0 for metric in METRICS if metric != "weight_bytes")


def _is_inside(path: str, root: str) -> bool:
    return not root or path == root or path.startswith(f"{root}.")


def _below(path: str, root: str) -> str:
    """Return ``path`` as seen from ``root``."""
    return path.removeprefix(root).removeprefix(".")


def _to_torch(size: Size, sizes: Mapping[str, TorchSize]) -> TorchSize:
    """Return the value of a polynomial at sizes of torch."""
    expression = sympy.sympify(size)
    if expression.is_Integer:
        return int(expression)
    if expression.is_Symbol:
        return sizes[expression.name]
    values = [_to_torch(argument, sizes) for argument in expression.args]
    if expression.is_Add:
        return sum(values)
    if expression.is_Mul:
        return prod(values)
    if expression.is_Pow and expression.exp.is_Integer:
        return cast(TorchSize, values[0] ** values[1])
    raise CountError("a size to trace is not a polynomial", found=expression)
