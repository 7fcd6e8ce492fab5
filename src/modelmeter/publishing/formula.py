"""Formulas arranged for reading: bytes by what stores them, and what is done for several views as a function of one.

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
from modelmeter.core.functions import Size
from modelmeter.core.metrics import FUSED_IO, METRIC_RECORDS, METRICS, FusedMetric, MetricName
from modelmeter.core.symbols import STORAGE, symbol
from modelmeter.model.definition import Model
from modelmeter.model.presentation import Repetition
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
    per_view, repetition
        Where it is the same function of each kind of views of the model's repetition: that function, of its parameters.
        The page then shows it, and for which views it is taken how often.
    """

    label: str
    source: Size
    shown: sympy.Expr
    per_view: sympy.Expr | None = None
    repetition: Repetition | None = None

    @property
    def printed(self) -> tuple[sympy.Expr, ...]:
        """Every expression that the page prints."""
        if self.per_view is None or self.repetition is None:
            return (self.shown,)
        return (self.per_view, *self.repetition.printed)


@frozen(kw_only=True)
class Formula:
    """One metric as a page shows it: the sum, or the largest, of its parts."""

    metric: Shown
    parts: tuple[Part, ...]
    combination: Literal["sum", "largest"] = "sum"

    @property
    def printed(self) -> tuple[sympy.Expr, ...]:
        """Every expression that the page prints, for its symbols and abbreviations."""
        return tuple(expression for part in self.parts for expression in part.printed)


def arrange_part(metric: Shown, source: Size, model: Model, *, label: str = "", may_split_views: bool = False) -> Part:
    """Return ``source`` as a page of a model shows it.

    Parameters
    ----------
    may_split_views
        Whether to look for a function of one view that the formula is made of.
    """
    expression, repetition = sympy.sympify(source), model.repetition
    if may_split_views and repetition is not None and expression.has(repetition.condition):
        per_view = _find_view_cost(expression, repetition, model)
        if per_view is not None:
            arranged = arrange(metric, per_view, model)
            shown = _over_views(arranged, repetition)
            return Part(label=label, source=source, shown=shown, per_view=arranged, repetition=repetition)
    return Part(label=label, source=source, shown=arrange(metric, expression, model))


def arrange(metric: Shown, source: Size, model: Model) -> sympy.Expr:
    """Return ``source`` factored by meaning; of a byte metric the bits, by what stores them."""
    read = read_polynomials((source,), dimensions=model.dimensions)
    (polynomial,) = read.outputs
    return _by_storage(read, polynomial * 8, model) if is_bytes(metric) else _factor(read, polynomial, model)


def arrange_bits(bits: Size, model: Model) -> sympy.Expr:
    """Return a number of bits by what stores them, factored by meaning."""
    read = read_polynomials((bits,), dimensions=model.dimensions)
    return _by_storage(read, read.outputs[0], model)


def _by_storage(read: Polynomials, bits: PolyElement, model: Model) -> sympy.Expr:
    terms: list[sympy.Expr] = []
    for name in STORAGE:
        elements, bits = _split(read, bits, symbol(name))
        terms.append(multiply([symbol(name), _factor(read, elements, model)]))
    return add([*terms, _factor(read, bits, model)])


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
        if part.per_view is not None and part.repetition is not None:
            left = _write_call(formula.metric, part, part.repetition.parameters, printer)
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
    repetition = part.repetition
    if part.per_view is None or repetition is None:
        return _lines(metric, part.shown, printer, width)
    always, sometimes = (
        _write_call(metric, part, view.sizes, printer) for view in (repetition.always, repetition.sometimes)
    )
    both = rf"{always} + {printer.print(repetition.condition)} \, {sometimes}"
    factors = " ".join(rf"{printer.print(factor)} \," for factor in repetition.factors)
    return [rf"{factors} \bigl({both}\bigr)"]


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


def _write_call(metric: Shown, part: Part, sizes: Sequence[sympy.Expr], printer: FormulaPrinter) -> str:
    """Return the function of a view at some sizes."""
    function = rf"F^{{\mathrm{{{part.label}}}}}_{{\mathrm{{{METRIC_RECORDS[metric].short_name}}}}}"
    return f"{function}({', '.join(map(printer.print, sizes))})"


def _find_view_cost(source: sympy.Expr, repetition: Repetition, model: Model) -> sympy.Expr | None:
    """Return the function of the parameters that ``source`` is for both kinds of views, if any."""
    read = read_polynomials((source.xreplace({repetition.condition: sympy.S.Zero}),), dimensions=model.dimensions)
    (of_each,) = read.outputs
    for factor in repetition.factors:
        of_each, once = _split(read, of_each, factor)
        if once:
            return None  # the stage also does things once, however many calls there are
    per_view = repetition.generalize(of_each.as_expr())
    try:
        prove_equal(source, _over_views(per_view, repetition))
    except FormulaError:
        return None  # the stage also does things once, whatever the views
    return per_view


def _over_views(per_view: sympy.Expr, repetition: Repetition) -> sympy.Expr:
    """Return the cost of all calls on both kinds of views from that of one call on one kind."""
    always, sometimes = (repetition.at(view, per_view) for view in (repetition.always, repetition.sometimes))
    return multiply([*repetition.factors, add([always, multiply([repetition.condition, sometimes])])])


def _factor(read: Polynomials, polynomial: PolyElement, model: Model) -> sympy.Expr:
    """Return a polynomial factored by meaning, what only one kind of views costs apart."""

    def factor(part: PolyElement) -> sympy.Expr:
        return factor_polynomial(read.generators, part, model.dimensions) if part else sympy.S.Zero

    if model.repetition is None:
        return factor(polynomial)
    apart, rest = _split(read, polynomial, model.repetition.condition)
    return add([factor(rest), multiply([model.repetition.condition, factor(apart)])])


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
