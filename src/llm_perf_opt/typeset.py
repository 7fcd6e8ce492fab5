"""Formulas as lines of text for a terminal.

Sympy's own two-dimensional printer breaks long formulas in the middle of a name. Here every term has a line, a term
that is too long opens its longest sum over further lines, and what is still too long breaks between factors.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import sympy
from attrs import frozen

from modelmeter.core.functions import (
    CeilDiv,
    Differs,
    Equals,
    Exceeds,
    FloorDiv,
    IntegerFunction,
    RoutedReads,
    Size,
    Triangular,
)
from modelmeter.support.errors import FormulaError

_SHORT_SUM: Final = 45
"""A sum of at most this many characters stays on the line of its term."""

_SUPERSCRIPTS: Final = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")

_FUNCTIONS: Final = {
    CeilDiv: ("⌈{} / {}⌉", "ceil({} / {})"),
    FloorDiv: ("⌊{} / {}⌋", "floor({} / {})"),
    Differs: ("[{} ≠ {}]", "[{} != {}]"),
    Equals: ("[{} = {}]", "[{} = {}]"),
    Exceeds: ("[{} > {}]", "[{} > {}]"),
    Triangular: ("({0} · ({0} + 1) / 2)", "({0} * ({0} + 1) / 2)"),
    RoutedReads: ("routed_reads({}, {}, {}, {})", "routed_reads({}, {}, {}, {})"),
}
"""How each function is written, in Unicode and in ASCII."""

_QUOTIENTS: Final = {CeilDiv, FloorDiv, Triangular}
"""The functions whose arguments need parentheses if they are sums or products."""


@frozen
class Line:
    """A line of a formula; ``depth`` is how many open parentheses it stands in."""

    depth: int
    text: str


def typeset(formula: Size, *, width: int, unicode: bool) -> list[Line]:
    """Return the lines of a formula, each a term with its sign, or where a parenthesis opens or closes.

    Parameters
    ----------
    formula
        What to print.
    width
        A longer line is opened. Each parenthesis around it takes two columns.
    unicode
        Whether the terminal shows more than ASCII.

    Raises
    ------
    FormulaError
        If the formula is not made of sums, products, powers and the functions of :mod:`modelmeter.core.functions`.
    """
    return list(_Typesetter(width=width, unicode=unicode).lay_out(sympy.sympify(formula)))


def write_bracket(bracket: type[IntegerFunction], *, unicode: bool) -> str:
    """Return a comparison of ``a`` and ``b`` as it is written in formulas."""
    in_unicode, in_ascii = _FUNCTIONS[bracket]
    return (in_unicode if unicode else in_ascii).format("a", "b")


@frozen(kw_only=True)
class _Typesetter:
    width: int
    unicode: bool

    def lay_out(self, formula: sympy.Expr, depth: int = 0) -> Iterator[Line]:
        """Yield the lines of ``formula``."""
        if isinstance(formula, sympy.Max):
            for index, choice in enumerate(formula.args):
                yield Line(depth, "," if index else "max(")
                yield from self.lay_out(choice, depth + 1)
            yield Line(depth, ")")
            return
        for sign, term in _signed_terms(formula):
            text = sign + self.write(term)
            factors = term.as_ordered_factors()
            opened = max(factors, key=lambda factor: len(self.write(factor)) if factor.is_Add else 0)
            if len(text) + 2 * depth <= self.width or not opened.is_Add or len(self.write(opened)) <= _SHORT_SUM:
                yield Line(depth, text)
                continue
            factors.remove(opened)
            above, below = self._multiply(factors)
            yield Line(depth, f"{sign}{above}{self._dot}(" if above else f"{sign}(")
            yield from self.lay_out(opened, depth + 1)
            yield Line(depth, f"){below}")

    def write(self, formula: sympy.Expr) -> str:
        """Return ``formula`` on one line."""
        if formula.is_Integer or formula.is_Symbol:
            return str(formula)
        if formula.is_Add:
            return " ".join(sign + self.write(term) for sign, term in _signed_terms(formula))
        if formula.is_Pow and formula.exp.is_Integer and formula.exp > 0:
            exponent = str(formula.exp)
            return self._factor(formula.base) + (exponent.translate(_SUPERSCRIPTS) if self.unicode else f"^{exponent}")
        if formula.is_Mul or formula.is_Rational or (formula.is_Pow and formula.exp.is_Integer):
            above, below = self._multiply(formula.as_ordered_factors())
            return (above or "1") + below
        if formula.func in _FUNCTIONS:
            in_unicode, in_ascii = _FUNCTIONS[formula.func]
            write = self._factor if formula.func in _QUOTIENTS else self.write
            return (in_unicode if self.unicode else in_ascii).format(*(write(argument) for argument in formula.args))
        raise FormulaError("there is no way to write this part of a formula", found=formula)

    def _multiply(self, factors: Iterable[sympy.Expr]) -> tuple[str, str]:
        """Return the factors above the line, and a slash with those below it; either may be empty."""
        fractions = [sympy.fraction(factor) for factor in factors]
        above = [self._factor(numerator) for numerator, _ in fractions if numerator != 1]
        below = [self._factor(denominator) for _, denominator in fractions if denominator != 1]
        joined = self._dot.join(below)
        return self._dot.join(above), f" / {f'({joined})' if len(below) > 1 else joined}" if below else ""

    def _factor(self, factor: sympy.Expr) -> str:
        text = self.write(factor)
        return f"({text})" if factor.is_Add or factor.is_Mul else text

    @property
    def _dot(self) -> str:
        return " · " if self.unicode else " * "


def _signed_terms(formula: sympy.Expr) -> list[tuple[str, sympy.Expr]]:
    """Return the terms without their sign, and what stands before each; a sum begins with a positive term."""
    terms = sorted(formula.as_ordered_terms(), key=lambda term: bool(term.could_extract_minus_sign()))
    signs = ["- " if term.could_extract_minus_sign() else "+ " for term in terms]
    if signs[0] == "+ ":
        signs[0] = ""
    return [(sign, -term if sign == "- " else term) for sign, term in zip(signs, terms, strict=True)]
