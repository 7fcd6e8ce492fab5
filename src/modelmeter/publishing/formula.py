"""Formulas arranged for reading: bytes by what stores them, and what is done for several views as a function of one.

Nothing here changes a value. Every arranged formula is made of, and provably equal to, the one that it came from.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final, Literal

import sympy
from attrs import frozen

from modelmeter.algebra.expansion import Expansion, Exponents
from modelmeter.algebra.polynomials import Polynomials, prove_equal, read_polynomials
from modelmeter.algebra.readable import factor_polynomial
from modelmeter.algebra.unevaluated import add, multiply, split_product
from modelmeter.backends.presentation.layout import (
    WIDTH,
    Pieces,
    bracket,
    break_lines,
    end,
    equate,
    indent,
    join_term,
    label_lines,
)
from modelmeter.backends.presentation.reader import FormulaReader
from modelmeter.backends.presentation.tree import (
    Application,
    Display,
    Fraction,
    Line,
    Number,
    Piece,
    Product,
    Sign,
    Word,
)
from modelmeter.dimensions.functions import Size
from modelmeter.dimensions.symbols import STORAGE, Dimensions, symbol
from modelmeter.metrics.metric import FUSED_IO, METRIC_RECORDS, METRICS, FusedMetric, MetricName
from modelmeter.model.definition import Model
from modelmeter.model.presentation import Repetition
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
    apart = None if model.repetition is None else model.repetition.condition
    return _arrange(sympy.sympify(source), model.dimensions, apart, counts_bytes=is_bytes(metric))


@lru_cache(maxsize=1024)  # pages, data and the site show the same formulas
def _arrange(source: sympy.Expr, dimensions: Dimensions, apart: sympy.Expr | None, *, counts_bytes: bool) -> sympy.Expr:
    read = read_polynomials((source,), dimensions=dimensions)
    (polynomial,) = read.outputs
    if counts_bytes:
        bits = ((exponents, 8 * number) for exponents, number in polynomial.terms.items())
        return _by_storage(read, polynomial.replace(bits, polynomial.denominator), dimensions, apart)
    return _factor(read, polynomial, dimensions, apart)


def arrange_bits(bits: Size, model: Model) -> sympy.Expr:
    """Return a number of bits by what stores them, factored by meaning."""
    read = read_polynomials((bits,), dimensions=model.dimensions)
    apart = None if model.repetition is None else model.repetition.condition
    return _by_storage(read, read.outputs[0], model.dimensions, apart)


def _by_storage(read: Polynomials, bits: Expansion, dimensions: Dimensions, apart: sympy.Expr | None) -> sympy.Expr:
    terms: list[sympy.Expr] = []
    for name in STORAGE:
        elements, bits = _split(read, bits, symbol(name))
        terms.append(multiply([symbol(name), _factor(read, elements, dimensions, apart)]))
    return add([*terms, _factor(read, bits, dimensions, apart)])


def is_bytes(metric: Shown) -> bool:
    """Tell whether a metric counts bytes; the others count FLOPs."""
    return METRIC_RECORDS[metric].unit == "bytes"


def is_flow(metric: Shown) -> bool:
    """Tell whether a metric adds up over calls, steps and stages."""
    return METRIC_RECORDS[metric].is_flow


def typeset(formula: Formula, reader: FormulaReader) -> tuple[Display, ...]:
    """Return the displayed formulas of a metric: the metric itself, then the functions that it uses."""
    blocks = [_join(Word(formula.metric), formula, reader)]
    for part in formula.parts:
        if part.per_view is not None and part.repetition is not None:
            left = _write_call(formula.metric, part, part.repetition.parameters, reader)
            blocks.append(equate(left, _lines(formula.metric, part.per_view, reader)))
    return tuple(blocks)


def display_shown(metric: Shown, shown: sympy.Expr, reader: FormulaReader) -> Display:
    """Return an arranged formula without a name, as one of several parts; bits as the bytes that they are."""
    return tuple(map(Line, _lines(metric, shown, reader)))


def _join(name: Word, formula: Formula, reader: FormulaReader) -> Display:
    if len(formula.parts) == 1:
        return equate(name, _part_lines(formula.metric, formula.parts[0], reader, WIDTH))
    is_sum = formula.combination == "sum"
    lines = [Line((name, Sign.EQUALS) if is_sum else (name, Sign.EQUALS, Sign.MAXIMUM, Sign.OPEN))]
    for index, part in enumerate(formula.parts):
        inner = _part_lines(formula.metric, part, reader, WIDTH - len(part.label) - 4)
        if is_sum and index:
            inner[0] = join_term(inner[0])
        elif not is_sum:
            inner = end(inner, Sign.CLOSE if index == len(formula.parts) - 1 else Sign.COMMA)
        lines += label_lines(indent(inner), part.label)
    return tuple(lines)


def _part_lines(metric: Shown, part: Part, reader: FormulaReader, width: int) -> list[Pieces]:
    repetition = part.repetition
    if part.per_view is None or repetition is None:
        return _lines(metric, part.shown, reader, width)
    always, sometimes = (
        _write_call(metric, part, view.sizes, reader) for view in (repetition.always, repetition.sometimes)
    )
    factors = (piece for factor in repetition.factors for piece in (reader.read(factor), Sign.TIMES))
    both = (always, Sign.PLUS, reader.read(repetition.condition), Sign.TIMES, sometimes)
    return bracket(tuple(factors), [both])


EIGHTH: Final = Fraction(Number(1), Number(8), is_small=True)
"""The bytes of one bit."""


def _lines(metric: Shown, shown: sympy.Expr, reader: FormulaReader, width: int = WIDTH) -> list[Pieces]:
    """Return what a page shows in lines; bits as the bytes that they are."""
    if not is_bytes(metric) or shown == 0:
        return break_lines(reader.read(shown), width)
    if not shown.is_Add and not split_product(shown)[0].is_Integer:
        # one fraction, not two side by side
        return break_lines(reader.read(multiply([sympy.Rational(1, 8), shown])), width)
    lines = break_lines(reader.read(shown), width - 4)
    if shown.is_Add:
        return bracket((EIGHTH, Sign.TIMES), lines)
    return [(EIGHTH, Sign.DOT if _starts_with_digit(lines[0][0]) else Sign.TIMES, *lines[0]), *lines[1:]]


def _starts_with_digit(piece: Piece) -> bool:
    """Tell whether what follows a fraction is a number, which would run into it."""
    return isinstance(piece, Number) or (isinstance(piece, Product) and _starts_with_digit(piece.factors[0]))


def _write_call(metric: Shown, part: Part, sizes: Sequence[sympy.Expr], reader: FormulaReader) -> Application:
    """Return the function of a view at some sizes."""
    return Application(part.label, METRIC_RECORDS[metric].short_name, tuple(map(reader.read, sizes)))


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


def _factor(read: Polynomials, polynomial: Expansion, dimensions: Dimensions, apart: sympy.Expr | None) -> sympy.Expr:
    """Return a polynomial factored by meaning: first the terms without ``apart``, then its factor."""

    def factor(part: Expansion) -> sympy.Expr:
        return factor_polynomial(read.generators, part, dimensions) if part else sympy.S.Zero

    if apart is None:
        return factor(polynomial)
    multiplied, rest = _split(read, polynomial, apart)
    return add([factor(rest), multiply([apart, factor(multiplied)])])


def _split(read: Polynomials, polynomial: Expansion, generator: sympy.Expr) -> tuple[Expansion, Expansion]:
    """Return what ``generator`` multiplies, and the terms without it."""
    if generator not in read.generators:
        return polynomial.replace((), 1), polynomial
    place = read.generators.index(generator)
    multiplied: list[tuple[Exponents, int]] = []
    rest: list[tuple[Exponents, int]] = []
    for exponents, number in polynomial.terms.items():
        if exponents[place] == 0:
            rest.append((exponents, number))
        elif exponents[place] == 1:
            multiplied.append(((*exponents[:place], 0, *exponents[place + 1 :]), number))
        else:
            raise FormulaError("a formula is not linear in a size that it is arranged by", found=generator)
    return polynomial.replace(multiplied, polynomial.denominator), polynomial.replace(rest, polynomial.denominator)
