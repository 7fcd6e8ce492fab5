"""Formulas read on many cells at once.

It reads as :mod:`modelmeter.scaling.cells` does, instruction by instruction for all cells together. A cell that must be
split, or on which a formula has no value, stays open: what it is there must be read cell by cell.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import zip_longest
from math import lcm

from modelmeter.scaling.cell import Cell
from modelmeter.scaling.columns import (
    Column,
    Columns,
    add,
    find_sign,
    find_signs_by_row,
    join_open,
    list_open,
    multiply,
    scale,
    spread,
)
from modelmeter.scaling.program import Instruction, Instructions
from modelmeter.scaling.terms import BRACKETS, CHOICES, ROUNDINGS, Number, apply, simplest
from modelmeter.support.errors import FormulaError


def read_columns(program: Instructions, name: str, cells: Sequence[Cell]) -> list[Columns]:
    """Return the formulas of a program on cells; a cell of one point has a constant."""
    return _ColumnReader(name, cells).read(program)


class _ColumnReader:
    """Reads formulas on all cells together."""

    def __init__(self, name: str, cells: Sequence[Cell]) -> None:
        self._name = name
        self._count = len(cells)
        # A cell of one point has that for its residue: then everything on it is a constant.
        is_point = [cell.first == cell.last for cell in cells]
        self._bounds = [
            (0, 0) if point else (cell.first, cell.last) for cell, point in zip(cells, is_point, strict=True)
        ]
        residues = [cell.start if point else cell.residue for cell, point in zip(cells, is_point, strict=True)]
        self._points = Columns(
            (residues, [0 if point else cell.modulus for cell, point in zip(cells, is_point, strict=True)])
        )
        self._every = frozenset(range(self._count))

    def read(self, program: Instructions) -> list[Columns]:
        found: list[Columns] = []
        for instruction in program.instructions:
            found.append(self._compute(instruction, [found[part] for part in instruction.parts]))
        return [found[output] for output in program.outputs]

    def _compute(self, instruction: Instruction, parts: list[Columns]) -> Columns:
        head = instruction.head
        if head == "number":
            return Columns((instruction.number.numerator,), instruction.number.denominator)
        if head == "size":
            return self._points if instruction.name == self._name else self._unknown()
        if head == "+":
            return self._sum(parts)
        if head == "*":
            return self._product(parts)
        if head == "^":
            return self._power(parts[0], int(instruction.number))
        if head == "triangular":
            (count,) = parts
            both = self._sum([self._product([count, count]), count])
            return Columns(both.coefficients, 2 * both.denominator, both.is_open)
        if head in ROUNDINGS:
            return self._round(head, *parts)
        if head in BRACKETS:
            return self._bracket(head, *parts)
        return self._choose(head, parts) if head in CHOICES else self._by_rows(head, parts)

    def _unknown(self) -> Columns:
        return Columns((0,), is_open=self._every)

    def _sum(self, parts: Sequence[Columns]) -> Columns:
        denominator = lcm(*(part.denominator for part in parts))
        powers = max((len(part.coefficients) for part in parts), default=0)
        scaled: list[list[Column]] = [[] for _ in range(powers)]
        for part in parts:
            factor = denominator // part.denominator
            for power, column in enumerate(part.coefficients):
                scaled[power].append(multiply(column, factor))
        return Columns(tuple(map(add, scaled)), denominator, join_open(parts))

    def _product(self, parts: Sequence[Columns]) -> Columns:
        product: tuple[Column, ...] = (1,)
        denominator = 1
        for part in sorted(parts, key=lambda each: len(each.coefficients)):
            denominator *= part.denominator
            powers: list[list[Column]] = [[] for _ in range(len(product) + len(part.coefficients) - 1)]
            for low, one in enumerate(product):
                for high, other in enumerate(part.coefficients):
                    powers[low + high].append(multiply(one, other))
            product = tuple(map(add, powers))
        is_open = join_open(parts)
        if is_open:  # what stands beside a factor that is 0 need not be known
            is_open = frozenset(
                row for row in is_open if not any(row not in part.is_open and not part.row(row) for part in parts)
            )
        return Columns(product, denominator, is_open)

    def _power(self, base: Columns, exponent: int) -> Columns:
        if exponent >= 0:
            return self._product([base] * exponent)
        number = base.coefficients[0] if len(base.coefficients) == 1 else None
        if not isinstance(number, int) or not number or base.is_open:
            return self._unknown()
        inverse = Fraction(base.denominator, number)
        return self._power(Columns((inverse.numerator,), inverse.denominator), -exponent)

    def _round(self, head: str, dividend: Columns, divisor: Columns) -> Columns:
        by = divisor.coefficients[0] if len(divisor.coefficients) == 1 else None
        if not isinstance(by, int) or by <= 0 or divisor.denominator != 1 or divisor.is_open:
            return self._by_rows(head, [dividend, divisor])
        below, period = dividend.denominator, by * dividend.denominator
        is_open = set(dividend.is_open)
        constant, *growing = dividend.coefficients or (0,)
        for column, least in ((constant, below), *((each, period) for each in growing)):
            if least > 1:
                is_open.update(self._rows_that_leave(column, least))
        turn = -1 if head == "ceil_div" else 1
        if isinstance(constant, int):
            rounded: Column = turn * (turn * (constant // below) // by)
        else:
            whole = constant if below == 1 else [each // below for each in constant]
            rounded = [turn * (turn * each // by) for each in whole]
        others = [
            each // period if isinstance(each, int) else [number // period for number in each] for each in growing
        ]
        return Columns((rounded, *others), is_open=frozenset(is_open))

    def _rows_that_leave(self, column: Column, divisor: int) -> Iterator[int]:
        """Yield the rows of a column that leave a rest by a divisor."""
        if isinstance(column, int):
            yield from self._every if column % divisor else ()
        else:
            yield from (row for row, number in enumerate(column) if number % divisor)

    def _bracket(self, head: str, one: Columns, other: Columns) -> Columns:
        signs = self._signs(one, other)
        values = {sign: int(apply(head, [sign, 0])) for sign in (-1, 0, 1)}
        return Columns(([0 if sign is None else values[sign] for sign in signs],), is_open=list_open(signs))

    def _choose(self, head: str, candidates: Sequence[Columns]) -> Columns:
        """Return a maximum or a minimum: of two candidates after another, the one with the right sign."""
        chosen = candidates[0]
        for other in candidates[1:]:
            signs = self._signs(other, chosen)
            wanted = 1 if head == "max" else -1
            denominator = lcm(chosen.denominator, other.denominator)
            ours, theirs = (
                [multiply(column, denominator // each.denominator) for column in each.coefficients]
                for each in (chosen, other)
            )
            powers = []
            for left, right in zip_longest(ours, theirs, fillvalue=0):
                rows = zip(signs, spread(left, self._count), spread(right, self._count), strict=True)
                powers.append([second if sign == wanted else first for sign, first, second in rows])
            chosen = Columns(tuple(powers), denominator, list_open(signs))
        return chosen

    def _signs(self, one: Columns, other: Columns) -> list[int | None]:
        """Return the sign of one term less another on each cell; None where it is open, or changes."""
        rest = self._sum([one, scale(other, -1)])
        signs = find_signs_by_row(rest, self._bounds)
        for row in rest.is_open:
            signs[row] = None
        return signs

    def _by_rows(self, head: str, parts: Sequence[Columns]) -> Columns:
        """Read a call row by row: where all parts are constants, and of experts also where all of them are read."""
        is_open = set(join_open(parts))
        values: list[Number] = []
        for row in range(self._count):
            found = None if row in is_open else self._value(head, parts, row)
            if found is None:
                is_open.add(row)
            values.append(found or 0)
        denominator = lcm(*{each.denominator for each in values})
        return Columns(([int(each * denominator) for each in values],), denominator, frozenset(is_open))

    def _value(self, head: str, parts: Sequence[Columns], row: int) -> Number | None:
        """Return the number that a call is on a cell, or None where it is none, or has no value."""
        rows = [part.row(row) for part in parts]
        numbers = [
            None if len(each) > 1 else simplest(Fraction(sum(each), part.denominator))
            for each, part in zip(rows, parts, strict=True)
        ]
        known = [each for each in numbers if each is not None]
        if len(known) == len(parts):
            try:
                return apply(head, known)
            except FormulaError:
                return None
        if head == "routed_reads" and numbers[2] is None and len(known) == 3:
            return self._read_all_experts(
                *map(int, known), tokens=parts[2].row(row), below=parts[2].denominator, row=row
            )
        return None

    def _read_all_experts(
        self, experts: int, per_token: int, weights: int, *, tokens: list[int], below: int, row: int
    ) -> int | None:
        """Return what all experts have, where there are so many tokens on the whole cell that all of them are read."""
        everything = experts * weights
        rest = [each * per_token for each in tokens]
        rest[0] -= experts * (2 * everything).bit_length() * below
        return everything if everything and find_sign(rest, *self._bounds[row]) == 1 else None
