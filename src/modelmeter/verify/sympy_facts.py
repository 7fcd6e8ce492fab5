"""Teaches torch's symbolic sizes two facts about quotients, so that windows of a grid come out as polynomials.

torch keeps ``(28 k + 14) // 14`` and ``(-28 k - 5) % 14`` as they are, and every size that is made of them
grows into a nest of divisions. Both are polynomials: 2 k + 1 and 9.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import sympy
from sympy.core.cache import clear_cache
from torch.utils._sympy.functions import FloorDiv, Max, Mod, PythonMod

from modelmeter.dimensions.functions import CeilDiv
from modelmeter.verify.integer_facts import Domain, find_floor

Evaluate = Callable[[sympy.Expr, sympy.Expr], sympy.Expr | None]

_BY_ASSUMPTIONS = Domain()
"""torch's size symbols are positive integers, and sympy knows."""


def simplify_floor(dividend: sympy.Expr, divisor: sympy.Expr) -> sympy.Expr | None:
    """Return ``dividend // divisor`` where it is a polynomial: ``(n a + b) // n = a`` for ``0 <= b < n``."""
    return find_floor(dividend, divisor, _BY_ASSUMPTIONS)


def simplify_remainder(dividend: sympy.Expr, divisor: sympy.Expr) -> sympy.Expr | None:
    """Return ``dividend % divisor`` where it is a polynomial: ``(n a + b) % n = b`` for ``0 <= b < n``.

    What pads a size to whole chunks is one in their number: ``(n - a % n) % n = n ceil(a / n) - a``.
    """
    padded = _find_padded(dividend, divisor)
    if padded is not None:
        return divisor * FloorDiv(padded + divisor - 1, divisor) - padded
    floor = simplify_floor(dividend, divisor)
    return None if floor is None else sympy.expand(dividend - divisor * floor)


def _find_padded(dividend: sympy.Expr, divisor: sympy.Expr) -> sympy.Expr | None:
    """Return ``a`` of a dividend ``n - a % n`` over a divisor ``n`` that is a number."""
    rest = divisor - dividend
    if not divisor.is_Integer or not isinstance(rest, Mod | PythonMod) or rest.args[1] != divisor:
        return None
    padded = rest.args[0]
    return padded if padded.is_nonnegative else None


def name_chunks(expression: sympy.Expr) -> sympy.Expr:
    """Return an expression of torch with our ``ceil(a / n)`` for its ``(a + n - 1) // n``, where ``n`` is a number."""

    def name(dividend: sympy.Expr, divisor: sympy.Expr) -> sympy.Expr:
        chunked = dividend - divisor + 1
        if divisor.is_Integer and chunked.is_nonnegative:
            return CeilDiv(chunked, divisor)
        return FloorDiv(dividend, divisor)

    return expression.replace(FloorDiv, name).replace(Max, _find_larger)


def _find_larger(*sizes: sympy.Expr) -> sympy.Expr:
    """Return the larger of 1 and whole chunks, of which there is one at least; torch keeps it so for strides."""
    others = [size for size in sizes if size != 1]
    if len(others) == 1 and others[0].as_coeff_Mul()[0] >= 1 and isinstance(others[0].as_coeff_Mul()[1], CeilDiv):
        return others[0]
    larger: sympy.Expr = Max(*sizes)  # type: ignore[no-untyped-call]  # torch leaves it untyped
    return larger


@contextmanager
def exact_quotients() -> Iterator[None]:
    """Let torch's ``FloorDiv``, ``Mod`` and ``PythonMod`` use these facts while the context is open."""
    facts: dict[type[sympy.Function], Evaluate] = {
        FloorDiv: simplify_floor,
        Mod: simplify_remainder,
        PythonMod: simplify_remainder,
    }
    # The attributes as they are, not bound to the class, so that they can be put back.
    originals = {function: function.__dict__["eval"] for function in facts}
    clear_cache()  # sympy keeps what functions evaluated to
    try:
        for function, simplify in facts.items():
            function.eval = classmethod(_try_first(simplify, originals[function].__func__))
        yield
    finally:
        for function, original in originals.items():
            function.eval = original
        clear_cache()


def _try_first(simplify: Evaluate, original: Callable[..., sympy.Expr | None]) -> Callable[..., sympy.Expr | None]:
    def evaluate(function: type[sympy.Function], dividend: sympy.Expr, divisor: sympy.Expr) -> sympy.Expr | None:
        simple = simplify(dividend, divisor)
        return original(function, dividend, divisor) if simple is None else simple

    return evaluate
