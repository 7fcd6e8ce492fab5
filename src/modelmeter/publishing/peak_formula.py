"""The peak of a stage's activations as a page shows it: what can be the largest, and in which layer.

Where a stage does the same to both kinds of views, the page shows a function of one kind, beside what is held.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import reduce
from math import lcm
from operator import and_, sub
from typing import Final

import sympy
from attrs import evolve, frozen

from modelmeter.algebra.expansion import Expansion, Exponents
from modelmeter.algebra.polynomials import Polynomials, read_polynomials
from modelmeter.algebra.unevaluated import multiply
from modelmeter.analysis.peak import Candidate, Peak
from modelmeter.backends.presentation.layout import (
    WIDTH,
    Pieces,
    bracket,
    break_lines,
    end,
    indent,
    label_lines,
)
from modelmeter.backends.presentation.reader import FormulaReader
from modelmeter.backends.presentation.tree import Application, Display, Line, Sign, Word
from modelmeter.dimensions.functions import BRACKETS, equals
from modelmeter.dimensions.symbols import symbol
from modelmeter.layers.operators import ACTIVATIONS_ARE_CAST
from modelmeter.metrics.cost import FLOAT32_BITS
from modelmeter.metrics.metric import PEAK
from modelmeter.model.definition import Model
from modelmeter.model.presentation import Repetition
from modelmeter.publishing.formula import EIGHTH, arrange_bits

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
    held, repetition
        Where both kinds of views of a repetition go through the same layers: the bits held beside those that are always
        there, and beside the others. The rows are then functions of the parameters of the repetition.
    """

    condition: sympy.Expr
    rows: tuple[Row, ...]
    held: tuple[sympy.Expr, sympy.Expr] | None = None
    repetition: Repetition | None = None

    @property
    def printed(self) -> tuple[sympy.Expr, ...]:
        """Every expression that the page prints."""
        of_views: tuple[sympy.Expr, ...] = ()
        if self.held is not None and self.repetition is not None:
            kinds = (self.repetition.always.sizes, self.repetition.sometimes.sizes, self.repetition.parameters)
            of_views = (*self.held, self.repetition.condition, *(size for kind in kinds for size in kind))
        return (self.condition, *(row for _, row in self.rows), *of_views)

    def list_branches(self) -> Iterator[sympy.Expr]:
        """Yield the bits that the page shows the largest of, each where its operator runs."""
        rows = [row for _, row in self.rows]
        if self.held is None or self.repetition is None:
            yield from (self.condition * row for row in rows)
            return
        repetition, (always, sometimes) = self.repetition, self.held
        for row in rows:
            own = repetition.at(repetition.always, row)
            yield self.condition * _find_brackets(own) * (always + own)
        for row in rows:
            own = repetition.at(repetition.sometimes, row)
            yield self.condition * repetition.condition * _find_brackets(own) * (sometimes + own)

    def typeset(self, of: str, reader: FormulaReader) -> tuple[list[Line], tuple[Display, ...]]:
        """Return the lines of the peak, and the displayed function of a kind of views that it uses, if any.

        ``of`` is what that function is of.
        """
        head = (EIGHTH, Sign.TIMES, reader.read(self.condition), Sign.TIMES)
        rows = [(layer, break_lines(reader.read(row), WIDTH - 24)) for layer, row in self.rows]
        repetition = self.repetition
        if self.held is None or repetition is None:
            return _list_rows(head, rows), ()
        always, sometimes = repetition.always, repetition.sometimes
        of_always, of_sometimes, of_any = (
            Application(of, "peak", tuple(map(reader.read, sizes)))
            for sizes in (always.sizes, sometimes.sizes, repetition.parameters)
        )
        beside_always, beside_sometimes = (break_lines(reader.read(held), WIDTH - 24) for held in self.held)
        condition = (reader.read(repetition.condition), Sign.TIMES)
        kinds = [
            (always.name, end(beside_always, Sign.PLUS, of_always)),
            (sometimes.name, bracket(condition, end(beside_sometimes, Sign.PLUS, of_sometimes))),
        ]
        return _list_rows(head, kinds), (tuple(_list_rows((of_any, Sign.EQUALS), rows)),)


@frozen(kw_only=True)
class PeakFormula:
    """The peak of a stage: the sum of its cases, of which one holds."""

    stage: str
    cases: tuple[PeakCase, ...]

    @property
    def printed(self) -> tuple[sympy.Expr, ...]:
        """Every expression that the page prints."""
        return tuple(expression for case in self.cases for expression in case.printed)

    def typeset(self, reader: FormulaReader) -> tuple[Display, ...]:
        """Return the displayed formulas: the peak, then the functions of a kind of views that it uses."""
        lines: list[Line] = []
        functions: list[Display] = []
        for number, case in enumerate(self.cases):
            (first, *rest), used = case.typeset(f"{self.stage}{chr(39) * number}", reader)
            start = (Sign.PLUS,) if number else (Word(PEAK), Sign.EQUALS)
            lines += [evolve(first, pieces=(*start, *first.pieces)), *rest]
            functions += used
        if len(lines) == 1:
            lines = [Line(lines[0].pieces)]  # a line alone has nothing to be told apart from
        return (tuple(lines), *functions)


