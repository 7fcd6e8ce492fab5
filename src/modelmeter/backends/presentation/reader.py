"""From formulas to what people see of them: the order of terms and factors, names of parts, brackets."""

from __future__ import annotations

from collections.abc import Mapping

import sympy

from modelmeter.algebra.unevaluated import multiply, split_product
from modelmeter.backends.latex.printer import print_latex
from modelmeter.backends.presentation.tree import (
    COMPARISONS,
    ONE,
    Call,
    Cases,
    Fraction,
    Group,
    Named,
    Negative,
    Number,
    Power,
    Product,
    Relation,
    Root,
    Sum,
    Symbol,
    Tree,
)
from modelmeter.dimensions.functions import IntegerFunction, Size, Triangular
from modelmeter.dimensions.symbols import ANY_LAYER, STORAGE
from modelmeter.support.errors import FormulaError


class FormulaReader:
    """Reads formulas the way people write them: numbers, then counts, then channels, then brackets.

    Parameters
    ----------
    abbreviations
        Parts of formulas that stand there by a name of their own, by their LaTeX.
    names
        How sizes are written, by name, in the order of the factors of a product; by default those of any layer.
    has_letters
        Whether a formula may have symbols beside ``names``, such as a bandwidth; they are written as they are called.
    """

    def __init__(
        self,
        abbreviations: Mapping[sympy.Expr, str] | None = None,
        *,
        names: Mapping[str, str] | None = None,
        has_letters: bool = False,
    ) -> None:
        self.names = ANY_LAYER.latex if names is None else names
        self.used: set[sympy.Expr] = set()
        """The abbreviations that were read so far."""
        self._has_letters = has_letters
        self._ranks = {name: rank for rank, name in enumerate(self.names)}
        self._abbreviations = dict(abbreviations or {})
        self._places = {part: place for place, part in enumerate(self._abbreviations)}
        self._trees: dict[sympy.Expr, Tree] = {}
        self._orders: dict[sympy.Expr, tuple[int, str]] = {}

    def read(self, formula: Size) -> Tree:
        """Return ``formula`` as it is shown.

        Raises
        ------
        FormulaError
            If it has a symbol without a name, or something that no formula of ours has.
        """
        expression = sympy.sympify(formula)
        if expression in self._abbreviations:
            self.used.add(expression)
            return Named(self._abbreviations[expression], self.define(expression))
        return self.define(expression)

    def define(self, formula: sympy.Expr) -> Tree:
        """Return what an abbreviation stands for; the abbreviations inside it stay."""
        if formula not in self._trees:  # sorting reads the same parts again and again
            self._trees[formula] = self._read(formula)
        return self._trees[formula]

    def _read(self, formula: sympy.Expr) -> Tree:
        if formula.is_Rational:
            return _read_rational(formula)
        if formula.is_Symbol:
            return self._read_symbol(formula)
        if formula.is_Mul:
            return self._read_product(formula)
        if formula.is_Add:
            return Sum(tuple(map(self.read, sorted(formula.args, key=self._term_order))))
        if formula.is_Pow:
            return self._read_power(formula)
        if isinstance(formula, Triangular):
            (last,) = formula.args
            return Fraction(Product((self._group(last), self._group(last + 1))), Number(2))
        if isinstance(formula, IntegerFunction | sympy.floor | sympy.ceiling):
            return Call(type(formula).__name__, tuple(map(self.read, formula.args)))
        if isinstance(formula, sympy.Max | sympy.Min):
            # sympy keeps the arguments as a set
            return Call(type(formula).__name__.lower(), tuple(sorted(map(self.read, formula.args), key=print_latex)))
        if isinstance(formula, sympy.Piecewise):
            return Cases(tuple((self.read(value), self._read_condition(where)) for value, where in formula.args))
        if formula is sympy.oo:
            return Symbol("infinity", r"\infty")
        raise FormulaError("there is no way to write this part of a formula", found=formula)

    def _read_symbol(self, formula: sympy.Symbol) -> Tree:
        name = str(formula.name)
        if name not in self.names and not self._has_letters:
            raise FormulaError(
                "a size has no LaTeX name", found=name, remedy="add it to the latex of the model's dimensions"
            )
        plain = name if len(name) == 1 else rf"\mathrm{{{name}}}".replace("_", r"\_")
        return Symbol(name, self.names.get(name, plain))

    def _read_condition(self, condition: sympy.Basic) -> Relation | None:
        if condition is sympy.true:
            return None
        if isinstance(condition, sympy.Rel) and condition.rel_op in COMPARISONS:
            return Relation(self.read(condition.lhs), condition.rel_op, self.read(condition.rhs))
        raise FormulaError("there is no way to write this condition", found=condition)

    def _read_power(self, formula: sympy.Pow) -> Tree:
        if formula.exp == sympy.S.Half:  # where one cost overtakes another
            return Root(self.read(formula.base))
        if not formula.exp.is_Integer:
            raise FormulaError("a formula has a power that is neither a whole number nor a root", found=formula)
        if formula.exp < 0:
            return Fraction(ONE, self.read(1 / formula))
        return Power(self._group(formula.base), self.read(formula.exp))

    def _read_product(self, formula: sympy.Mul) -> Tree:
        number, factors = split_product(formula)
        below = [factor for factor in factors if factor.is_Pow and factor.exp.is_negative]
        if below:
            above = multiply([number, *(factor for factor in factors if factor not in below)])
            return Fraction(self.read(above), self.read(multiply([1 / factor for factor in below])))
        read = [self._group(factor) for factor in sorted(factors, key=self._factor_order)]
        if abs(number) != 1:
            read.insert(0, _read_rational(abs(number)))
        product = read[0] if len(read) == 1 else Product(tuple(read))
        return Negative(product) if number < 0 else product

    def _group(self, formula: sympy.Expr) -> Tree:
        tree = self.read(formula)
        return Group(tree) if isinstance(tree, Sum) else tree

    def _term_order(self, term: sympy.Expr) -> tuple[bool, int, int, list[tuple[int, str]]]:
        """Return the key of a term: by storage, higher degrees first, subtractions last."""
        number, factors = split_product(term)
        ranks = sorted(self._factor_order(factor) for factor in factors)
        # Bytes go by what stores them, whatever the degree.
        storage = min((rank for rank, _ in ranks if rank < len(STORAGE)), default=len(STORAGE))
        return bool(number < 0), storage, -_degree(term), ranks

    def _factor_order(self, factor: sympy.Expr) -> tuple[int, str]:
        if factor not in self._orders:
            self._orders[factor] = self._find_order(factor)
        return self._orders[factor]

    def _find_order(self, factor: sympy.Expr) -> tuple[int, str]:
        base = factor.base if factor.is_Pow else factor
        if base.is_Symbol:
            return self._ranks.get(base.name, len(self._ranks)), ""
        if base in self._places:
            return len(self._ranks) + self._places[base], ""
        return len(self._ranks) + len(self._places) + bool(base.is_Add), print_latex(self.read(factor))


def _read_rational(number: sympy.Rational) -> Tree:
    size = abs(number)
    tree: Tree = (
        Number(int(size)) if size.is_Integer else Fraction(Number(int(size.p)), Number(int(size.q)), is_small=True)
    )
    return Negative(tree) if number < 0 else tree


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
