"""Exact facts about polynomials with integer coefficients: their quotients, remainders and signs.

Every fact is a theorem about integers. Where none decides, the answer is that it is not known.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import sympy
from attrs import field, frozen
from sympy.core.relational import Relational

from modelmeter.dimensions import functions
from modelmeter.dimensions.functions import IntegerFunction, Size


class EvenReads(IntegerFunction):
    """Weight elements read from experts that share the tokens evenly: ``min(E, k N) W``."""

    arity = 4

    @staticmethod
    def compute(*arguments: int) -> int:
        """Return the elements for E experts, k a token, N tokens and W weights an expert."""
        return functions.bounded_routed_reads(*arguments)


@frozen(kw_only=True)
class Domain:
    """The integers that symbols stand for: from a least one on, without some points.

    Parameters
    ----------
    least
        The least value of each symbol; for others, 1 or 0 by their assumptions.
    excluded
        Values that a symbol does not have.
    assumed
        Relations that hold.
    """

    least: Mapping[sympy.Symbol, int] = field(factory=dict)
    excluded: Mapping[sympy.Symbol, frozenset[int]] = field(factory=dict)
    assumed: tuple[Relational, ...] = ()

    def least_of(self, symbol: sympy.Symbol) -> int | None:
        """Return the least value of ``symbol``, if it has one."""
        if symbol in self.least:
            return self.least[symbol]
        if not symbol.is_integer or not symbol.is_nonnegative:
            return None
        return 1 if symbol.is_positive else 0

    def has(self, symbol: sympy.Symbol, value: int) -> bool:
        """Tell whether ``symbol`` may be ``value``."""
        least = self.least_of(symbol)
        if any(relation.xreplace({symbol: sympy.Integer(value)}) == sympy.false for relation in self.assumed):
            return False
        return (least is None or value >= least) and value not in self.excluded.get(symbol, ())


def split_quotient(dividend: sympy.Expr, divisor: sympy.Expr) -> tuple[sympy.Expr, sympy.Expr] | None:
    """Return integer polynomials with ``dividend = quotient divisor + remainder``, or None for other terms.

    By a number, every coefficient is divided on its own, and those of the remainder are in 0 ... divisor - 1.
    """
    symbols = sorted(dividend.free_symbols | divisor.free_symbols, key=str)
    if not symbols or not all(symbol.is_integer for symbol in symbols):
        return None
    above, below = _read(dividend, symbols), _read(divisor, symbols)
    if above is None or below is None or below.is_zero:
        return None
    if below.is_ground:
        number = int(below.LC())
        if number <= 0:
            return None
        terms = {exponents: int(coefficient) // number for exponents, coefficient in above.terms()}
        quotient = sympy.Poly.from_dict(terms, *symbols, domain=sympy.ZZ)
        remainder = above - quotient * number
    else:
        quotient, remainder = sympy.div(above.set_domain(sympy.QQ), below.set_domain(sympy.QQ))
        if not all(coefficient.is_integer for coefficient in quotient.coeffs()):
            return None
    return quotient.as_expr(), remainder.as_expr()


def find_floor(dividend: sympy.Expr, divisor: sympy.Expr, domain: Domain) -> sympy.Expr | None:
    """Return ``floor(dividend / divisor)`` for a positive divisor, where it is a polynomial on the domain."""
    split = split_quotient(dividend, divisor)
    if split is None:
        return None
    quotient, remainder = split
    # The remainder of a division by a symbol may be below zero, by less than the divisor.
    for shift in (0, 1):
        rest = remainder + shift * divisor
        if is_at_least(rest, 0, domain) and is_at_least(divisor - rest, 1, domain):
            return sympy.expand(quotient - shift)
    return None


def is_at_least(expression: sympy.Expr, bound: int, domain: Domain) -> bool:
    """Tell whether ``expression >= bound`` follows from the signs of its coefficients on the domain."""
    symbols = sorted(expression.free_symbols, key=str)
    least = {symbol: domain.least_of(symbol) for symbol in symbols}
    if None in least.values():
        return False
    polynomial = _read(expression.xreplace({symbol: symbol + least[symbol] for symbol in symbols}) - bound, symbols)
    return polynomial is not None and all(coefficient >= 0 for coefficient in polynomial.coeffs())


def find_zeros(expression: sympy.Expr, domain: Domain) -> frozenset[int] | None:
    """Return the points of the domain where ``expression`` is 0, or None where that is not known.

    It is known where the sign is, and for polynomials in one symbol; those that are 0 everywhere are not known.
    """
    if is_at_least(expression, 1, domain) or is_at_least(-expression, 1, domain):
        return frozenset()
    unequal = [relation.lhs - relation.rhs for relation in domain.assumed if isinstance(relation, sympy.Ne)]
    if any(sympy.expand(expression - sign * known) == 0 for known in unequal for sign in (1, -1)):
        return frozenset()
    symbols = sorted(expression.free_symbols, key=str)
    polynomial = _read(expression, symbols)
    if len(symbols) != 1 or polynomial is None:
        return None
    (symbol,) = symbols
    return frozenset(
        int(root) for root in polynomial.ground_roots() if root.is_integer and domain.has(symbol, int(root))
    )


def resolve(expression: Size, domain: Domain) -> sympy.Expr:
    """Return ``expression`` multiplied out, without the integer functions that the facts decide on the domain."""
    known: dict[sympy.Expr, sympy.Expr] = {}

    def visit(node: sympy.Expr) -> sympy.Expr:
        if node.is_Atom or not node.has(IntegerFunction):
            return node
        if node not in known:
            rebuilt = node.func(*(visit(argument) for argument in node.args))
            decide = _FACTS.get(type(rebuilt))
            decided = None if decide is None else decide([sympy.expand(size) for size in rebuilt.args], domain)
            known[node] = rebuilt if decided is None else decided
        return known[node]

    return sympy.expand(visit(sympy.sympify(expression)))


Sizes = Sequence[sympy.Expr]


def _floor_of_a_quotient(sizes: Sizes, domain: Domain) -> sympy.Expr | None:
    """``floor((n a + b) / n) = a`` for ``0 <= b < n``; else ``floor((a + n - 1) / n) = ceil(a / n)`` for a number n."""
    dividend, divisor = sizes
    floor = find_floor(dividend, divisor, domain)
    constant, rest = dividend.as_coeff_Add()
    if floor is None and divisor.is_Integer and constant == divisor - 1:
        return functions.CeilDiv(rest, divisor)
    return floor


def _ceiling_is_a_floor(sizes: Sizes, domain: Domain) -> sympy.Expr | None:
    """``ceil(a / b) = -floor(-a / b)``."""
    floor = find_floor(sympy.expand(-sizes[0]), sizes[1], domain)
    return None if floor is None else sympy.expand(-floor)


def _difference_without_zeros(sizes: Sizes, domain: Domain) -> sympy.Expr | None:
    """``[a != b]`` is 1 where ``a - b`` has no zero on the domain, and 0 where it vanishes."""
    difference = sympy.expand(sizes[0] - sizes[1])
    if difference == 0:
        return sympy.Integer(0)
    return sympy.Integer(1) if find_zeros(difference, domain) == frozenset() else None


def _equality_is_no_difference(sizes: Sizes, domain: Domain) -> sympy.Expr | None:
    """``[a = b] = 1 - [a != b]``."""
    differs = _difference_without_zeros(sizes, domain)
    return None if differs is None else 1 - differs


def _excess_by_sign(sizes: Sizes, domain: Domain) -> sympy.Expr | None:
    """``[a > b]`` is 1 where ``a - b >= 1``, and 0 where ``b - a >= 0``."""
    if is_at_least(sizes[0] - sizes[1], 1, domain):
        return sympy.Integer(1)
    return sympy.Integer(0) if is_at_least(sizes[1] - sizes[0], 0, domain) else None


def _sum_of_the_first(sizes: Sizes, domain: Domain) -> sympy.Expr:
    """``1 + ... + n = n (n + 1) / 2``."""
    (count,) = sizes
    return count * (count + 1) / 2


def _reads_of_all_or_of_the_chosen(sizes: Sizes, domain: Domain) -> sympy.Expr | None:
    """``min(E, k N) W`` is ``E W`` where ``k N >= E``, and ``k N W`` where ``E >= k N``; without weights it is 0."""
    experts, per_token, tokens, weights = sizes
    spare = experts - per_token * tokens
    if weights == 0:
        return sympy.Integer(0)
    if is_at_least(-spare, 0, domain):
        return experts * weights
    return per_token * tokens * weights if is_at_least(spare, 0, domain) else None


Fact = Callable[[Sizes, Domain], sympy.Expr | None]

_FACTS: dict[type[IntegerFunction], Fact] = {
    functions.FloorDiv: _floor_of_a_quotient,
    functions.CeilDiv: _ceiling_is_a_floor,
    functions.Differs: _difference_without_zeros,
    functions.Equals: _equality_is_no_difference,
    functions.Exceeds: _excess_by_sign,
    functions.Triangular: _sum_of_the_first,
    EvenReads: _reads_of_all_or_of_the_chosen,
}
"""The fact for each integer function; it returns None where it does not decide."""


def _read(expression: sympy.Expr, symbols: Sequence[sympy.Symbol]) -> sympy.Poly | None:
    """Return a polynomial with integer coefficients, or None for anything else."""
    try:
        return sympy.Poly(expression, *symbols or [sympy.Dummy()], domain=sympy.ZZ)
    except (sympy.PolynomialError, sympy.CoercionFailed):
        return None
