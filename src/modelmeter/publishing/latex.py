r"""Formulas as LaTeX: one printer, and line breaks where a formula is long.

Only what GitHub's MathJax and plain ``amsmath`` both know is printed; ``\operatorname``, for one, GitHub refuses.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import sympy
from sympy.printing.latex import LatexPrinter

from modelmeter.core.functions import IntegerFunction, Size
from modelmeter.core.symbols import ANY_LAYER, STORAGE
from modelmeter.support.errors import FormulaError

WIDTH: Final = 80
"""Letters in the widest line: what fits between the margins of A4 and of a GitHub page."""

_WORDY_SUBSCRIPT = re.compile(r"[_^]\{\\mathrm\{([^}]*)\}\}")
_OPERATOR = re.compile(r" (?:[-+=>]|\\ne|\\cdot) ")
_INVISIBLE = re.compile(r"\\(?:mathrm|mathtt|text|left|right|[bB]igl|[bB]igr|tfrac|frac)(?![a-zA-Z])|\\,|[{}_^&\s]")
_COMMAND = re.compile(r"\\(?:[a-zA-Z]+|.)")


class FormulaPrinter(LatexPrinter):  # type: ignore[misc]  # sympy ships no types
    """Prints formulas the way people write them: numbers, then counts, then channels, then brackets.

    Parameters
    ----------
    abbreviations
        Parts of formulas that are printed as a name of their own.
    names
        How sizes are written, by name, in the order of the factors of a product; by default those of any layer.
    """

    def __init__(
        self, abbreviations: Mapping[sympy.Expr, str] | None = None, *, names: Mapping[str, str] | None = None
    ) -> None:
        super().__init__()
        self.names = ANY_LAYER.latex if names is None else names
        self._ranks = {name: rank for rank, name in enumerate(self.names)}
        self.abbreviations = dict(abbreviations or {})
        self._places = {part: place for place, part in enumerate(self.abbreviations)}
        self.used: set[sympy.Expr] = set()
        """The abbreviations that were printed so far."""
        self._texts: dict[sympy.Expr, str] = {}

    def print(self, formula: Size) -> str:
        """Return ``formula`` in one line."""
        text: str = self._print(sympy.sympify(formula))
        return text

    def define(self, formula: IntegerFunction) -> str:
        """Return what an abbreviation stands for; the abbreviations inside it stay."""
        text: str = formula._latex(self)
        return text

    def doprint(self, expr: sympy.Expr) -> str:
        """Print an argument of an integer function; they call this name."""
        return self.print(expr)

    def _print(self, expr: Any, **kwargs: Any) -> Any:
        if expr in self.abbreviations:
            self.used.add(expr)
            return self.abbreviations[expr]
        if expr not in self._texts:  # sorting and measuring print the same parts again and again
            self._texts[expr] = super()._print(expr, **kwargs)
        return self._texts[expr]

    def _print_Symbol(self, expr: sympy.Symbol, style: str = "plain") -> str:  # noqa: N802 -- sympy's hook
        if expr.name not in self.names:
            raise FormulaError(
                "a size has no LaTeX name", found=expr.name, remedy="add it to the latex of the model's dimensions"
            )
        return self.names[expr.name]

    def _print_Integer(self, expr: sympy.Integer) -> str:  # noqa: N802 -- sympy's hook
        return group_digits(int(expr), r"\,")

    def _print_Rational(self, expr: sympy.Rational) -> str:  # noqa: N802 -- sympy's hook
        sign = "-" if expr < 0 else ""
        return rf"{sign}\tfrac{{{self._print(abs(expr.p))}}}{{{self._print(expr.q)}}}"

    def _print_int(self, expr: int) -> str:
        return group_digits(expr, r"\,")

    def _print_Pow(self, expr: sympy.Pow) -> str:  # noqa: N802 -- sympy's hook
        if expr.exp == sympy.S.Half:  # where one cost overtakes another
            return rf"\sqrt{{{self._print(expr.base)}}}"
        if not expr.exp.is_Integer:
            raise FormulaError("a formula has a power that is neither a whole number nor a root", found=expr)
        if expr.exp < 0:
            return rf"\frac{{1}}{{{self._print(1 / expr)}}}"
        return f"{self._group(expr.base)}^{{{self._print(expr.exp)}}}"

    def _print_Mul(self, expr: sympy.Mul) -> str:  # noqa: N802 -- sympy's hook
        number, factors = split_product(expr)
        below = [factor for factor in factors if factor.is_Pow and factor.exp.is_negative]
        if below:
            above = multiply([number, *(factor for factor in factors if factor not in below)])
            return rf"\frac{{{self._print(above)}}}{{{self._print(multiply([1 / factor for factor in below]))}}}"
        sign = "-" if number < 0 else ""
        names = [self._group(factor) for factor in sorted(factors, key=self._factor_order)]
        if abs(number) != 1:
            names.insert(0, self._print(abs(number)))
        return sign + r" \, ".join(names)

    def _print_Add(self, expr: sympy.Add, order: object = None) -> str:  # noqa: N802 -- sympy's hook
        terms = self.ordered_terms(expr)
        return "".join(join_term(self._print(term), is_first=not index) for index, term in enumerate(terms))

    def _print_Max(self, expr: sympy.Max, exp: object = None) -> str:  # noqa: N802 -- sympy's hook
        arguments = sorted(self._print(argument) for argument in expr.args)  # sympy keeps them as a set
        return rf"\max\left({', '.join(arguments)}\right)"

    def _group(self, expr: sympy.Expr) -> str:
        text: str = self._print(expr)
        return rf"\left({text}\right)" if expr.is_Add and expr not in self.abbreviations else text

    def ordered_terms(self, total: sympy.Add) -> list[sympy.Expr]:
        """Return the terms of a sum as they are printed: by storage, higher degrees first, subtractions last."""
        return sorted(total.args, key=self._term_order)

    def _term_order(self, term: sympy.Expr) -> tuple[bool, int, int, list[tuple[int, str]]]:
        number, factors = split_product(term)
        ranks = sorted(self._factor_order(factor) for factor in factors)
        # Bytes go by what stores them, whatever the degree.
        storage = min((rank for rank, _ in ranks if rank < len(STORAGE)), default=len(STORAGE))
        return bool(number < 0), storage, -_degree(term), ranks

    def _factor_order(self, factor: sympy.Expr) -> tuple[int, str]:
        base = factor.base if factor.is_Pow else factor
        if base.is_Symbol:
            return self._ranks.get(base.name, len(self._ranks)), ""
        if base in self._places:
            return len(self._ranks) + self._places[base], ""
        return len(self._ranks) + len(self._places) + bool(base.is_Add), self._print(factor)


def group_digits(number: int, space: str) -> str:
    """Return ``number`` with ``space`` between groups of three digits."""
    return f"{number:,}".replace(",", space)


def join_term(text: str, *, is_first: bool) -> str:
    """Return a printed term with the sign that joins it to the terms before it."""
    if is_first:
        return text
    return f" - {text[1:]}" if text.startswith("-") else f" + {text}"


def split_product(expression: sympy.Expr) -> tuple[sympy.Rational, list[sympy.Expr]]:
    """Return the number and the other factors of a product, nested products flattened."""
    number, factors = sympy.Integer(1), []
    pending = [expression]
    while pending:
        factor = pending.pop(0)
        if factor.is_Mul:
            pending = [*factor.args, *pending]
        elif factor.is_Rational:
            number = number * factor
        else:
            factors.append(factor)
    return number, factors


def multiply(factors: Sequence[Size]) -> sympy.Expr:
    """Return a product as it is, without multiplying a number into a bracket."""
    number, rest = split_product(sympy.Mul(*map(sympy.sympify, factors), evaluate=False))
    if number == 0 or not rest:
        return number
    kept = rest if number == 1 else [number, *rest]
    return kept[0] if len(kept) == 1 else sympy.Mul(*kept, evaluate=False)


def add(terms: Sequence[Size]) -> sympy.Expr:
    """Return a sum as it is, without collecting terms; zeros are left out."""
    kept = [sympy.sympify(term) for term in terms if term != 0]
    if len(kept) < 2:
        return kept[0] if kept else sympy.Integer(0)
    return sympy.Add(*kept, evaluate=False)


def visible_width(latex: str) -> int:
    """Return about how many letters wide ``latex`` is: enough to choose line breaks."""
    spaces = latex.count(r"\,") // 3  # thin ones
    text = _WORDY_SUBSCRIPT.sub(lambda match: "x" * -(-2 * len(match[1]) // 3), latex)  # in small letters
    return spaces + len(_COMMAND.sub("x", _INVISIBLE.sub("", _OPERATOR.sub("xxx", text))))


def break_lines(formula: Size, printer: FormulaPrinter, width: int = WIDTH) -> list[str]:
    """Return ``formula`` in lines of about ``width`` glyphs, broken at sums only."""
    expression = sympy.sympify(formula)
    text = printer.print(expression)
    if visible_width(text) <= width or expression in printer.abbreviations:
        return [text]
    if expression.is_Add:
        return _break_sum(expression, printer, width)
    number, factors = split_product(expression)
    sums = [factor for factor in factors if factor.is_Add and factor not in printer.abbreviations]
    if not sums:
        return [text]
    widest = max(sums, key=lambda factor: visible_width(printer.print(factor)))
    others = multiply([number, *(factor for factor in factors if factor is not widest)])
    head = "" if others == 1 else "-" if others == -1 else rf"{printer.print(others)} \, "
    lines = break_lines(widest, printer, width - 3)
    if visible_width(head + lines[0]) > width:
        lines = ["", *lines]
    return bracket(head, lines)


def bracket(head: str, lines: Sequence[str]) -> list[str]:
    """Return ``lines`` in a bracket that opens after ``head``."""
    opened = [rf"{head}\bigl({lines[0]}", *(rf"\quad {line}" for line in lines[1:])]
    return [*opened[:-1], rf"{opened[-1]}\bigr)"]


def _break_sum(total: sympy.Add, printer: FormulaPrinter, width: int) -> list[str]:
    """Return a sum in lines: short terms side by side, a term that needs several lines alone."""
    lines: list[str] = []
    is_open = False  # whether the last line takes another term
    for index, term in enumerate(printer.ordered_terms(total)):
        first, *rest = break_lines(term, printer, width - 2)
        joined = join_term(first, is_first=not index)
        if is_open and not rest and visible_width(lines[-1] + joined) <= width:
            lines[-1] += joined
        else:
            # The empty group makes the sign at the start of a line one between two terms.
            lines += [joined if not index else "{}" + joined, *rest]
        is_open = not rest
    return lines


def align(lines: Sequence[str]) -> str:
    """Return the body of a displayed formula: one line as it is, more of them aligned on the left."""
    if len(lines) == 1:
        return lines[0]
    body = " \\\\\n".join(f"& {line}" for line in lines)
    return f"\\begin{{aligned}}\n{body}\n\\end{{aligned}}"


def _degree(expression: sympy.Expr) -> int:
    if expression.is_Rational:
        return 0
    if expression.is_Mul:
        return sum(_degree(factor) for factor in expression.args)
    if expression.is_Add:
        return max(_degree(term) for term in expression.args)
    if expression.is_Pow:
        return int(expression.exp) * _degree(expression.base)
    return 1
