"""Signs on the integers of a range: proved from pieces where they are found, else evaluated point by point."""

from __future__ import annotations

from functools import cached_property
from typing import Literal

from attrs import frozen

from modelmeter.scaling import terms, univariate
from modelmeter.scaling.cells import NotResolvedError
from modelmeter.scaling.certificate import SignTable
from modelmeter.scaling.domain import Domain, Range
from modelmeter.scaling.labels import LabelInterval, append, join_cells
from modelmeter.scaling.statement import PROVED, Interval
from modelmeter.scaling.terms import Term

CHECKED_POINTS = 10_000
"""So many integers are evaluated where no proof is found."""

Side = Literal["below", "above", "equal", "both"]
"""Where a quantity is beside another: never above it, never below it, equal to it, or both."""


@frozen
class SignInterval:
    """Integers in a row where a formula has one sign; None: the sign depends on the residue."""

    first: int
    last: int | None
    sign: int | None


@frozen
class Signs:
    """The signs of a formula on a range.

    Parameters
    ----------
    known
        ``proved``, or where it was checked.
    table
        The certificate, where it is proved.
    checked
        What was found point by point, where it is not.
    """

    known: str
    table: SignTable | None
    checked: tuple[SignInterval, ...] = ()

    @cached_property
    def intervals(self) -> tuple[SignInterval, ...]:
        """Integers in a row with one sign, in order. Of many residue classes, joining them takes longest of all."""
        if self.table is None:
            return self.checked
        found = join_cells(
            [(each.cell, each.sign) for each in self.table.cells], self.table.range, self.table.claimed_at
        )
        return _to_intervals(found)

    @property
    def certificates(self) -> tuple[SignTable, ...]:
        """The certificate, if there is one, as statements have it."""
        return () if self.table is None else (self.table,)

    def narrow(self, domain: Domain, name: str) -> Domain:
        """Return a domain without what was not checked, where the signs are not proved."""
        return domain if self.table is not None else domain.restrict(name, maximum=self.intervals[-1].last)

    def where(self, *signs: int) -> tuple[Interval, ...]:
        """Return where the sign is one of these, joined."""
        found: list[Interval] = []
        for each in self.intervals:
            if each.sign not in signs:
                continue
            if found and found[-1].last is not None and self._follows(found[-1].last, each.first):
                found[-1] = Interval(found[-1].first, each.last)
            else:
                found.append(Interval(each.first, each.last))
        return tuple(found)

    def end_of(self, sign: int, range_: Range) -> int | None:
        """Return the first integer from which on the sign is another; None: it never ceases to come back."""
        if self.table is not None:
            ends = [each.cell.end for each in self.table.cells if each.sign == sign]
        else:
            ends = [each.last for each in self.checked if each.sign == sign]
            if self.checked[-1].sign == sign:
                return None  # nothing is known of what is beyond
        last = max((end for end in ends if end is not None), default=range_.first - range_.multiple_of)
        return None if None in ends else last + range_.multiple_of

    def side(self, first: int | None = None) -> Side | None:
        """Return on which side of 0 a formula is, from an integer on if one is given; None: it is not proved."""
        if self.table is None:
            return None
        found = {
            each.sign for each in self.table.cells if first is None or each.cell.end is None or each.cell.end >= first
        }
        if found == {0}:
            return "equal"
        if 1 not in found:
            return "below"
        return "both" if -1 in found else "above"

    def _follows(self, last: int, first: int) -> bool:
        return any(
            one.last == last and other.first == first
            for one, other in zip(self.intervals, self.intervals[1:], strict=False)
        )


def find_signs(formula: Term, name: str, range_: Range) -> Signs:
    """Return the signs of a formula of one size, in normal form."""
    try:
        table = SignTable.make(formula, name, range_)
    except NotResolvedError:
        return check_signs(formula, name, range_)
    return read_signs(table)


def read_signs(table: SignTable) -> Signs:
    """Return the signs that a certificate has."""
    return Signs(PROVED, table)


def _to_intervals(found: list[LabelInterval[int]]) -> tuple[SignInterval, ...]:
    return tuple(SignInterval(each.first, each.last, each.label) for each in found)


def check_signs(formula: Term, name: str, range_: Range, count: int = CHECKED_POINTS) -> Signs:
    """Return the signs on the first integers of a range, evaluated one by one."""
    found: list[LabelInterval[int]] = []
    points = list(range_.sample(count))
    for point in points:
        sign = univariate.sign_of(terms.evaluate(formula, {name: point}))
        append(found, LabelInterval(point, point, sign))
    return Signs(f"checked on {points[0]}..{points[-1]}", None, _to_intervals(found))
