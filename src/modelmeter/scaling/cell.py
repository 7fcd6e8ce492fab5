"""A cell: a stretch of one residue class of the integers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from attrs import frozen

from modelmeter.scaling.univariate import Coefficients, Run


@frozen
class Cell:
    """The integers ``residue + modulus q`` for q from ``first`` to ``last`` (None: without end)."""

    modulus: int
    residue: int
    first: int
    last: int | None

    def point(self, place: int) -> int:
        """Return the integer of a q."""
        return self.residue + self.modulus * place

    def __contains__(self, value: int) -> bool:
        place, rest = divmod(value - self.residue, self.modulus)
        return rest == 0 and self.first <= place and (self.last is None or place <= self.last)

    @property
    def start(self) -> int:
        """The first integer."""
        return self.point(self.first)

    @property
    def end(self) -> int | None:
        """The last integer."""
        return None if self.last is None else self.point(self.last)

    @property
    def points(self) -> Coefficients:
        """The integers as a polynomial in q."""
        return (self.residue, self.modulus)

    def cut(self, runs: Sequence[Run]) -> list[Cell]:
        """Return the parts of the cell that runs of q are."""
        return [Cell(self.modulus, self.residue, run.first, run.last) for run in runs]

    def refine(self, factor: int) -> Iterator[Cell]:
        """Yield the residue classes of the cell by a multiple of its modulus."""
        for offset in range(factor):
            first = -((offset - self.first) // factor)
            last = None if self.last is None else (self.last - offset) // factor
            if last is None or first <= last:
                yield Cell(self.modulus * factor, self.point(offset), first, last)
