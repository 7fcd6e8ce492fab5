"""Guards of a symbolic trace: what torch decided by an example, and for which sizes it holds.

torch may decide a comparison of sizes by an example, and go on as if it held for all: it then keeps a guard. One that
holds on the whole domain is no loss, one that leaves out single points makes the domain smaller, and anything else
makes the trace invalid.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sympy
from attrs import evolve
from sympy.core.relational import Relational
from torch.fx.experimental.symbolic_shapes import ShapeEnv
from torch.utils._sympy.functions import IntTrueDiv

from modelmeter.dimensions.functions import CeilDiv
from modelmeter.support.errors import CountError
from modelmeter.verify.integer_facts import Domain, find_zeros, is_at_least
from modelmeter.verify.sympy_facts import name_chunks

LEAST_SIZE = 2
"""torch reasons about a symbolic size as if it were at least 2; sizes of 1 need a trace of their own."""

Assumed = Sequence[Relational]


class GuardError(CountError):
    """A guard leaves out sizes.

    Parameters
    ----------
    condition
        What would have to hold everywhere.
    others
        What else would have to.
    problem, parts
        As of its base class.
    """

    def __init__(
        self, problem: str, *, condition: sympy.Basic, others: Sequence[sympy.Basic] = (), **parts: Any
    ) -> None:
        super().__init__(problem, **parts)
        self.condition = condition
        self.others = tuple(others)


def refuse_pinned(environment: ShapeEnv) -> None:
    """Refuse a forward that has turned a size into a number.

    Raises
    ------
    CountError
        If it has.
    """
    if environment.replacements or environment.deferred_runtime_asserts:
        pinned = {
            environment.var_to_sources[symbol][0].name: value for symbol, value in environment.replacements.items()
        }
        raise CountError(
            "a symbolic size was pinned", found=pinned or environment.deferred_runtime_asserts,
            remedy="find the code that turns a size into a number",
        )  # fmt: skip


def read_domain(environment: ShapeEnv, names: Mapping[sympy.Symbol, sympy.Symbol], assumed: Assumed) -> Domain:
    """Return the domain that the guards leave.

    Parameters
    ----------
    environment
        Of a forward that has run.
    names
        Our symbol for each of torch's.
    assumed
        Relations that hold in the domain.

    Raises
    ------
    CountError
        If a size was pinned to a number, or a guard leaves out more than single points.
    """
    refuse_pinned(environment)
    least = dict.fromkeys(names.values(), LEAST_SIZE)
    for relation in assumed:
        symbol, end = relation.args
        if isinstance(relation, sympy.Ge) and symbol in least and end.is_Integer:
            least[symbol] = max(least[symbol], int(end))
    domain = Domain(least=least, assumed=tuple(assumed))
    excluded: dict[sympy.Symbol, frozenset[int]] = {}
    broken: list[sympy.Basic] = []
    for guard in environment.guards:
        condition = name_chunks(guard.expr.xreplace(names))
        points = frozenset() if _is_padded(condition, domain) else _find_excluded(*_free_chunks(condition, domain))
        if points is None or (points and condition.atoms(CeilDiv)):
            broken.append(condition)
            continue
        for symbol in condition.free_symbols if points else ():
            excluded[symbol] = excluded.get(symbol, frozenset()) | points
    if broken:
        raise GuardError(
            "a guard leaves out more than single points", condition=broken[0], others=broken[1:], expected="none",
            found=broken[0],
        )  # fmt: skip
    return evolve(domain, excluded=excluded)


def _free_chunks(condition: sympy.Basic, domain: Domain) -> tuple[sympy.Basic, Domain]:
    """Return a condition in which each number of chunks ``ceil(a / n)`` is an integer of its own, and its domain.

    What holds for all integers that are as large as it may be holds for those that the sizes have.
    """
    least, free = dict(domain.least), {}
    for chunks in condition.atoms(CeilDiv):
        size, length = chunks.args
        smallest = domain.least_of(size) if size.is_Symbol else None
        if smallest is None:
            continue
        fewest = sympy.Integer(CeilDiv.compute(smallest, int(length)))
        largest = [each.rhs for each in domain.assumed if isinstance(each, sympy.Le) and each.lhs == size]
        if largest and CeilDiv(min(largest), length) == fewest:
            free[chunks] = fewest
        else:
            free[chunks] = sympy.Symbol(str(chunks), integer=True, positive=True)
            least[free[chunks]] = int(fewest)
    return condition.xreplace(free), evolve(domain, least=least)


def find_padding(condition: sympy.Basic) -> CeilDiv | None:
    """Return the number of chunks of a condition that a size is no multiple of their length; None of any other."""
    strict = isinstance(condition, sympy.Ne | sympy.Gt | sympy.Lt)
    return _compare_filled(condition) if strict else None


def _compare_filled(condition: sympy.Basic) -> CeilDiv | None:
    """Return the number of chunks of a condition that says of a size that it is at most, or below, whole chunks."""
    if not isinstance(condition, Relational) or isinstance(condition, sympy.Eq):
        return None
    difference = sympy.expand(condition.lhs - condition.rhs)
    chunks: CeilDiv
    for chunks in condition.atoms(CeilDiv):
        times = sympy.cancel(difference / (chunks.args[1] * chunks - chunks.args[0]))
        if times.is_positive and not isinstance(condition, sympy.Lt | sympy.Le):
            return chunks
        if times.is_negative and not isinstance(condition, sympy.Gt | sympy.Ge):
            return chunks
    return None


def is_padded(chunks: CeilDiv) -> Relational:
    """Return the relation that a size is no multiple of the length of its chunks."""
    return sympy.Ne(chunks.args[1] * chunks, chunks.args[0])


def _is_padded(condition: sympy.Basic, domain: Domain) -> bool:
    if isinstance(condition, sympy.Ge | sympy.Le):
        return _compare_filled(condition) is not None  # a size is never more than the chunks that hold it
    chunks = find_padding(condition)
    return chunks is not None and is_padded(chunks) in domain.assumed


def _holds_between(condition: sympy.Basic, domain: Domain) -> bool:
    """Tell whether a comparison that is linear in one symbol holds at its least value and at an assumed largest one."""
    if (
        not isinstance(condition, Relational)
        or len(condition.free_symbols) != 1
        or isinstance(condition, sympy.Eq | sympy.Ne)
    ):
        return False
    (symbol,) = condition.free_symbols
    largest = [each.rhs for each in domain.assumed if isinstance(each, sympy.Le) and each.lhs == symbol]
    difference = condition.lhs - condition.rhs
    if not largest or not difference.is_polynomial(symbol) or sympy.Poly(difference, symbol).degree() != 1:
        return False
    ends = (domain.least_of(symbol), min(largest))
    return all(condition.xreplace({symbol: sympy.Integer(end)}) == sympy.true for end in ends)


def _find_excluded(condition: sympy.Basic, domain: Domain) -> frozenset[int] | None:
    """Return the points of the domain where ``condition`` does not hold, or None where they are not known."""
    if condition in (sympy.true, sympy.false):
        return frozenset() if condition else None
    # x / x as a float: the transformers model compares it with 1.
    condition = condition.replace(IntTrueDiv, lambda a, b: sympy.Integer(1) if a == b else IntTrueDiv(a, b))
    if condition == sympy.true:
        return frozenset()
    if condition in domain.assumed or _holds_between(condition, domain):
        return frozenset()
    if isinstance(condition, sympy.And):
        parts = [_find_excluded(part, domain) for part in condition.args]
        # Points of different symbols would be mixed up, so a part may not exclude any.
        return frozenset() if all(points == frozenset() for points in parts) else None
    if not isinstance(condition, Relational):
        return None
    difference = sympy.expand(condition.lhs - condition.rhs)
    match condition:
        case sympy.Ne():
            return find_zeros(difference, domain)
        case sympy.Eq():
            holds = difference == 0
        case sympy.Ge():
            holds = is_at_least(difference, 0, domain)
        case sympy.Gt():
            holds = is_at_least(difference, 1, domain)
        case sympy.Le():
            holds = is_at_least(-difference, 0, domain)
        case _:
            holds = is_at_least(-difference, 1, domain)
    return frozenset() if holds else None
