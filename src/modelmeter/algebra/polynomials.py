"""Formulas as exact sparse polynomials, with the integer functions as further unknowns.

Two formulas are equal wherever their polynomials are, so this is also where equality is proved.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import sympy
from attrs import frozen
from sympy.polys.orderings import lex
from sympy.polys.rings import PolyElement, PolyRing

from modelmeter.core.functions import IntegerFunction, Size
from modelmeter.core.symbols import ANY_LAYER, Dimensions
from modelmeter.support.errors import FormulaError


@frozen(kw_only=True)
class Polynomials:
    """Several formulas over one list of generators.

    Parameters
    ----------
    generators
        Symbols in the order of the documentation, then calls of integer functions; a call's own
        arguments are made of generators too.
    outputs
        The polynomials of the formulas that were read, in their order, with rational coefficients.
        A quotient by a symbol is a negative exponent.
    arguments
        For every call among the generators, the polynomials of its arguments.
    """

    generators: tuple[sympy.Expr, ...]
    outputs: tuple[PolyElement, ...]
    arguments: dict[sympy.Expr, tuple[PolyElement, ...]]


def read_polynomials(
    expressions: Sequence[Size],
    constants: Mapping[str, int] | None = None,
    *,
    dimensions: Dimensions = ANY_LAYER,
) -> Polynomials:
    """Multiply the formulas out and add like terms, with ``constants`` put in for symbols.

    Integer functions stay whole; their arguments are brought into the same form first, so that two
    spellings of one call are one generator.

    Parameters
    ----------
    expressions, constants
        The formulas, and numbers by the name of a symbol.
    dimensions
        The order of the symbols among the generators; those that are not among them follow by the alphabet.

    Raises
    ------
    FormulaError
        If a formula is not made of exact sums, products, powers and integer functions.
    """
    return _Reader(constants or {}, dimensions).read([sympy.sympify(expression) for expression in expressions])


def prove_equal(left: Size, right: Size) -> None:
    """Prove that two formulas have the same value wherever both are defined.

    Raises
    ------
    FormulaError
        If their polynomials differ.
    """
    one, other = read_polynomials((left, right)).outputs
    if one != other:
        difference = (one - other).as_expr()
        raise FormulaError("two forms of one formula are not equal", expected="no difference", found=difference)


class _Reader:
    def __init__(self, constants: Mapping[str, int], dimensions: Dimensions) -> None:
        self._constants = constants
        self._ranks = dimensions.ranks
        # What stands for each symbol and call: itself, a number, or its canonical form.
        self._canonical: dict[sympy.Expr, sympy.Expr] = {}
        self._visited: set[sympy.Expr] = set()

    def read(self, expressions: Sequence[sympy.Expr]) -> Polynomials:
        """Return the polynomials of ``expressions``."""
        for expression in expressions:
            self._visit(expression)
        conversion = self._conversion(expressions)
        calls = [generator for generator in conversion.generators if isinstance(generator, IntegerFunction)]
        return Polynomials(
            generators=conversion.generators,
            outputs=tuple(conversion.convert(expression) for expression in expressions),
            arguments={call: tuple(conversion.convert(argument) for argument in call.args) for call in calls},
        )

    def _conversion(self, expressions: Sequence[sympy.Expr]) -> _Conversion:
        return _Conversion(self._close_over_arguments(expressions), self._canonical)

    def _visit(self, node: sympy.Expr) -> None:
        """Find the canonical form of every symbol and call below ``node``."""
        if node in self._visited or node.is_Rational:
            return
        self._visited.add(node)
        if node.is_Symbol:
            self._canonical[node] = sympy.Integer(self._constants[node.name]) if node.name in self._constants else node
        elif isinstance(node, IntegerFunction):
            for argument in node.args:
                self._visit(argument)
            conversion = self._conversion(node.args)
            self._canonical[node] = node.func(*(conversion.convert(argument).as_expr() for argument in node.args))
            self._visit(self._canonical[node])
        elif node.is_Add or node.is_Mul:
            for argument in node.args:
                self._visit(argument)
        elif node.is_Pow and node.exp.is_Integer:
            self._visit(node.base)
        else:
            raise FormulaError("a formula is not a polynomial in sizes and integer functions", found=node)

    def _close_over_arguments(self, expressions: Sequence[sympy.Expr]) -> tuple[sympy.Expr, ...]:
        """Return the generators that ``expressions`` and the arguments of their calls need, in order."""
        needed: set[sympy.Expr] = set()
        pending = list(expressions)
        seen: set[sympy.Expr] = set()
        while pending:
            node = pending.pop()
            if node in seen:
                continue
            seen.add(node)
            stand_in = self._canonical.get(node)
            if stand_in is not None and stand_in != node:
                pending.append(stand_in)
                continue
            if stand_in is not None:
                needed.add(node)
            pending.extend(node.args)
        return tuple(sorted(needed, key=self._order))

    def _order(self, generator: sympy.Expr) -> tuple[bool, int, str]:
        """Sort symbols as documented, then calls by their text."""
        text = _write(generator)
        return (not generator.is_Symbol, self._ranks.get(text, len(self._ranks)), text)


class _Conversion:
    """From expressions to elements of one ring; what occurs twice is converted once."""

    def __init__(self, generators: tuple[sympy.Expr, ...], canonical: Mapping[sympy.Expr, sympy.Expr]) -> None:
        self.generators = generators
        # Lexicographic, so that terms come out in the order of the generators.
        self._ring = PolyRing(generators, sympy.QQ, lex)
        self._canonical = canonical
        self._known: dict[sympy.Expr, PolyElement] = dict(zip(generators, self._ring.gens, strict=True))

    def convert(self, node: sympy.Expr) -> PolyElement:
        if node not in self._known:
            self._known[node] = self._compute(node)
        return self._known[node]

    def _compute(self, node: sympy.Expr) -> PolyElement:
        if node.is_Rational:
            return self._ring.ground_new(self._ring.domain.from_sympy(node))
        if node in self._canonical:
            return self.convert(self._canonical[node])
        if node.is_Add:
            return self._add(map(self.convert, node.args))
        if node.is_Mul:
            return self._multiply(map(self.convert, node.args))
        base, exponent = self.convert(node.base), int(node.exp)
        return base**exponent if exponent >= 0 else self._invert(base, node) ** -exponent

    def _add(self, terms: Iterable[PolyElement]) -> PolyElement:
        """Return the sum of many polynomials, without one for each partial sum."""
        total: dict[tuple[int, ...], Any] = {}
        for term in terms:
            for exponents, coefficient in term.items():
                total[exponents] = total[exponents] + coefficient if exponents in total else coefficient
        return self._make(total)

    def _make(self, terms: Mapping[tuple[int, ...], Any]) -> PolyElement:
        """Return the polynomial of terms whose coefficients are of the ring; those that are 0 are left out."""
        polynomial = self._ring.zero
        for exponents, coefficient in terms.items():
            if coefficient:
                polynomial[exponents] = coefficient
        return polynomial

    def _multiply(self, factors: Iterable[PolyElement]) -> PolyElement:
        """Return the product of polynomials, most of which have one term: these are multiplied with each other."""
        multiply = self._ring.monomial_mul
        single, number, product = self._ring.zero_monom, self._ring.domain.one, None
        for factor in factors:
            if len(factor) == 1:
                ((exponents, coefficient),) = factor.items()
                single, number = multiply(single, exponents), coefficient if number == 1 else number * coefficient
            else:
                product = factor if product is None else product * factor
        if product is None:
            return self._make({single: number})
        is_one = number == 1
        return self._make(
            {
                multiply(exponents, single): coefficient if is_one else coefficient * number
                for exponents, coefficient in product.items()
            }
        )

    def _invert(self, divisor: PolyElement, node: sympy.Expr) -> PolyElement:
        """Return ``1 / divisor``. The ring only ever adds exponents, so negative ones are safe in it."""
        if len(divisor) != 1:
            raise FormulaError("a formula divides by a sum or by zero", found=node)
        ((exponents, coefficient),) = divisor.terms()
        return self._ring.from_dict({tuple(-exponent for exponent in exponents): 1 / coefficient})


@lru_cache(maxsize=4096)  # printing a call is slow, and every ring asks for its place again
def _write(generator: sympy.Expr) -> str:
    return str(generator)
