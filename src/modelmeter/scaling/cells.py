"""A formula of one whole number, in pieces: on each it is a polynomial, with no rounding, bracket or maximum left.

A cell is a stretch of one residue class. A rounding ``ceil(p / b)`` of a polynomial is a polynomial on the classes of
the period of ``p`` by ``b``; a bracket and a maximum are cut where the difference of their sides changes its sign;
routed experts have a value of their own for each small number of tokens, and all experts are read from some number on.
So pieces are exact, and there are finitely many: nothing is smoothed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from math import ceil, gcd, lcm

from attrs import frozen

from modelmeter.dimensions.functions import enough_tokens
from modelmeter.scaling import univariate
from modelmeter.scaling.cell import Cell
from modelmeter.scaling.column_reader import read_columns
from modelmeter.scaling.program import Instruction, Instructions, compile_terms
from modelmeter.scaling.terms import BRACKETS, CHOICES, ROUNDINGS, Number, Term, apply
from modelmeter.scaling.univariate import Coefficients, find_signs
from modelmeter.support.errors import FormulaError

MOST_CELLS = 20_000
"""A formula of more pieces is not resolved."""


class NotResolvedError(FormulaError):
    """A formula has no pieces that are found: what is asked of it is checked instead of proved."""


@frozen
class Piece:
    """A cell with the polynomials in q that formulas are on it."""

    cell: Cell
    polynomials: tuple[Coefficients, ...]


def find_pieces(formulas: Sequence[Term] | Instructions, name: str, cells: Sequence[Cell]) -> list[Piece]:
    """Return formulas of one size as polynomials, on cells that cover the given ones.

    Parameters
    ----------
    formulas
        Whose only size is ``name``; as instructions, where they are asked for often.
    cells
        Where they are asked for.

    Raises
    ------
    NotResolvedError
        If a formula divides by a size, or has too many pieces.
    """
    program = formulas if isinstance(formulas, Instructions) else compile_terms(formulas)
    pieces: list[Piece | Cell] = list(cells)
    while any(isinstance(each, Cell) for each in pieces):
        if len(pieces) > MOST_CELLS:
            raise NotResolvedError("a formula has too many pieces", place=name, expected=f"at most {MOST_CELLS}")
        pieces = list(_read_pieces(program, name, pieces))
    return [each for each in pieces if isinstance(each, Piece)]


def _read_pieces(program: Instructions, name: str, pieces: Sequence[Piece | Cell]) -> Iterator[Piece | Cell]:
    """Yield pieces, in order: those that are known, and of each cell its piece or the cells that it is split into."""
    cells = [each for each in pieces if isinstance(each, Cell)]
    found = iter(read_together(program, name, cells))
    for each in pieces:
        if isinstance(each, Piece):
            yield each
            continue
        polynomials = next(found)
        if polynomials is None:
            yield from _read_one(program, name, each)
        else:
            yield Piece(each, polynomials)


def _read_one(program: Instructions, name: str, cell: Cell) -> list[Piece] | list[Cell]:
    """Return the piece of a cell that is read alone, or the cells that it is split into."""
    if cell.first == cell.last:  # a single point needs no polynomials
        return [Piece(cell, tuple(map(univariate.constant, program.evaluate({name: cell.start}))))]
    reader = _CellReader(name, cell)
    polynomials = reader.read(program)
    return reader.list_parts() if polynomials is None else [Piece(cell, polynomials)]


def read_together(program: Instructions, name: str, cells: Sequence[Cell]) -> list[tuple[Coefficients, ...] | None]:
    """Return the polynomials on each cell; None where it must be read alone."""
    columns = read_columns(program, name, cells)
    rows = [[column.polynomial(row) for column in columns] for row in range(len(cells))]
    return [None if None in row else tuple(each for each in row if each is not None) for row in rows]


class _CellReader:
    """Reads formulas on one cell, or says how it must be split: then what is not known yet is None."""

    def __init__(self, name: str, cell: Cell) -> None:
        self._name = name
        self._cell = cell
        self._starts: set[int] = set()
        self._factor = 1

    def list_parts(self) -> list[Cell]:
        """Return what the cell must be split into, as all that was read says."""
        cell = self._cell
        starts = sorted({cell.first, *self._starts})
        ends = [*(start - 1 for start in starts[1:]), cell.last]
        parts: list[Cell] = []
        for first, last in zip(starts, ends, strict=True):
            if self._factor == 1 or first == last:
                parts.append(Cell(cell.modulus, cell.residue, first, last))
            elif last is not None and last - first < self._factor:
                parts += [Cell(cell.modulus, cell.residue, place, place) for place in range(first, last + 1)]
            else:
                parts += Cell(cell.modulus, cell.residue, first, last).refine(self._factor)
        return parts

    def read(self, program: Instructions) -> tuple[Coefficients, ...] | None:
        """Return the polynomials in q of formulas, or None where the cell must be split."""
        found: list[Coefficients | None] = []
        for instruction in program.instructions:
            found.append(self._compute(instruction, [found[part] for part in instruction.parts]))
        outputs = [found[output] for output in program.outputs]
        known = [output for output in outputs if output is not None]
        return tuple(known) if len(known) == len(outputs) else None

    def _compute(self, instruction: Instruction, parts: Sequence[Coefficients | None]) -> Coefficients | None:
        head = instruction.head
        if head == "number":
            return univariate.constant(instruction.number)
        if head == "size":
            if instruction.name != self._name:
                raise FormulaError("a formula of one size has another", place=instruction.name, expected=self._name)
            return self._cell.points
        known = [part for part in parts if part is not None]
        if head == "*":
            if any(not part for part in known):  # what stands beside a bracket that is 0 has no need of pieces
                return ()
            return _multiply(known) if len(known) == len(parts) else None
        if len(known) < len(parts):
            return None
        if head == "^":
            return self._power(known[0], int(instruction.number))
        if head == "+":
            return univariate.add_all(known)
        if head not in CHOICES and all(len(part) <= 1 for part in known):
            return univariate.constant(apply(head, [univariate.value_at(part, 0) for part in known]))
        return self._call(head, known)

    def _call(self, head: str, arguments: list[Coefficients]) -> Coefficients | None:
        if head in CHOICES:
            return self._choose(head, arguments)
        if head in ROUNDINGS:
            return self._round(head, *arguments)
        if head in BRACKETS:
            sign = self._sign(univariate.subtract(*arguments))
            return None if sign is None else univariate.constant(apply(head, [sign, 0]))
        if head == "triangular":
            (count,) = arguments
            return univariate.scale(univariate.add(univariate.multiply(count, count), count), Fraction(1, 2))
        return self._routed_reads(*arguments)

    def _power(self, base: Coefficients, exponent: int) -> Coefficients:
        if exponent >= 0:
            return univariate.power(base, exponent)
        if len(base) != 1:
            raise NotResolvedError("a formula divides by a size or by zero", place=self._name)
        return univariate.power(univariate.constant(Fraction(1) / base[0]), -exponent)

    def _choose(self, head: str, candidates: list[Coefficients]) -> Coefficients | None:
        chosen = candidates[0]
        for other in candidates[1:]:
            sign = self._sign(univariate.subtract(other, chosen))
            if sign is None:
                return None
            if sign and (sign > 0) == (head == "max"):
                chosen = other
        return chosen

    def _sign(self, polynomial: Coefficients) -> int | None:
        """Return the sign that a polynomial has on the whole cell, or ask for a split where it changes."""
        runs = find_signs(polynomial, self._cell.first, self._cell.last)
        if len(runs) > 1:
            self._starts.update(run.first for run in runs)
            return None
        return runs[0].sign

    def _round(self, head: str, dividend: Coefficients, divisor: Coefficients) -> Coefficients | None:
        if len(divisor) != 1:
            return self._round_by_size(head, dividend, divisor)
        by = divisor[0]
        if by <= 0 or by.denominator != 1:
            raise FormulaError("a divisor must be a positive integer", place=self._name, found=by)
        denominator = lcm(*(coefficient.denominator for coefficient in dividend))
        whole = [int(coefficient * denominator) for coefficient in dividend]
        period = int(by) * denominator
        growing = gcd(*whole[1:], period)
        if growing < period:
            factor = lcm(self._factor, period // growing)
            if factor > MOST_CELLS:
                raise NotResolvedError("a rounding has too many residue classes", place=self._name, found=factor)
            self._factor = factor
            return None
        remainder = univariate.value_at(dividend, 0)
        if remainder.denominator != 1:
            raise FormulaError("an integer function got a fraction", place=head, found=remainder)
        rest = int(remainder) % int(by)
        floor = univariate.scale(univariate.subtract(dividend, univariate.constant(rest)), Fraction(1, int(by)))
        return univariate.add(floor, univariate.constant(1 if rest and head == "ceil_div" else 0))

    def _is_beyond(self, rest: Coefficients) -> bool:
        """Tell whether a polynomial is positive on the whole cell, or ask for each point of its own where it is not."""
        runs = find_signs(rest, self._cell.first, self._cell.last)
        if [run.sign for run in runs] == [1]:
            return True
        for run in runs:
            self._starts.add(run.first)
            if run.sign > 0:
                continue
            if run.last is None or run.last - run.first > MOST_CELLS:
                raise NotResolvedError("a formula has too many pieces", place=self._name)
            self._starts.update(range(run.first, run.last + 1))
        return False

    def _round_by_size(self, head: str, dividend: Coefficients, divisor: Coefficients) -> Coefficients | None:
        """Round a quotient of a number by a size: it is small from some size on."""
        if len(dividend) > 1:
            raise NotResolvedError("a rounding divides one size by another", place=self._name)
        if not self._is_beyond(univariate.subtract(divisor, dividend)):
            return None
        return (1,) if head == "ceil_div" and dividend else ()

    def _routed_reads(
        self, experts: Coefficients, per_token: Coefficients, tokens: Coefficients, weights: Coefficients
    ) -> Coefficients | None:
        """Read all experts where there are many tokens; weights may grow by a number with each of them."""
        if not weights or not per_token:
            return ()
        growth: Number = Fraction(weights[-1], tokens[-1]) if len(weights) == len(tokens) > 1 else 0
        fixed = univariate.subtract(weights, univariate.scale(tokens, growth))
        if any(len(each) > 1 for each in (experts, per_token, fixed)) or growth < 0 or any(each < 0 for each in fixed):
            raise NotResolvedError("the experts of a formula depend on the size", place=self._name)
        enough = enough_tokens(int(experts[0]), 1, ceil(univariate.value_at(fixed, 0)), ceil(growth))
        rest = univariate.subtract(univariate.scale(tokens, per_token[0]), univariate.constant(enough))
        return univariate.scale(weights, experts[0]) if self._is_beyond(rest) else None


def _multiply(factors: Sequence[Coefficients]) -> Coefficients:
    product: Coefficients = (1,)
    for factor in factors:
        product = univariate.multiply(product, factor)
    return product
