"""Formulas as exact sparse polynomials, with the integer functions as further unknowns.

Two formulas are equal wherever their polynomials are, so this is also where equality is proved.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache

import sympy
from attrs import frozen

from modelmeter.algebra.expansion import Expansion
from modelmeter.algebra.packed import (
    Packed,
    add,
    find_used,
    invert,
    multiply,
    pack_number,
    pack_unknown,
    raise_to,
    unpack,
    unpack_at,
)
from modelmeter.dimensions.functions import IntegerFunction, Size
from modelmeter.dimensions.symbols import ANY_LAYER, Dimensions
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
        The polynomials of the formulas that were read, in their order. A quotient by a symbol is a negative exponent.
    arguments
        For every call among the generators, the polynomials of its arguments.
    """

    generators: tuple[sympy.Expr, ...]
    outputs: tuple[Expansion, ...]
    arguments: dict[sympy.Expr, tuple[Expansion, ...]]


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
    """From expressions to polynomials; what occurs twice is converted once."""

    def __init__(self, constants: Mapping[str, int], dimensions: Dimensions) -> None:
        self._constants = constants
        self._ranks = dimensions.ranks
        # In the order in which they are met, which is that of their places in packed polynomials.
        self._generators: list[sympy.Expr] = []
        self._known: dict[sympy.Expr, Packed] = {}

    def read(self, expressions: Sequence[sympy.Expr]) -> Polynomials:
        """Return the polynomials of ``expressions``."""
        outputs = [self._convert(expression) for expression in expressions]
        arguments: dict[sympy.Expr, list[Packed]] = {}
        used: set[int] = set()
        pending = outputs
        while pending:
            new = find_used(pending, len(self._generators)) - used
            used |= new
            calls = [call for place in new if isinstance(call := self._generators[place], IntegerFunction)]
            arguments |= {call: [self._convert(argument) for argument in call.args] for call in calls}
            pending = [argument for call in calls for argument in arguments[call]]
        order = sorted(used, key=lambda place: self._order(self._generators[place]))
        generators = tuple(self._generators[place] for place in order)
        make = self._expand_over(generators, order)
        return Polynomials(
            generators=generators,
            outputs=tuple(map(make, outputs)),
            arguments={call: tuple(map(make, arguments[call])) for call in generators if call in arguments},
        )

    def _expand_over(self, generators: tuple[sympy.Expr, ...], order: Sequence[int]) -> Callable[[Packed], Expansion]:
        """Return how packed polynomials become those over ``generators``, whose places are ``order``."""
        count = len(self._generators)
        known: dict[int, tuple[int, ...]] = {}

        def unpack_ordered(monomial: int) -> tuple[int, ...]:
            if monomial not in known:
                known[monomial] = unpack_at(monomial, count, order)
            return known[monomial]

        def make(polynomial: Packed) -> Expansion:
            terms, denominator, _ = polynomial
            return Expansion.of(generators, zip(map(unpack_ordered, terms), terms.values(), strict=True), denominator)

        return make

    def _convert(self, node: sympy.Expr) -> Packed:
        found = self._known.get(node)
        if found is None:
            found = self._known[node] = self._compute(node)
        return found

    def _compute(self, node: sympy.Expr) -> Packed:
        if node.is_Rational:
            return pack_number(int(node.p), int(node.q))
        if node.is_Symbol:
            number = self._constants.get(node.name)
            return self._add_generator(node) if number is None else pack_number(number, 1)
        if node.is_Add:
            return add(map(self._convert, node.args))
        if node.is_Mul:
            return multiply(map(self._convert, node.args))
        if node.is_Pow and node.exp.is_Integer:
            base, exponent = self._convert(node.base), int(node.exp)
            factor = base if exponent >= 0 else invert(base)
            if factor is None:
                raise FormulaError("a formula divides by a sum or by zero", found=node)
            return raise_to(factor, abs(exponent))
        if isinstance(node, IntegerFunction):
            canonical = self.bring_into_form(node) if self._constants else _bring_into_form(node)
            return self._add_generator(node) if canonical == node else self._convert(canonical)
        raise FormulaError("a formula is not a polynomial in sizes and integer functions", found=node)

    def bring_into_form(self, call: IntegerFunction) -> sympy.Expr:
        """Return a call with its arguments multiplied out."""
        return call.func(*map(self._multiply_out, call.args))

    def _add_generator(self, generator: sympy.Expr) -> Packed:
        self._generators.append(generator)
        return pack_unknown(len(self._generators) - 1)

    def _multiply_out(self, node: sympy.Expr) -> sympy.Expr:
        """Return an argument of a call as the sum of its terms."""
        terms, denominator, _ = self._convert(node)
        return sympy.Add(
            *(
                sympy.Mul(sympy.Rational(number, denominator), *self._list_factors(monomial))
                for monomial, number in terms.items()
            )
        )

    def _list_factors(self, monomial: int) -> Iterator[sympy.Expr]:
        for generator, exponent in zip(self._generators, unpack(monomial, len(self._generators)), strict=True):
            if exponent:
                yield generator**exponent

    def _order(self, generator: sympy.Expr) -> tuple[bool, int, str]:
        """Sort symbols as documented, then calls by their text."""
        text = _write(generator)
        return (not generator.is_Symbol, self._ranks.get(text, len(self._ranks)), text)


@lru_cache(maxsize=4096)  # formulas have few calls, and the same ones
def _bring_into_form(call: IntegerFunction) -> sympy.Expr:
    return _Reader({}, ANY_LAYER).bring_into_form(call)


@lru_cache(maxsize=4096)  # printing a call is slow, and every reading asks for its place again
def _write(generator: sympy.Expr) -> str:
    return str(generator)
