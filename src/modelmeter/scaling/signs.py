"""Signs on the integers of a range: proved from pieces where they are found, else evaluated point by point."""

from __future__ import annotations

from collections import Counter

from attrs import frozen

from modelmeter.scaling import terms, univariate
from modelmeter.scaling.cells import NotResolvedError
from modelmeter.scaling.certificate import SignTable
from modelmeter.scaling.domain import Domain, Range
from modelmeter.scaling.statement import PROVED, Interval
from modelmeter.scaling.terms import Term

CHECKED_POINTS = 10_000
"""So many integers are evaluated where no proof is found."""

_MOST_MIXED = 4096


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
    return Signs(tuple(_merge(table)), PROVED, table)


def check_signs(formula: Term, name: str, range_: Range, count: int = CHECKED_POINTS) -> Signs:
    """Return the signs on the first integers of a range, evaluated one by one."""
    found: list[SignInterval] = []
    points = list(range_.sample(count))
    for point in points:
        sign = univariate.sign_of(terms.evaluate(formula, {name: point}))
        _append(found, SignInterval(point, point, sign))
    return Signs(tuple(found), f"checked on {points[0]}..{points[-1]}", None)


def _merge(table: SignTable) -> list[SignInterval]:
    """Join cells of residue classes to intervals of all integers of the range."""
    step, last = table.range.multiple_of, table.range.last
    events: dict[int, list[tuple[int, int]]] = {}
    for each in table.cells:
        events.setdefault(each.cell.start, []).append((each.sign, 1))
        if each.cell.end is not None:
            events.setdefault(each.cell.end + step, []).append((each.sign, -1))
    longest = max(each.cell.modulus for each in table.cells)
    bounds = sorted(events)
    active: Counter[int] = Counter()
    found: list[SignInterval] = []
    for place, start in enumerate(bounds):
        for sign, change in events[start]:
            active[sign] += change
        is_last = place == len(bounds) - 1
        end = last if is_last else bounds[place + 1] - step
        signs = [sign for sign, count in active.items() if count]
        if not signs or (end is not None and end < start):
            continue
        if len(signs) == 1:
            _append(found, SignInterval(start, end, signs[0]))
        elif end is not None and (end - start) // step <= max(_MOST_MIXED, 2 * longest // step):
            for point in range(start, end + 1, step):
                _append(found, SignInterval(point, point, table.sign_at(point)))
        else:
            _append(found, SignInterval(start, end, None))
    return found


def _append(found: list[SignInterval], more: SignInterval) -> None:
    if found and found[-1].sign == more.sign:
        found[-1] = SignInterval(found[-1].first, more.last, more.sign)
    else:
        found.append(more)
