"""Polynomials of sizes that are not known, and of functions of them, which are unknowns too."""

from typing import NamedTuple, TypeAlias

Monomial: TypeAlias = tuple[int, ...]
"""The numbers of the unknowns that are multiplied, in ascending order."""

Range: TypeAlias = tuple[int, int]
"""The smallest and the largest value."""

BRACKETS = ("differs", "equals", "exceeds")
"""Functions whose value is 0 or 1."""


class Call(NamedTuple):
    """A function of formulas; integers and the routing of experts follow the formulas."""

    function: str
    operands: "tuple[Value, ...]"
    constants: tuple[int | str, ...] = ()


class Check(NamedTuple):
    """A rule between two sizes, by how it is ``broken``."""

    broken: str
    name: str
    size: "Value"
    limit_name: str
    limit: "Value"


class Space:
    """The unknowns of some formulas, the calls after the unknowns in their operands, and the rules between sizes."""

    def __init__(self) -> None:
        self.unknowns: list[str | Call] = []
        self.checks: list[Check] = []
        self._numbers: dict[str | Call, int] = {}

    def unknown(self, what: str | Call) -> "Polynomial":
        """Return a size or a call, the same one however often it is asked for."""
        number = self._numbers.setdefault(what, len(self.unknowns))
        if number == len(self.unknowns):
            self.unknowns.append(what)
        return Polynomial(self, {(number,): 1})

    def is_bracket(self, number: int) -> bool:
        """Tell whether an unknown is 0 or 1, so that every power of it is itself."""
        what = self.unknowns[number]
        return isinstance(what, Call) and what.function in BRACKETS

    @property
    def divides(self) -> bool:
        """Whether something is divided by a size that is not known."""
        calls = (what for what in self.unknowns if isinstance(what, Call))
        return any(call.function in ("ceil_div", "floor_div") and not call.constants for call in calls)

    def multiply(self, one: Monomial, other: Monomial) -> Monomial:
        """Return the product of two monomials."""
        product = sorted(one + other)
        return tuple(
            number
            for place, number in enumerate(product)
            if not (place and product[place - 1] == number and self.is_bracket(number))
        )


class Polynomial:
    """A sum of products of unknowns with integer coefficients, none of them 0."""

    __slots__ = ("space", "terms")

    def __init__(self, space: Space, terms: dict[Monomial, int]) -> None:
        self.space = space
        self.terms = terms

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Polynomial) and self.terms == other.terms

    def __hash__(self) -> int:
        return hash(frozenset(self.terms.items()))

    def __add__(self, other: "Value") -> "Value":
        terms = dict(self.terms)
        for monomial, coefficient in terms_of(other).items():
            terms[monomial] = terms.get(monomial, 0) + coefficient
        return collect(self.space, terms)

    def __mul__(self, other: "Value") -> "Value":
        terms: dict[Monomial, int] = {}
        for one, first in self.terms.items():
            for two, second in terms_of(other).items():
                product = self.space.multiply(one, two)
                terms[product] = terms.get(product, 0) + first * second
        return collect(self.space, terms)

    __radd__ = __add__
    __rmul__ = __mul__

    def __neg__(self) -> "Value":
        return -1 * self

    def __sub__(self, other: "Value") -> "Value":
        return self + -1 * other

    def __rsub__(self, other: int) -> "Value":
        return -1 * self + other


Value: TypeAlias = int | Polynomial


def terms_of(value: Value) -> dict[Monomial, int]:
    """Return the terms of a polynomial, or of an integer."""
    return value.terms if isinstance(value, Polynomial) else {(): value}


def collect(space: Space, terms: dict[Monomial, int]) -> Value:
    """Return the polynomial of ``terms``; an integer where no unknown is left."""
    kept = {monomial: coefficient for monomial, coefficient in terms.items() if coefficient}
    return Polynomial(space, kept) if any(kept) else kept.get((), 0)
