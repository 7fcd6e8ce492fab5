"""Integer polynomials between reading the formulas and writing the program: the form most rules work on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TypeAlias

import sympy
from attrs import frozen
from sympy.polys.rings import PolyElement

from modelmeter.errors import FormulaError
from modelmeter.functions import FloorDiv, IntegerFunction
from modelmeter.polynomials import Polynomials

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


def draft_polynomials(names: list[str], polynomials: Polynomials, quotients: Mapping[str, str]) -> Draft:
    """Clear the denominators of ``polynomials``.

    A number that divides goes to the end of its formula, as one division. A symbol that divides,
    as in ``hidden_size / num_attention_heads``, becomes a call of ``FloorDiv`` that leaves no rest.

    Parameters
    ----------
    names
        A name for each output.
    quotients
        The symbols that may divide, each with the symbol that is always its multiple.

    Raises
    ------
    FormulaError
        If a symbol divides what is not known to be its multiple, or an argument is not whole.
    """
    return _Drafting(polynomials, quotients).draft(names)


class _Drafting:
    def __init__(self, polynomials: Polynomials, quotients: Mapping[str, str]) -> None:
        self._polynomials = polynomials
        self._generators = polynomials.generators
        self._numbers = {str(generator): number for number, generator in enumerate(self._generators)}
        self._quotients = quotients
        # Divisor -> the number of its quotient, which comes after the generators.
        self._used: dict[int, int] = {}

    def draft(self, names: list[str]) -> Draft:
        outputs = {}
        for name, polynomial in zip(names, self._polynomials.outputs, strict=True):
            denominator, whole = polynomial.clear_denoms()
            outputs[name] = (self._rewrite(whole), int(denominator))
        unknowns = [self._unknown(generator) for generator in self._generators]
        quotients = [
            Call(FloorDiv.__name__, ({(self._dividend(divisor),): 1}, {(divisor,): 1})) for divisor in self._used
        ]
        return Draft(unknowns=(*unknowns, *quotients), outputs=outputs)

    def _unknown(self, generator: sympy.Expr) -> str | Call:
        if not isinstance(generator, IntegerFunction):
            return str(generator)
        arguments = self._polynomials.arguments[generator]
        for argument in arguments:
            if any(coefficient.denominator != 1 for coefficient in argument.coeffs()):
                raise FormulaError("the argument of an integer function is not whole", found=generator)
        return Call(type(generator).__name__, tuple(self._rewrite(argument) for argument in arguments))

    def _rewrite(self, polynomial: PolyElement) -> Polynomial:
        """Return the polynomial over numbered unknowns, negative exponents replaced by quotients."""
        rewritten: Polynomial = {}
        for dense, coefficient in polynomial.terms():
            exponents = list(dense)
            quotients: list[int] = []
            for divisor, exponent in enumerate(dense):
                if exponent < 0:
                    dividend = self._dividend(divisor)
                    quotients += [self._quotient(divisor)] * -exponent
                    exponents[dividend] += exponent
                    exponents[divisor] = 0
            if min(exponents, default=0) < 0:
                raise FormulaError("a quotient is not known to be whole", found=polynomial.as_expr())
            powers = [number for number, exponent in enumerate(exponents) for _ in range(exponent)]
            rewritten[(*powers, *sorted(quotients))] = int(coefficient)
        return rewritten

    def _dividend(self, divisor: int) -> int:
        name = str(self._generators[divisor])
        if self._quotients.get(name) not in self._numbers:
            raise FormulaError(
                "a formula divides by a size that is not known to divide anything", found=name,
                remedy="name its multiple in quotients",
            )  # fmt: skip
        return self._numbers[self._quotients[name]]

    def _quotient(self, divisor: int) -> int:
        return self._used.setdefault(divisor, len(self._generators) + len(self._used))


def _count_operations(polynomial: Polynomial) -> int:
    """Return the additions and multiplications of the polynomial, term by term."""
    products = sum(
        max(0, len(monomial) - 1 + (bool(monomial) and coefficient != 1))
        for monomial, coefficient in polynomial.items()
    )
    return products + max(0, len(polynomial) - 1)
