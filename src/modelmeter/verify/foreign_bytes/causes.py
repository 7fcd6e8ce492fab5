"""What a cause of a difference is: operators that the other implementation has more than ours, or fewer.

Bytes are formulas in the dimensions of :mod:`modelmeter.dimensions.symbols`. Weights and activations are bfloat16; the
sizes of one element are below.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import sympy
from attrs import frozen

from modelmeter.dimensions.functions import Size

BFLOAT16, FLOAT32, INT64, INT32, BOOL = 2, 4, 8, 4, 1
"""Bytes of one element."""


@frozen(kw_only=True)
class Moved:
    """What operators of one name read and write; formulas or numbers, negative where there are fewer."""

    read_bytes: Size = 0
    written_bytes: Size = 0

    def __add__(self, other: Moved) -> Moved:
        return Moved(
            read_bytes=self.read_bytes + other.read_bytes, written_bytes=self.written_bytes + other.written_bytes
        )

    def __sub__(self, other: Moved) -> Moved:
        return self + Moved(read_bytes=-other.read_bytes, written_bytes=-other.written_bytes)

    @property
    def nbytes(self) -> Size:
        """The sum of both."""
        return self.read_bytes + self.written_bytes


MovedByOperator = Mapping[str, Moved]
"""By the name of the ATen operator."""

Term = tuple[str, Moved]


@frozen(kw_only=True)
class Cause:
    """A cause of a difference.

    Parameters
    ----------
    name
        What people call it.
    text
        What the other implementation does instead of ours.
    each
        What it has more than ours, by operator.
    times
        How often: the layers that it is in, for one.
    """

    name: str
    text: str
    each: MovedByOperator
    times: Size

    @property
    def moved(self) -> MovedByOperator:
        """All that it has more than ours, by operator."""
        return {
            operator: Moved(read_bytes=moved.read_bytes * self.times, written_bytes=moved.written_bytes * self.times)
            for operator, moved in self.each.items()
        }

    @property
    def each_bytes(self) -> sympy.Expr:
        """All bytes of ``each``."""
        return sympy.expand(sum(moved.nbytes for moved in self.each.values()))


def theirs(operator: str, read_bytes: Size, written_bytes: Size = 0) -> Term:
    """Return an operator that the other implementation has more."""
    return operator, Moved(read_bytes=read_bytes, written_bytes=written_bytes)


def ours(operator: str, read_bytes: Size, written_bytes: Size = 0) -> Term:
    """Return an operator that the other implementation does not have."""
    return operator, Moved(read_bytes=-read_bytes, written_bytes=-written_bytes)


def scale(terms: Iterable[Term], times: Size) -> Iterator[Term]:
    """Yield ``terms`` as often as ``times`` says."""
    for operator, moved in terms:
        yield operator, Moved(read_bytes=moved.read_bytes * times, written_bytes=moved.written_bytes * times)


def make_cause(name: str, text: str, terms: Iterable[Term], *, times: Size = 1) -> Cause:
    """Return the cause that is made of ``terms``, each of them so many times."""
    return Cause(name=name, text=text, each=add_up(terms), times=times)


def add_up(terms: Iterable[Term]) -> dict[str, Moved]:
    """Return the sum of ``terms`` by operator."""
    total: dict[str, Moved] = {}
    for operator, moved in terms:
        total[operator] = total.get(operator, Moved()) + moved
    return total
