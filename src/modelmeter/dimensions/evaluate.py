"""Formulas to numbers, exactly: the slow evaluator that everything generated is compared with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction

import sympy

from modelmeter.dimensions.functions import IntegerFunction, RoutedReads, Size, expected_routed_reads
from modelmeter.support.errors import FormulaError

RoutedReadsRule = Callable[[int, int, int, int], int]
"""Experts, experts per token, tokens, weights of one expert -> weight elements read."""


def evaluate(
    expression: Size,
    values: Mapping[str, int],
    *,
    routed_reads: RoutedReadsRule = expected_routed_reads,
) -> int | Fraction:
    """Return the exact value of a formula: an int where it is whole, else a fraction.

    Parameters
    ----------
    expression
        A formula, or a number that already is one.
    values
        The value of every symbol in it, by name; more names do no harm, and nothing follows from them: of a model
        whose ``decode_steps`` are ``max_new_tokens - 1``, give ``decode_steps``, or ask its own ``evaluate``.
    routed_reads
        What :class:`~modelmeter.dimensions.functions.RoutedReads` stands for; the other rule is
        :func:`~modelmeter.dimensions.functions.bounded_routed_reads`.

    Raises
    ------
    FormulaError
        If a symbol has no value or one that is not an integer, or if the formula holds anything but
        exact sums, products, maxima, integer powers and integer functions.
    """
    return Evaluator(values, routed_reads)(expression)


class Evaluator:
    """Evaluates formulas at the same values, as :func:`evaluate`; what occurs twice in them is computed once."""

    def __init__(self, values: Mapping[str, int], routed_reads: RoutedReadsRule = expected_routed_reads) -> None:
        self._values = values
        self._routed_reads = routed_reads
        self._known: dict[sympy.Expr, int | Fraction] = {}

    def __call__(self, expression: Size) -> int | Fraction:
        """Return the exact value of a formula."""
        return _simplest(self._value(sympy.sympify(expression)))

    def _value(self, node: sympy.Expr) -> int | Fraction:
        if node not in self._known:
            self._known[node] = self._compute(node)
        return self._known[node]

    def _compute(self, node: sympy.Expr) -> int | Fraction:
        if node.is_Integer:
            return int(node)
        if node.is_Rational:
            return Fraction(int(node.p), int(node.q))
        if node.is_Symbol:
            return self._look_up(node.name)
        if node.is_Add:
            return sum((self._value(term) for term in node.args), start=0)
        if node.is_Mul:
            product: int | Fraction = 1
            for factor in node.args:
                product *= self._value(factor)
            return product
        if node.is_Pow and node.exp.is_Integer:
            return _power(self._value(node.base), int(node.exp))
        if isinstance(node, sympy.Max):
            return max(self._value(candidate) for candidate in node.args)
        if isinstance(node, IntegerFunction):
            arguments = [self._integer(argument) for argument in node.args]
            return self._routed_reads(*arguments) if isinstance(node, RoutedReads) else node.compute(*arguments)
        raise FormulaError("this part of a formula has no exact value", found=node)

    def _look_up(self, name: str) -> int:
        if name not in self._values:
            raise FormulaError(
                "a symbol of the formula has no value", place=name,
                remedy=f"give {name}=...; evaluate of a model works out sizes that follow from others",
            )  # fmt: skip
        value = self._values[name]
        if type(value) is not int:
            raise FormulaError("the value of a symbol is not an integer", place=name, found=value)
        return value

    def _integer(self, argument: sympy.Expr) -> int:
        value = _simplest(self._value(argument))
        if isinstance(value, Fraction):
            raise FormulaError("an integer function got a fraction", place=str(argument), found=value)
        return value


def _power(base: int | Fraction, exponent: int) -> int | Fraction:
    if exponent >= 0:
        return base**exponent
    if base == 0:
        raise FormulaError("a formula divides by zero")
    return Fraction(1) / base**-exponent


def _simplest(value: int | Fraction) -> int | Fraction:
    return value.numerator if value.denominator == 1 else value
