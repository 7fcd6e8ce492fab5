"""Integer polynomials between reading the formulas and writing the program: the form most rules work on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import compress, count, repeat
from typing import TypeAlias

from attrs import frozen

from modelmeter.algebra.expansion import Expansion, Exponents
from modelmeter.algebra.polynomials import Polynomials
from modelmeter.dimensions.functions import IntegerFunction
from modelmeter.support.errors import FormulaError

Monomial: TypeAlias = tuple[int, ...]
"""A product of unknowns: their numbers in ascending order, repeated for powers."""

Polynomial: TypeAlias = dict[Monomial, int]
"""The coefficient of every monomial."""


@frozen
class Call:
    """An integer function of polynomials, as an unknown of other polynomials."""

    function: str
    arguments: tuple[Polynomial, ...]


@frozen(kw_only=True)
class Draft:
    """Formulas over numbered unknowns.

    Parameters
    ----------
    unknowns
        What each number in a monomial stands for: an input by its name, a call, or a polynomial.
    outputs
        The numerator of each formula, by name, and the integer that divides it.
    """

    unknowns: tuple[str | Call | Polynomial, ...]
    outputs: Mapping[str, tuple[Polynomial, int]]

    def polynomials(self) -> Iterator[Polynomial]:
        """Yield the numerators, the arguments of the calls, and the polynomials among the unknowns."""
        for numerator, _ in self.outputs.values():
            yield numerator
        for unknown in self.unknowns:
            if isinstance(unknown, Call):
                yield from unknown.arguments
            elif isinstance(unknown, dict):
                yield unknown

    def replace_polynomials(self, polynomials: Iterable[Polynomial], *added: Polynomial) -> Draft:
        """Return the draft with ``polynomials`` in the order of :meth:`polynomials`, and ``added`` as unknowns."""
        following = iter(polynomials)
        outputs = {name: (next(following), denominator) for name, (_, denominator) in self.outputs.items()}
        unknowns: list[str | Call | Polynomial] = []
        for unknown in self.unknowns:
            if isinstance(unknown, Call):
                unknowns.append(Call(unknown.function, tuple(next(following) for _ in unknown.arguments)))
            else:
                unknowns.append(next(following) if isinstance(unknown, dict) else unknown)
        return Draft(unknowns=(*unknowns, *added), outputs=outputs)

    @property
    def operations(self) -> int:
        """Operations when every polynomial is computed term by term."""
        calls = sum(isinstance(unknown, Call) for unknown in self.unknowns)
        divisions = sum(denominator != 1 for _, denominator in self.outputs.values())
        return calls + divisions + sum(_count_operations(polynomial) for polynomial in self.polynomials())


def draft_polynomials(names: Iterable[str], polynomials: Polynomials) -> Draft:
    """Give the outputs of ``polynomials`` names, and clear their denominators.

    Raises
    ------
    FormulaError
        If a formula divides by a symbol, or the argument of an integer function is not whole.
    """
    unknowns: list[str | Call] = []
    monomials: dict[tuple[int, ...], Monomial] = {}  # outputs have most of them in common
    for generator in polynomials.generators:
        if isinstance(generator, IntegerFunction):
            arguments = [_clear_denominator(argument, monomials) for argument in polynomials.arguments[generator]]
            if any(denominator != 1 for _, denominator in arguments):
                raise FormulaError("the argument of an integer function is not whole", found=generator)
            unknowns.append(Call(type(generator).__name__, tuple(argument for argument, _ in arguments)))
        else:
            unknowns.append(str(generator))
    outputs = {
        name: _clear_denominator(polynomial, monomials)
        for name, polynomial in zip(names, polynomials.outputs, strict=True)
    }
    return Draft(unknowns=tuple(unknowns), outputs=outputs)


def _clear_denominator(polynomial: Expansion, monomials: dict[tuple[int, ...], Monomial]) -> tuple[Polynomial, int]:
    """Return a multiple of ``polynomial`` with integer coefficients, and the number to divide it by.

    ``monomials`` are those of exponents that were met before; new ones are added.
    """
    for exponents in polynomial.terms:
        if exponents not in monomials:
            if min(exponents, default=0) < 0:
                raise FormulaError("a quotient of sizes is not known to be whole", found=polynomial.as_expr())
            monomials[exponents] = tuple(_list_factors(exponents))
    return {monomials[exponents]: number for exponents, number in polynomial.terms.items()}, polynomial.denominator


def _list_factors(exponents: Exponents) -> Iterator[int]:
    for place in compress(count(), exponents):  # most exponents are 0
        yield from repeat(place, exponents[place])


def _count_operations(polynomial: Polynomial) -> int:
    """Return the additions and multiplications of the polynomial, term by term."""
    products = sum(
        max(0, len(monomial) - 1 + (bool(monomial) and coefficient != 1))
        for monomial, coefficient in polynomial.items()
    )
    return products + max(0, len(polynomial) - 1)
