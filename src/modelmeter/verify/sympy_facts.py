"""Teaches torch's symbolic sizes two facts about quotients, so that windows of a grid come out as polynomials.

torch keeps ``(28 k + 14) // 14`` and ``(-28 k - 5) % 14`` as they are, and every size that is made of them
grows into a nest of divisions. Both are polynomials: 2 k + 1 and 9.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import sympy
from sympy.core.cache import clear_cache
from torch.utils._sympy.functions import FloorDiv, Mod, PythonMod

from modelmeter.verify.integer_facts import Domain, find_floor

Evaluate = Callable[[sympy.Expr, sympy.Expr], sympy.Expr | None]

_BY_ASSUMPTIONS = Domain()
"""torch's size symbols are positive integers, and sympy knows."""


def simplify_floor(dividend: sympy.Expr, divisor: sympy.Expr) -> sympy.Expr | None:
    """Return ``dividend // divisor`` where it is a polynomial: ``(n a + b) // n = a`` for ``0 <= b < n``."""
    return find_floor(dividend, divisor, _BY_ASSUMPTIONS)


def simplify_remainder(dividend: sympy.Expr, divisor: sympy.Expr) -> sympy.Expr | None:
    """Return ``dividend % divisor`` where it is a polynomial: ``(n a + b) % n = b`` for ``0 <= b < n``."""
    floor = simplify_floor(dividend, divisor)
    return None if floor is None else sympy.expand(dividend - divisor * floor)


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
