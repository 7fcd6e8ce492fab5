"""The peak of a stage's activations as a page shows it: what can be the largest, and in which layer.

Where a stage does the same to both kinds of views, the page shows a function of one kind, beside what is held.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import reduce
from operator import and_
from typing import Final

import sympy
from attrs import frozen
from sympy.polys.rings import PolyElement

from modelmeter.algebra.polynomials import Polynomials, read_polynomials
from modelmeter.analysis.peak import Candidate, Peak
from modelmeter.core.cost import FLOAT32_BITS
from modelmeter.core.functions import BRACKETS, equals
from modelmeter.core.metrics import PEAK
from modelmeter.core.symbols import symbol
from modelmeter.layers.operators import ACTIVATIONS_ARE_CAST
from modelmeter.publishing.formula import TILE_VIEWS, TILES, arrange_bits
from modelmeter.publishing.latex import WIDTH, FormulaPrinter, align, bracket, break_lines, multiply

EIGHTH: Final = sympy.Rational(1, 8)
"""The bytes of one bit."""

_NAME = rf"\mathtt{{{PEAK}}}".replace("_", r"\_")
_TO_VIEW = {symbol("vision_batch_size"): symbol("num_views"), symbol("base_size"): symbol("view_size")}
_TO_TILE = {symbol("num_views"): TILE_VIEWS, symbol("view_size"): symbol("image_size")}

_CASES: Final = (
    sympy.sympify(ACTIVATIONS_ARE_CAST),
    sympy.sympify(equals(symbol("activation_bits"), FLOAT32_BITS)),
)
"""Where the model computes with another type than float32, and where it does not and casts nothing."""

Row = tuple[str, sympy.Expr]
"""A sum of bits, and the layer that they are alive in."""


@frozen(kw_only=True)
class PeakCase:
    """A peak where a condition holds, arranged.

    Parameters
    ----------
    condition
        A bracket; the peak is the sum over its cases.
    rows
        The sums that can be the largest.
    held
        Where both kinds of views go through the same layers: the bits held beside the global views, and beside the
        tiles. The rows are then of ``num_views`` views of ``view_size`` pixels.
    """

    condition: sympy.Expr
    rows: tuple[Row, ...]
    held: tuple[sympy.Expr, sympy.Expr] | None = None

    @property
    def printed(self) -> tuple[sympy.Expr, ...]:
        """Every expression that the page prints."""
        of_views = (*self.held, TILES, *_TO_VIEW, *_TO_TILE, *_TO_TILE.values()) if self.held else ()
        return (self.condition, *(row for _, row in self.rows), *of_views)

    def typeset(self, function: str, printer: FormulaPrinter) -> tuple[list[str], tuple[str, ...]]:
        """Return the lines of the peak, and the displayed ``function`` of a kind of views that it uses, if any."""
        head = rf"{printer.print(EIGHTH)} \, {printer.print(self.condition)} \, "
        rows = [(layer, break_lines(row, printer, WIDTH - 24)) for layer, row in self.rows]
        if self.held is None:
            return _list_rows(head, rows), ()
        views, tiles, any_views = (
            f"{function}({', '.join(map(printer.print, sizes))})" for sizes in (_TO_VIEW, _TO_TILE.values(), _TO_TILE)
        )
        beside_views, beside_tiles = (break_lines(held, printer, WIDTH - 24) for held in self.held)
        kinds = [
            ("views", _end(beside_views, f" + {views}")),
            ("tiles", bracket(rf"{printer.print(TILES)} \, ", _end(beside_tiles, f" + {tiles}"))),
        ]
        return _list_rows(head, kinds), (align(_list_rows(f"{any_views} = ", rows)),)


@frozen(kw_only=True)
class PeakFormula:
    """The peak of a stage: the sum of its cases, of which one holds."""

    stage: str
    cases: tuple[PeakCase, ...]

    @property
    def printed(self) -> tuple[sympy.Expr, ...]:
        """Every expression that the page prints."""
        return (EIGHTH, *(expression for case in self.cases for expression in case.printed))

    def typeset(self, printer: FormulaPrinter) -> tuple[str, ...]:
        """Return the displayed formulas: the peak, then the functions of a kind of views that it uses."""
        lines: list[str] = []
        functions: list[str] = []
        for number, case in enumerate(self.cases):
            function = rf"F^{{\mathrm{{{self.stage}{chr(39) * number}}}}}_{{\mathrm{{peak}}}}"
            (first, *rest), used = case.typeset(function, printer)
            lines += [f"{'{} +' if number else f'{_NAME} ='} {first}", *rest]
            functions += used
        # A line alone has nothing to be aligned with.
        return (align(lines) if len(lines) > 1 else lines[0].partition(" && ")[0], *functions)


def arrange_peak(stage: str, peak: Peak) -> PeakFormula:
    """Return the peak of a stage as its page shows it."""
    cases = [
        _arrange_case(condition, operators)
        for condition in _CASES
        if (operators := [operator for operator in peak.operators if sympy.sympify(operator.bits).has(condition)])
    ]
    return PeakFormula(stage=stage, cases=tuple(cases))


def _arrange_case(condition: sympy.Expr, operators: Sequence[Candidate]) -> PeakCase:
    layers = [operator.layer for operator in operators]
    bits = [sympy.sympify(operator.bits).xreplace({condition: sympy.S.One}) for operator in operators]
    found = _split_views(bits)
    if found is None:
        return PeakCase(condition=condition, rows=tuple(zip(layers, map(arrange_bits, bits), strict=True)))
    held, sums = found
    return PeakCase(condition=condition, rows=tuple(zip(layers, sums, strict=False)), held=held)


def _list_rows(head: str, rows: Sequence[tuple[str, Sequence[str]]]) -> list[str]:
    """Return the lines of a maximum after ``head``, of each row with its label; of one row, that row."""
    if len(rows) == 1:
        ((label, only),) = rows
        first, *others = bracket(head, only)
        return [rf"{first} && \text{{({label})}}", *others]
    lines = [rf"{head}\max\bigl("]
    for index, (label, (first, *others)) in enumerate(rows):
        inner = _end([first, *others], r"\bigr)" if index == len(rows) - 1 else ",")
        inner[0] += rf" && \text{{({label})}}"
        lines += [rf"\quad {line}" for line in inner]
    return lines


def _end(lines: Sequence[str], end: str) -> list[str]:
    return [*lines[:-1], lines[-1] + end]


def _split_views(
    sums_of_bits: Iterable[sympy.Expr],
) -> tuple[tuple[sympy.Expr, sympy.Expr], list[sympy.Expr]] | None:
    """Return what is held beside global views and beside tiles, and the sums that are functions of a kind of views.

    That is None where the operators on tiles are not those on the global views. A bracket around a whole sum is put
    around its own part only: without it, what is held is left, and every other sum has that too.
    """
    read = read_polynomials(list(sums_of_bits))
    split = [_take_brackets(read, polynomial) for polynomial in read.outputs]
    views = [(brackets, inner) for brackets, inner in split if TILES not in brackets]
    tiles = [(brackets - {TILES}, inner) for brackets, inner in split if TILES in brackets]
    if len(views) < 2 or len(tiles) != len(views):
        return None
    held = _common_terms([inner for _, inner in views])
    sums: list[sympy.Expr] = []
    beside_tiles: set[sympy.Expr] = set()
    for (brackets, inner), (tile_brackets, tile_inner) in zip(views, tiles, strict=True):
        own = (inner - held).as_expr().xreplace(_TO_VIEW)
        around = sympy.Mul(*brackets).xreplace(_TO_VIEW)
        if around.xreplace(_TO_TILE) != sympy.Mul(*tile_brackets):
            return None
        sums.append(multiply([around, arrange_bits(own)]))
        beside_tiles.add(sympy.expand(tile_inner.as_expr() - own.xreplace(_TO_TILE)))
    if len(beside_tiles) != 1:
        return None
    return (arrange_bits(held.as_expr()), arrange_bits(beside_tiles.pop())), sums


def _take_brackets(read: Polynomials, polynomial: PolyElement) -> tuple[set[sympy.Expr], PolyElement]:
    """Return the brackets that multiply the whole polynomial, and what is inside of them."""
    brackets = {
        generator
        for place, generator in enumerate(read.generators)
        if isinstance(generator, BRACKETS) and all(exponents[place] for exponents, _ in polynomial.terms())
    }
    for bracket_ in brackets:
        polynomial = polynomial.quo(polynomial.ring.gens[read.generators.index(bracket_)])
    return brackets, polynomial


def _common_terms(polynomials: Sequence[PolyElement]) -> PolyElement:
    """Return the terms that all of them have."""
    common = reduce(and_, (set(polynomial.terms()) for polynomial in polynomials))
    return polynomials[0].ring.from_dict(dict(common))
