"""Integer-valued sympy functions that stay whole: rounding divisions, brackets, routed experts.

Sympy's own ``floor`` and ``ceiling`` rewrite their arguments and print as floating-point code. These
functions only evaluate on integers, so every formula keeps one readable, exactly printable atom.
"""

from __future__ import annotations

from typing import Any, ClassVar, TypeAlias

import sympy

from modelmeter.support.errors import FormulaError

Size: TypeAlias = int | sympy.Expr
"""A size is a formula or a number: the same layer code gives either."""


class IntegerFunction(sympy.Function):  # type: ignore[misc]  # sympy ships no types for Function
    """Base class: a function from integers to a non-negative integer, opaque to the algebra.

    Subclasses give ``compute``. What a function is in a language, of programs or of people, stands in the printer of
    that language, in one table.
    """

    is_integer = True
    is_nonnegative = True
    is_commutative = True
    arity: ClassVar[int] = 2

    @classmethod
    def eval(cls, *arguments: sympy.Expr) -> sympy.Expr | None:
        """Evaluate on integers; keep everything else as it is."""
        if all(argument.is_Integer for argument in arguments):
            return sympy.Integer(cls.compute(*(int(argument) for argument in arguments)))
        return None

    @staticmethod
    def compute(*arguments: int) -> int:
        """Return the value on Python integers, exactly."""
        raise NotImplementedError


class _Rounded(IntegerFunction):
    """A quotient rounded to an integer, of integers ``a >= 0`` and ``b > 0``."""

    @classmethod
    def eval(cls, a: sympy.Expr, b: sympy.Expr) -> sympy.Expr | None:
        if b == 1:
            return a
        if a == b:
            return sympy.Integer(1)
        return super().eval(a, b)


