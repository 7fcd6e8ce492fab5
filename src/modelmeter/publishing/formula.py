"""Formulas arranged for reading: bytes by what stores them, tiles apart, views as a function of their side.

Nothing here changes a value. Every arranged formula is made of, and provably equal to, the one that it came from.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

import sympy
from attrs import frozen
from sympy.polys.rings import PolyElement

from modelmeter.algebra.polynomials import Polynomials, prove_equal, read_polynomials
from modelmeter.algebra.readable import factor_polynomial
from modelmeter.core.functions import Size, exceeds, floor_div
from modelmeter.core.metrics import FUSED_IO, METRIC_RECORDS, METRICS, FusedMetric, MetricName
from modelmeter.core.symbols import STORAGE, symbol
from modelmeter.publishing.latex import (
    WIDTH,
    FormulaPrinter,
    add,
    align,
    bracket,
    break_lines,
    multiply,
    split_product,
    visible_width,
)
from modelmeter.support.errors import FormulaError

TILES: Final = sympy.sympify(exceeds(symbol("num_width_tiles") * symbol("num_height_tiles"), 1))
"""1 where a page is cut into tiles, else 0."""

TILE_VIEWS: Final = symbol("vision_batch_size") * symbol("num_width_tiles") * symbol("num_height_tiles")
"""Tiles of the pages of one call of the vision towers."""

CALLS: Final = sympy.sympify(floor_div(symbol("batch_size"), symbol("vision_batch_size")))
"""Calls of the vision towers for one image of each prompt."""

IMAGES: Final = symbol("images_per_prompt")
"""Images of each prompt."""

Shown = MetricName | FusedMetric
"""What a formula on a page is of."""

SHOWN: Final[tuple[Shown, ...]] = tuple(
    shown for metric in METRICS for shown in ((metric, FUSED_IO) if metric == "io_bytes" else (metric,))
)
"""In the order of a page: one reading of the traffic after the other."""


@frozen(kw_only=True)
class Part:
    """A summand of a formula.

    Parameters
    ----------
    label
        Where it comes from: a stage, or nothing.
    source
        The formula as it was compiled.
    shown
        The same, as the page shows it; of a byte metric the bits, which the page divides by 8.
    per_view
        Where a call costs the same function of its views and their side: that function of ``num_views`` and
        ``view_size``. The page then shows it, and that it is taken for the global views and for the tiles of each call.
    """

    label: str
    source: Size
    shown: sympy.Expr
    per_view: sympy.Expr | None = None


@frozen(kw_only=True)
class Formula:
    """One metric as a page shows it: the sum, or the largest, of its parts."""

    metric: Shown
    parts: tuple[Part, ...]
    combination: Literal["sum", "max"] = "sum"

    @property
    def printed(self) -> tuple[sympy.Expr, ...]:
        """Every expression that the page prints, for its symbols and abbreviations."""
        sizes = ("vision_batch_size", "base_size", "image_size", "view_size", "num_views")
        views = (TILES, TILE_VIEWS, CALLS, IMAGES, *map(symbol, sizes))
        return tuple(
            expression
            for part in self.parts
            for expression in ((part.shown,) if part.per_view is None else (part.per_view, *views))
        )


def arrange_part(metric: Shown, source: Size, *, label: str = "", may_split_views: bool = False) -> Part:
    """Return ``source`` as a page shows it.

    Parameters
    ----------
    may_split_views
        Whether to look for a function of one view that the formula is made of.
    """
    expression = sympy.sympify(source)
    if may_split_views and expression.has(TILES):
        per_view = _find_view_cost(expression)
        if per_view is not None:
            arranged = arrange(metric, per_view)
            return Part(label=label, source=source, shown=_over_views(arranged), per_view=arranged)
    return Part(label=label, source=source, shown=arrange(metric, expression))


def arrange(metric: Shown, source: Size) -> sympy.Expr:
    """Return ``source`` factored by meaning; of a byte metric the bits, by what stores them."""
    read = read_polynomials((source,))
    (polynomial,) = read.outputs
    return _by_storage(read, polynomial * 8) if is_bytes(metric) else _factor(read, polynomial)


def arrange_bits(bits: Size) -> sympy.Expr:
    """Return a number of bits by what stores them, factored by meaning."""
    read = read_polynomials((bits,))
    return _by_storage(read, read.outputs[0])


def _by_storage(read: Polynomials, bits: PolyElement) -> sympy.Expr:
    terms: list[sympy.Expr] = []
    for name in STORAGE:
        elements, bits = _split(read, bits, symbol(name))
        terms.append(multiply([symbol(name), _factor(read, elements)]))
    return add([*terms, _factor(read, bits)])


def is_bytes(metric: Shown) -> bool:
    """Tell whether a metric counts bytes; the others count FLOPs."""
    return METRIC_RECORDS[metric].unit == "bytes"


def is_flow(metric: Shown) -> bool:
    """Tell whether a metric adds up over calls, steps and stages."""
    return METRIC_RECORDS[metric].is_flow


def typeset(formula: Formula, printer: FormulaPrinter) -> tuple[str, ...]:
    """Return the displayed formulas of a metric: the metric itself, then the functions that it uses."""
    name = formula.metric.replace("_", r"\_")
    blocks = [_join(rf"\mathtt{{{name}}}", formula, printer)]
    for part in formula.parts:
        if part.per_view is not None:
            arguments = ", ".join(printer.print(symbol(size)) for size in ("num_views", "view_size"))
            left = f"{_view_function(formula.metric, part)}({arguments})"
            blocks.append(_equate(left, _lines(formula.metric, part.per_view, printer)))
    return tuple(blocks)


def _join(name: str, formula: Formula, printer: FormulaPrinter) -> str:
    if len(formula.parts) == 1:
        return _equate(name, _part_lines(formula.metric, formula.parts[0], printer, WIDTH))
    is_sum = formula.combination == "sum"
    lines = [f"{name} =" if is_sum else rf"{name} = \max\bigl("]
    for index, part in enumerate(formula.parts):
        first, *others = _part_lines(formula.metric, part, printer, WIDTH - len(part.label) - 4)
        inner = [f"{{}} + {first}" if is_sum and index else first, *others]
        if not is_sum:
            inner[-1] += r"\bigr)" if index == len(formula.parts) - 1 else ","
        inner[0] += rf" && \text{{({part.label})}}"
        lines += [rf"\quad {line}" for line in inner]
    return align(lines)


def _part_lines(metric: Shown, part: Part, printer: FormulaPrinter, width: int) -> list[str]:
    if part.per_view is None:
        return _lines(metric, part.shown, printer, width)
    function = _view_function(metric, part)
    images, calls, pages, base, tile, views, tiles = (
        printer.print(size)
        for size in (
            IMAGES, CALLS, symbol("vision_batch_size"), symbol("base_size"), symbol("image_size"), TILE_VIEWS, TILES,
        )
    )  # fmt: skip
    both = rf"{function}({pages}, {base}) + {tiles} \, {function}({views}, {tile})"
    return [rf"{images} \, {calls} \, \bigl({both}\bigr)"]


def _lines(metric: Shown, shown: sympy.Expr, printer: FormulaPrinter, width: int = WIDTH) -> list[str]:
    """Return what a page shows in lines; bits as the bytes that they are."""
    if not is_bytes(metric) or shown == 0:
        return break_lines(shown, printer, width)
    eighth = sympy.Rational(1, 8)
    if not shown.is_Add and not split_product(shown)[0].is_Integer:
        return break_lines(multiply([eighth, shown]), printer, width)  # one fraction, not two side by side
    lines = break_lines(shown, printer, width - 4)
    if shown.is_Add:
        return bracket(rf"{printer.print(eighth)} \, ", lines)
    times = r"\cdot" if lines[0][0].isdigit() else r"\,"
    return [f"{printer.print(eighth)} {times} {lines[0]}", *lines[1:]]


def _equate(left: str, lines: Sequence[str]) -> str:
    if len(lines) == 1 and visible_width(left + lines[0]) <= WIDTH:
        return f"{left} = {lines[0]}"
    return align([f"{left} =", *(rf"\quad {line}" for line in lines)])


def _view_function(metric: Shown, part: Part) -> str:
    return rf"F^{{\mathrm{{{part.label}}}}}_{{\mathrm{{{METRIC_RECORDS[metric].short_name}}}}}"


def _find_view_cost(source: sympy.Expr) -> sympy.Expr | None:
    """Return the function of ``num_views`` and ``view_size`` that ``source`` is for both kinds of views, if any."""
    read = read_polynomials((source.xreplace({TILES: sympy.Integer(0)}),))
    (without_tiles,) = read.outputs
    of_images, once = _split(read, without_tiles, IMAGES)
    a_call, rest = _split(read, of_images, CALLS)
    if once or rest:
        return None  # the stage also does things once, however many calls there are
    per_view = a_call.as_expr().xreplace(
        {symbol("vision_batch_size"): symbol("num_views"), symbol("base_size"): symbol("view_size")}
    )
    try:
        prove_equal(source, _over_views(per_view))
    except FormulaError:
        return None  # the stage also does things once, whatever the views
    return per_view


def _over_views(per_view: sympy.Expr) -> sympy.Expr:
    """Return the cost of all calls on global views and on tiles from the cost of one call on ``num_views`` views."""
    views, side = symbol("num_views"), symbol("view_size")
    global_views = per_view.xreplace({views: symbol("vision_batch_size"), side: symbol("base_size")})
    tiles = per_view.xreplace({views: TILE_VIEWS, side: symbol("image_size")})
    return multiply([IMAGES, CALLS, add([global_views, multiply([TILES, tiles])])])


def _factor(read: Polynomials, polynomial: PolyElement) -> sympy.Expr:
    """Return a polynomial factored by meaning, what only tiles cost apart."""
    tiles, rest = _split(read, polynomial, TILES)
    factored = [factor_polynomial(read.generators, part) if part else sympy.Integer(0) for part in (rest, tiles)]
    return add([factored[0], multiply([TILES, factored[1]])])


def _split(read: Polynomials, polynomial: PolyElement, generator: sympy.Expr) -> tuple[PolyElement, PolyElement]:
    """Return what ``generator`` multiplies, and the terms without it."""
    if generator not in read.generators:
        return polynomial.ring.zero, polynomial
    place = read.generators.index(generator)
    multiplied, rest = {}, {}
    for exponents, coefficient in polynomial.items():
        if exponents[place] == 0:
            rest[exponents] = coefficient
        elif exponents[place] == 1:
            multiplied[(*exponents[:place], 0, *exponents[place + 1 :])] = coefficient
        else:
            raise FormulaError("a formula is not linear in a size that it is arranged by", found=generator)
    return polynomial.ring.from_dict(multiplied), polynomial.ring.from_dict(rest)
