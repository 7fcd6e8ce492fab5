"""From formulas in some unknown sizes to few operations: what is known is put in, what is common is taken out."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, TypeAlias

from ._formulas import HOLDERS
from ._polynomials import Call, Monomial, Space, Value, terms_of
from ._reading import read
from ._refused import check_stage
from ._runtime import Cost, CostError, is_fraction
from ._sizes import Size
from ._symbolic import apply, ceil_div, enforce, settle

Node: TypeAlias = "int | str | Operation"
"""An integer, the name of a size or of an earlier step, or an operation on nodes."""


class Operation(NamedTuple):
    """A sum (``+``), a product (``*``) or a call; what is no formula in a call follows its operands."""

    function: str
    operands: tuple[Node, ...]
    constants: tuple[int | str, ...] = ()


class Check(NamedTuple):
    """A rule between sizes, as nodes, by how it is ``broken``."""

    broken: str
    name: str
    size: Node
    limit_name: str
    limit: Node


class Program(NamedTuple):
    """Calls by name, in order, then the rules between sizes and the metrics made of them."""

    steps: tuple[tuple[str, Operation], ...]
    checks: tuple[Check, ...]
    metrics: tuple[Node, ...]


class Formulas(NamedTuple):
    """The metrics of a stage as formulas of the sizes that are not known."""

    space: Space
    metrics: tuple[Value, ...]

    def fold(self, known: Mapping[int, int]) -> "Formulas":
        """Return the formulas with the unknowns put in that are ``known``, by number."""
        space = Space()
        values: list[Value] = []

        def put_in(value: Value) -> Value:
            total: Value = 0
            for monomial, coefficient in terms_of(value).items():
                term: Value = coefficient
                for number in monomial:
                    term = term * values[number]
                total = total + term
            return total

        for number, what in enumerate(self.space.unknowns):
            if number in known:
                values.append(known[number])
            else:
                values.append(
                    space.unknown(what) if isinstance(what, str) else apply(what, *map(put_in, what.operands))
                )
        for check in self.space.checks:
            enforce(check._replace(size=put_in(check.size), limit=put_in(check.limit)))
        return Formulas(space, tuple(settle(put_in(metric)) for metric in self.metrics))

    def program(self) -> Program:
        """Return the operations that compute the metrics."""
        nodes: list[Node] = []
        steps: list[tuple[str, Operation]] = []

        def write(value: Value) -> Node:
            return nest(terms_of(value), nodes)

        needed = self._needed()
        for number, what in enumerate(self.space.unknowns):
            if isinstance(what, str) or number not in needed:
                nodes.append(what if isinstance(what, str) else 0)
            else:
                nodes.append(f"x{len(steps) + 1}")
                steps.append(
                    (str(nodes[-1]), Operation(what.function, tuple(map(write, what.operands)), what.constants))
                )
        checks = [
            Check(check.broken, check.name, write(check.size), check.limit_name, write(check.limit))
            for check in self.space.checks
        ]
        metrics: list[Node] = []
        for place, metric in enumerate(self.metrics):
            parts, rest = _take_out(terms_of(metric), [terms_of(earlier) for earlier in self.metrics[:place]])
            summands = [*(metrics[part] for part in parts), *([nest(rest, nodes)] if rest else [])]
            metrics.append(Operation("+", tuple(summands)) if parts else summands[0])
        return Program(tuple(steps), tuple(checks), tuple(metrics))

    def _needed(self) -> set[int]:
        """Return the numbers of the unknowns that the metrics and the rules depend on."""
        roots = [*self.metrics, *(value for check in self.space.checks for value in (check.size, check.limit))]
        needed = {number for root in roots for monomial in terms_of(root) for number in monomial}
        for number, what in reversed(list(enumerate(self.space.unknowns))):
            if number in needed and isinstance(what, Call):
                needed |= {inner for operand in what.operands for monomial in terms_of(operand) for inner in monomial}
        return needed


def trace(function: str, known: Mapping[str, int | None], expert_routing: str) -> Formulas:
    """Return the formulas of a function; sizes that are not ``known`` are unknown, and None follows from others."""
    space = Space()
    reading = read(function)
    sizes = {size: known[size] if size in known else space.unknown(size) for size in reading.sizes}
    routing = {"expert_routing": expert_routing} if reading.has_routing else {}
    metrics = reading.run(**sizes, **routing)
    if any(map(is_fraction, known.values())):
        metrics = tuple(ceil_div(metric, 1) for metric in metrics)
    return Formulas(space, tuple(map(settle, metrics)))


def sizes_of(function: str) -> dict[str, Size]:
    """Return what a function takes; what is no stage has its module before its name."""
    return read(function).sizes


def describe_routing(function: str) -> str:
    """Return the words for the argument of a function that is no size, where it has that."""
    return "; expert_routing is an argument, too, and no size" if read(function).has_routing else ""


def _take_out(
    terms: Mapping[Monomial, int], sums: Sequence[Mapping[Monomial, int]]
) -> tuple[list[int], Mapping[Monomial, int]]:
    """Return which ``sums`` a sum of products holds, by their places, and what is left of it."""
    parts: list[int] = []
    for place, part in enumerate(sums):
        shared = {monomial: terms.get(monomial, 0) - coefficient for monomial, coefficient in part.items()}
        vanishing = sum(not coefficient for coefficient in shared.values())
        if min(shared.values()) >= 0 and (vanishing > 1 or (vanishing == len(part) and any(part))):
            terms = {monomial: coefficient for monomial, coefficient in {**terms, **shared}.items() if coefficient}
            parts.append(place)
    return parts, terms


def find_formulas(stage: str, metric: str | None) -> tuple[str, slice]:
    """Return the function that has a metric of a stage, or all of its cost for None, and which of its results they are.

    A peak is no part of a cost, and has a function of its own.
    """
    check_stage(stage)
    others = [
        name.removeprefix(f"{stage}_") for names in HOLDERS.values() for name in names if name.startswith(f"{stage}_")
    ]
    if metric in others:
        return f"{stage}_{metric}", slice(0, 1)
    if metric is None:
        return stage, slice(None)
    if metric not in Cost._fields:
        raise CostError(f"there is no metric {metric!r}: there are {', '.join((*Cost._fields, *others))}")
    place = Cost._fields.index(metric)
    return stage, slice(place, place + 1)


def check_names(stage: str, names: Iterable[str], parameters: Iterable[str], beside: str = "") -> None:
    """Raise an error unless all ``names`` are ``parameters`` of a stage; ``beside`` says what else it takes."""
    known = list(parameters)
    for name in names:
        if name not in known:
            from difflib import get_close_matches

            close = " or ".join(get_close_matches(name, known))
            hint = f"did you mean {close}? Its" if close else "its"
            raise TypeError(f"{stage} has no size {name!r}: {hint} sizes are {', '.join(known)}{beside}")


def nest(terms: Mapping[Monomial, int], nodes: list[Node]) -> Node:
    """Return a sum of products with common factors taken out: Horner's scheme in many unknowns.

    Parameters
    ----------
    nodes
        The node of each unknown.
    """
    shared = Counter(next(iter(terms)))
    for monomial in terms:
        shared &= Counter(monomial)
    rests = {tuple((Counter(monomial) - shared).elements()): coefficient for monomial, coefficient in terms.items()}
    factors = [nodes[number] for number in sorted(shared.elements())]
    summands: list[Node] = []
    while len(rests) > 1:
        uses = Counter(number for monomial in rests for number in set(monomial))
        number, most = max(uses.items(), key=lambda use: (use[1], -use[0]))
        if most == 1:
            break
        summands.append(nest({m: coefficient for m, coefficient in rests.items() if number in m}, nodes))
        rests = {m: coefficient for m, coefficient in rests.items() if number not in m}
    if not summands and len(rests) == 1:
        ((_, coefficient),) = rests.items()
        return _multiply([*factors, coefficient])
    for monomial in sorted(rests, key=lambda monomial: (not monomial, monomial)):
        summands.append(_multiply([*(nodes[number] for number in monomial), rests[monomial]]))
    return _multiply([*factors, Operation("+", tuple(summands))])


def _multiply(factors: list[Node]) -> Node:
    kept = [factor for factor in factors if factor != 1]
    return Operation("*", tuple(kept)) if len(kept) > 1 else kept[0] if kept else 1