class CeilDiv(_Rounded):
    """``ceil(a / b)`` for integers ``a >= 0`` and ``b > 0``."""

    @classmethod
    def eval(cls, a: sympy.Expr, b: sympy.Expr) -> sympy.Expr | None:
        if isinstance(a, CeilDiv) and b.is_Integer and a.args[1].is_Integer:
            # ceil(ceil(x/m)/n) = ceil(x/(m n)) for positive integers m and n.
            return CeilDiv(a.args[0], a.args[1] * b)
        return super().eval(a, b)

    @staticmethod
    def compute(*arguments: int) -> int:
        a, b = arguments
        return -(-a // _positive(b))


class FloorDiv(_Rounded):
    """``floor(a / b)`` for integers ``a >= 0`` and ``b > 0``."""

    @staticmethod
    def compute(*arguments: int) -> int:
        a, b = arguments
        return a // _positive(b)


class _Bracket(IntegerFunction):
    """An Iverson bracket of two sizes: 1 where a comparison holds, else 0."""

    holds_if_less: ClassVar[bool] = False
    holds_if_equal: ClassVar[bool] = False
    holds_if_more: ClassVar[bool] = False

    @classmethod
    def eval(cls, a: sympy.Expr, b: sympy.Expr) -> sympy.Expr | None:
        """Evaluate on numbers, and where the comparison has the same answer for all sizes."""
        if a == b:
            return sympy.Integer(cls.holds_if_equal)
        if a.is_Rational and b.is_Rational:
            return sympy.Integer(cls.holds_if_more if a > b else cls.holds_if_less)
        if is_always_more(a, b):
            return sympy.Integer(cls.holds_if_more)
        if is_always_more(b, a):
            return sympy.Integer(cls.holds_if_less)
        return None

    @classmethod
    def compute(cls, *arguments: int) -> int:
        a, b = arguments
        if a == b:
            return int(cls.holds_if_equal)
        return int(cls.holds_if_more if a > b else cls.holds_if_less)


class Differs(_Bracket):
    """``[a != b]``: 1 where a resize, a padding or a copy is needed, else 0."""

    holds_if_less = holds_if_more = True


class Equals(_Bracket):
    """``[a = b]``. Its own function, so that no formula needs ``1 - [a != b]``:
    without negative terms every formula grows with its dimensions.
    """

    holds_if_equal = True


class Exceeds(_Bracket):
    """``[a > b]``: 1 where tiles are used, else 0."""

    holds_if_more = True


def is_always_more(a: sympy.Expr, b: sympy.Expr) -> bool:
    """Tell whether ``a > b`` is proved for all sizes: positive sizes are written as 1 and a rest.

    Only polynomials of sizes, and of functions that are not negative, are compared; of others nothing is said.
    """
    rest = a - b
    functions = rest.atoms(IntegerFunction)
    smallest = {size: sympy.S.One if size.is_positive else sympy.S.Zero for size in rest.free_symbols}
    large = dict.fromkeys((*smallest, *functions), sympy.Integer(10**6))
    for point in ({**smallest, **dict.fromkeys(functions, sympy.S.Zero)}, large):
        value = rest.xreplace(point)
        if value.is_Rational and value <= 0:
            return False  # so it is of most, and multiplying out is slow
    difference = sympy.expand(rest.xreplace({found: sympy.Dummy(nonnegative=True) for found in functions}))
    sizes = difference.free_symbols
    if difference.is_Rational:
        return bool(difference > 0)
    if not sizes or not difference.is_polynomial(*sizes) or not all(size.is_nonnegative for size in sizes):
        return False
    shifted = sympy.Poly(difference.xreplace({size: size + 1 for size in sizes if size.is_positive}), *sizes)
    constant = shifted.nth(*(0 for _ in sizes))
    return bool(constant > 0 and all(coefficient >= 0 for coefficient in shifted.coeffs()))


class Triangular(IntegerFunction):
    """``1 + 2 + ... + n = n (n + 1) / 2``: the closed form of a decode loop."""

    arity = 1

    @staticmethod
    def compute(*arguments: int) -> int:
        (n,) = arguments
        return n * (n + 1) // 2


class RoutedReads(IntegerFunction):
    r"""Weight elements that ``N`` tokens read from ``E`` experts of ``W`` parameters, ``k`` experts a token.

    Under uniform routing the expected number of distinct experts is :math:`E (1 - (1 - k/E)^N)`. The
    result is that number times ``W``, rounded to the nearest whole parameter, so it is an exact
    integer for every ``N``.
    """

    arity = 4

    @classmethod
    def eval(cls, *arguments: sympy.Expr) -> sympy.Expr | None:
        if arguments[-1] == 0:  # an operator without weights reads none, whoever is chosen
            return sympy.Integer(0)
        return super().eval(*arguments)

    @staticmethod
    def compute(*arguments: int) -> int:
        experts, per_token, tokens, weights = arguments
        return expected_routed_reads(experts, per_token, tokens, weights)


INTEGER_FUNCTIONS: tuple[type[IntegerFunction], ...] = (
    CeilDiv,
    FloorDiv,
    Differs,
    Equals,
    Exceeds,
    Triangular,
    RoutedReads,
)

BRACKETS: tuple[type[IntegerFunction], ...] = (Differs, Equals, Exceeds)
"""Iverson brackets: 1 where a comparison holds, else 0."""


def expected_routed_reads(experts: int, per_token: int, tokens: int, weights: int) -> int:
    """Return ``round(E (1 - (1 - k/E)^N) W)`` exactly.

    Parameters
    ----------
    experts, per_token, tokens, weights
        ``E``, ``k``, ``N`` and the parameters of one expert ``W``; ``0 <= k <= E``.
    """
    if not 0 <= per_token <= experts:
        raise FormulaError("a token cannot choose more experts than there are", expected=experts, found=per_token)
    everything = experts * weights
    # (1 - k/E)^N <= exp(-k N / E). Once that is below 1 / (2 E W), rounding gives E W: powers of
    # thousands of bits are never built. bit_length >= log2 > ln, so the test errs to the safe side.
    if per_token * tokens > experts * (2 * everything).bit_length():
        return everything
    whole = experts**tokens
    missed = (experts - per_token) ** tokens
    rounded: int = (2 * everything * (whole - missed) + whole) // (2 * whole)
    return rounded


def enough_tokens(experts: int, per_token: int, fixed: int, growth: int = 0) -> int:
    """Return a number of tokens N more than which read every expert for sure, each of ``W = fixed + growth N``.

    With ``u = k N / E``, the share ``(1 - k/E)^N`` that is missed is at most ``exp(-u)``, and W at most ``max(1, u)``
    times that of E tokens, ``W'``. What is missed rounds to nothing once ``u`` is at least the bits of ``2 E W'``;
    where W grows, once ``u - ln u`` is at least ``ln 2`` times them, as it is at one more.
    """
    bits = (2 * experts * (fixed + growth * experts)).bit_length()
    return experts * (bits + (growth > 0)) // per_token


def bounded_routed_reads(experts: int, per_token: int, tokens: int, weights: int) -> int:
    """Return ``min(E, k N) W``: every assignment a different expert, as the even split routes."""
    return min(experts, per_token * tokens) * weights


def ceil_div(a: Size, b: Size) -> Size:
    """Return ``ceil(a / b)`` as an int for ints, else as a formula."""
    return _call(CeilDiv, a, b)


def floor_div(a: Size, b: Size) -> Size:
    """Return ``floor(a / b)`` as an int for ints, else as a formula."""
    return _call(FloorDiv, a, b)


def divide(a: Size, b: Size) -> Size:
    """Return the exact quotient ``a / b``: an int where it is one, else a rational or a formula."""
    if isinstance(a, int) and isinstance(b, int) and a % _positive(b) == 0:
        return a // b
    return sympy.sympify(a) / sympy.sympify(b)


def differs(a: Size, b: Size) -> Size:
    """Return ``[a != b]``."""
    return _call(Differs, a, b)


def equals(a: Size, b: Size) -> Size:
    """Return ``[a = b]``."""
    return _call(Equals, a, b)


def exceeds(a: Size, b: Size) -> Size:
    """Return ``[a > b]``."""
    return _call(Exceeds, a, b)


def exists(count: Size) -> Size:
    """Return 1 where ``count`` is more than 0, else 0."""
    return 1 if sympy.sympify(count).is_positive else exceeds(count, 0)


def are_several(*counts: Size) -> Size:
    """Return 1 where any of several positive counts is more than 1, else 0: then their sum is not their number."""
    return differs(sum(counts), len(counts))


def routed_reads(experts: Size, per_token: Size, tokens: Size, weights: Size) -> Size:
    """Return the expected weight elements read from routed experts; see :class:`RoutedReads`."""
    return _call(RoutedReads, experts, per_token, tokens, weights)


def _call(function: type[IntegerFunction], *arguments: Size) -> Size:
    if all(isinstance(argument, int) for argument in arguments):
        return function.compute(*(int(argument) for argument in arguments))
    result: Any = function(*(sympy.sympify(argument) for argument in arguments))
    expression: sympy.Expr = result
    return expression


def _positive(divisor: int) -> int:
    if divisor <= 0:
        raise FormulaError("a divisor must be positive", expected="a positive integer", found=divisor)
    return divisor
