"""Signs on the integers of a range: proved from pieces where they are found, else evaluated point by point."""

from __future__ import annotations

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
    intervals
        In order.
    known
        ``proved``, or where it was checked.
    table
        The certificate, where it is proved.
    """

    intervals: tuple[SignInterval, ...]
    known: str
    table: SignTable | None

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
    found = join_cells([(each.cell, each.sign) for each in table.cells], table.range, table.claimed_at)
    return Signs(_to_intervals(found), PROVED, table)


def _to_intervals(found: list[LabelInterval[int]]) -> tuple[SignInterval, ...]:
    return tuple(SignInterval(each.first, each.last, each.label) for each in found)


def check_signs(formula: Term, name: str, range_: Range, count: int = CHECKED_POINTS) -> Signs:
    """Return the signs on the first integers of a range, evaluated one by one."""
    found: list[LabelInterval[int]] = []
    points = list(range_.sample(count))
    for point in points:
        sign = univariate.sign_of(terms.evaluate(formula, {name: point}))
        append(found, LabelInterval(point, point, sign))
    return Signs(_to_intervals(found), f"checked on {points[0]}..{points[-1]}", None)