def arrange_peak(stage: str, peak: Peak, model: Model) -> PeakFormula:
    """Return the peak of a stage of a model as its page shows it."""
    cases = [
        _arrange_case(condition, operators, model)
        for condition in _CASES
        if (operators := [operator for operator in peak.operators if sympy.sympify(operator.bits).has(condition)])
    ]
    return PeakFormula(stage=stage, cases=tuple(cases))


def _arrange_case(condition: sympy.Expr, operators: Sequence[Candidate], model: Model) -> PeakCase:
    layers = [operator.layer for operator in operators]
    bits = [sympy.sympify(operator.bits).xreplace({condition: sympy.S.One}) for operator in operators]
    found = None if model.repetition is None else _split_views(bits, model.repetition, model)
    if found is None:
        rows = (arrange_bits(each, model) for each in bits)
        return PeakCase(condition=condition, rows=tuple(zip(layers, rows, strict=True)))
    held, sums = found
    return PeakCase(
        condition=condition, rows=tuple(zip(layers, sums, strict=False)), held=held, repetition=model.repetition
    )


def _find_brackets(row: sympy.Expr) -> sympy.Expr:
    """Return the brackets around a whole row: where they are 0, another row has all that is held, too."""
    return sympy.Mul(*(factor for factor in sympy.Mul.make_args(row) if isinstance(factor, BRACKETS)))


def _list_rows(head: Pieces, rows: Sequence[tuple[str, Sequence[Pieces]]]) -> list[Line]:
    """Return the lines of a maximum after ``head``, of each row with its label; of one row, that row."""
    if len(rows) == 1:
        ((label, only),) = rows
        return label_lines(bracket(head, only), label)
    lines = [Line((*head, Sign.MAXIMUM, Sign.OPEN))]
    for index, (label, row) in enumerate(rows):
        inner = end(row, Sign.CLOSE if index == len(rows) - 1 else Sign.COMMA)
        lines += label_lines(indent(inner), label)
    return lines


def _split_views(
    sums_of_bits: Iterable[sympy.Expr], repetition: Repetition, model: Model
) -> tuple[tuple[sympy.Expr, sympy.Expr], list[sympy.Expr]] | None:
    """Return what is held beside each kind of views, and the sums that are functions of a kind of views.

    That is None where the operators on one kind are not those on the other. A bracket around a whole sum is put
    around its own part only: without it, what is held is left, and every other sum has that too.
    """
    read = read_polynomials(list(sums_of_bits), dimensions=model.dimensions)
    split = [_take_brackets(read, polynomial) for polynomial in read.outputs]
    condition = repetition.condition
    always = [(brackets, inner) for brackets, inner in split if condition not in brackets]
    sometimes = [(brackets - {condition}, inner) for brackets, inner in split if condition in brackets]
    if len(always) < 2 or len(sometimes) != len(always):
        return None
    held = _common_terms([inner for _, inner in always])
    sums: list[sympy.Expr] = []
    beside: set[sympy.Expr] = set()
    for (brackets, inner), (other_brackets, other_inner) in zip(always, sometimes, strict=True):
        own = repetition.generalize((inner - held).as_expr())
        around = repetition.generalize(sympy.Mul(*brackets))
        if repetition.at(repetition.sometimes, around) != sympy.Mul(*other_brackets):
            return None
        sums.append(multiply([around, arrange_bits(own, model)]))
        beside.add(sympy.expand(other_inner.as_expr() - repetition.at(repetition.sometimes, own)))
    if len(beside) != 1:
        return None
    return (arrange_bits(held.as_expr(), model), arrange_bits(beside.pop(), model)), sums


def _take_brackets(read: Polynomials, polynomial: Expansion) -> tuple[set[sympy.Expr], Expansion]:
    """Return the brackets that multiply the whole polynomial, and what is inside of them."""
    brackets = {
        generator
        for place, generator in enumerate(read.generators)
        if isinstance(generator, BRACKETS) and all(exponents[place] for exponents in polynomial.terms)
    }
    taken = [int(generator in brackets) for generator in read.generators]
    inner = ((tuple(map(sub, exponents, taken)), number) for exponents, number in polynomial.terms.items())
    return brackets, polynomial.replace(inner, polynomial.denominator)


def _common_terms(polynomials: Sequence[Expansion]) -> Expansion:
    """Return the terms that all of them have."""
    denominator = lcm(*(polynomial.denominator for polynomial in polynomials))
    common = reduce(and_, ({*_scale(polynomial, denominator)} for polynomial in polynomials))
    return polynomials[0].replace(common, denominator)


def _scale(polynomial: Expansion, denominator: int) -> Iterator[tuple[Exponents, int]]:
    """Yield the terms over a multiple of the denominator."""
    times = denominator // polynomial.denominator
    return ((exponents, number * times) for exponents, number in polynomial.terms.items())
