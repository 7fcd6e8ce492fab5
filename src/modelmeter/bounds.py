"""Upper bounds of formulas: what must fit into fixed-width integers when sizes are arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import sympy
from sympy.polys.rings import PolyElement

from modelmeter.errors import FormulaError
from modelmeter.functions import CeilDiv, Differs, Equals, Exceeds, FloorDiv, RoutedReads, Size, Triangular
from modelmeter.polynomials import Polynomials, read_polynomials


def bound_operands(formulas: Sequence[Size], constants: Mapping[str, int]) -> tuple[sympy.Expr, ...]:
    """Return formulas that grow with every size and bound what must not overflow.

    That are the numerators of ``formulas``, and the operands of the integer functions in them. Sums and
    products in between may wrap around: modulo 2^64 they still end at the right number.

    Raises
    ------
    FormulaError
        If something is divided by a size: the quotient does not grow with it.
    """
    read = read_polynomials(formulas, constants)
    bounding = _Bounding(read)
    numerators = [polynomial.clear_denoms()[1] for polynomial in read.outputs]
    operands = [argument for arguments in read.arguments.values() for argument in arguments]
    bounds = [bounding.bound(polynomial) for polynomial in (*numerators, *operands)]
    # n (n + 1) is divided by 2.
    bounds += [2 * bounding.bound_call(call) for call in read.arguments if isinstance(call, Triangular)]
    return tuple(dict.fromkeys(bounds))


class _Bounding:
    def __init__(self, read: Polynomials) -> None:
        self._read = read
        self._known: dict[sympy.Expr, sympy.Expr] = {}

    def bound(self, polynomial: PolyElement) -> sympy.Expr:
        """Return the sum of the positive terms, each at its largest."""
        return sympy.Add(
            *(
                sympy.Mul(int(coefficient), *(self._bound_power(*power) for power in enumerate(exponents) if power[1]))
                for exponents, coefficient in polynomial.terms()
                if coefficient > 0
            )
        )

    def bound_call(self, call: sympy.Expr) -> sympy.Expr:
        """Return the largest value of a call."""
        if isinstance(call, Differs | Equals | Exceeds):
            return sympy.Integer(1)
        if isinstance(call, Triangular | RoutedReads):
            return call.func(*(self.bound(argument) for argument in self._read.arguments[call]))
        if isinstance(call, FloorDiv | CeilDiv) and call.args[1].is_Integer:
            return call.func(self.bound(self._read.arguments[call][0]), call.args[1])
        raise FormulaError("this call has no bound that grows with the sizes", found=call)

    def _bound_power(self, place: int, exponent: int) -> sympy.Expr:
        generator = self._read.generators[place]
        if generator not in self._known:
            self._known[generator] = generator if generator.is_Symbol else self.bound_call(generator)
        return self._known[generator] ** exponent
