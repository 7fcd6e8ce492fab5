"""Quantities: what can be asked about. A formula with a unit, a name, and what its sizes may be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any, TypeAlias, Union

import sympy
from attrs import evolve, field, frozen

from modelmeter.scaling.context import NO_CONTEXT, Context
from modelmeter.scaling.substitution import names_in
from modelmeter.scaling.units import divide_units, multiply_units
from modelmeter.support.errors import FormulaError
from modelmeter.support.frozen_mapping import freeze_mapping

Operand: TypeAlias = Union["Quantity", int, Fraction, sympy.Expr]


def _to_formula(value: Any) -> sympy.Expr:
    return value if isinstance(value, sympy.Expr) else sympy.Rational(value.numerator, value.denominator)


@frozen(eq=False)
class Quantity:
    """A formula that can be asked about.

    Sums and differences are of one unit; products are by numbers or of a quantity by one without a unit; quotients
    have the quotient of the units.

    Parameters
    ----------
    formula
        Over the sizes of a model and symbols of one's own, such as a card's rates.
    name
        How texts call it: as ``modelmeter solve`` reads it.
    unit
        What one of it is; empty for a pure number.
    context
        The model's sizes: their defaults, their least values, and what holds between them.
    values
        Numbers or formulas that were put in for sizes, by name: see :meth:`at`.
    """

    formula: sympy.Expr = field(converter=_to_formula)
    name: str
    unit: str = ""
    context: Context = NO_CONTEXT
    values: Mapping[str, sympy.Expr] = field(converter=freeze_mapping, factory=dict)

    def at(self, **sizes: int | Fraction | sympy.Expr) -> Quantity:
        """Return the quantity with numbers or formulas for sizes; those that follow from them follow.

        Raises
        ------
        UnknownNameError
            If it has no such size.
        WorkloadError
            If a number is out of range.
        """
        self.context.check_values(sizes, also=self._names)
        put = {name: sympy.sympify(value) for name, value in sizes.items()}
        formulas = {name: value for name, value in put.items() if not value.is_Rational}
        if formulas:  # of other sizes, or of the same: what is asked over then is what they have
            return evolve(self, formula=self.context.put(self.settled, put), values={}, name=self._name_at(sizes))
        return evolve(self, values={**self.values, **put}, name=self._name_at(sizes))

    def _name_at(self, sizes: Mapping[str, object]) -> str:
        where = ", ".join(f"{name}={value}" for name, value in sizes.items())
        return f"{self.name}.at({where})" if where else self.name

    def named(self, name: str) -> Quantity:
        """Return the quantity under another name."""
        return evolve(self, name=name)

    def settle(self, *free: str) -> Quantity:
        """Return the quantity with defaults for all sizes but the free ones: then it goes with another model's."""
        self.context.check_free(free, also=self._names)
        formula, _ = self.context.fill(self.formula, self.values, free)
        return Quantity(formula=formula, name=self.name, unit=self.unit)

    def has_size(self, name: str) -> bool:
        """Tell whether a size can be given: it is in the formula, or its model has it."""
        return name in self.context.defaults or name in self._names

    @property
    def _names(self) -> frozenset[str]:
        return names_in(self.formula)

    @property
    def settled(self) -> sympy.Expr:
        """The formula with what :meth:`at` was given."""
        return self.context.put(self.formula, self.values)

    # --- arithmetic ------------------------------------------------------------------------------------------

    def __add__(self, other: Operand) -> Quantity:
        return self._combine("+", self, as_quantity(other, self.unit))

    def __radd__(self, other: Operand) -> Quantity:
        return self._combine("+", as_quantity(other, self.unit), self)

    def __sub__(self, other: Operand) -> Quantity:
        return self._combine("-", self, as_quantity(other, self.unit))

    def __rsub__(self, other: Operand) -> Quantity:
        return self._combine("-", as_quantity(other, self.unit), self)

    def __mul__(self, other: Operand) -> Quantity:
        return self._combine("*", self, as_quantity(other))

    def __rmul__(self, other: Operand) -> Quantity:
        return self._combine("*", as_quantity(other), self)

    def __truediv__(self, other: Operand) -> Quantity:
        return self._combine("/", self, as_quantity(other))

    def __rtruediv__(self, other: Operand) -> Quantity:
        return self._combine("/", as_quantity(other), self)

    def __neg__(self) -> Quantity:
        return self * -1

    @staticmethod
    def _combine(sign: str, one: Quantity, other: Quantity) -> Quantity:
        if sign in "+-" and one.unit != other.unit:
            raise FormulaError(
                "quantities of different units do not add up", place=f"{one.name} {sign} {other.name}",
                expected=one.unit or "a number", found=other.unit or "a number",
            )  # fmt: skip
        context = one.context.join(other.context)
        if one.values != other.values:  # each keeps its own sizes
            one, other = (evolve(each, formula=each.settled, values={}) for each in (one, other))
        left, right = one.formula, other.formula
        formula = {
            "+": lambda: left + right, "-": lambda: left - right, "*": lambda: left * right, "/": lambda: left / right,
        }[sign]()  # fmt: skip
        return Quantity(
            formula=formula, name=f"{_bracket(one.name, sign)} {sign} {_bracket(other.name, sign)}",
            unit=_join_units(sign, one.unit, other.unit), context=context, values=one.values,
        )  # fmt: skip


def as_quantity(value: Operand, unit: str = "") -> Quantity:
    """Return a number or a formula as a quantity."""
    if isinstance(value, Quantity):
        return value
    if isinstance(value, bool) or not isinstance(value, int | Fraction | sympy.Expr):
        raise FormulaError(
            "this is no quantity", expected="a quantity, an integer, a fraction or a formula", found=value
        )
    return Quantity(formula=value, name=str(value), unit=unit)


def of_one_unit(a: Operand, b: Operand, relation: str = ">=") -> tuple[Quantity, Quantity]:
    """Return two quantities that are compared; a number takes the unit of the other.

    Raises
    ------
    FormulaError
        If the units differ.
    """
    other = as_quantity(b, a.unit if isinstance(a, Quantity) else "")
    one = as_quantity(a, other.unit)
    if one.unit != other.unit:
        raise FormulaError(
            "quantities of different units have no order", place=f"{one.name} {relation} {other.name}",
            expected=one.unit or "a number", found=other.unit or "a number",
        )  # fmt: skip
    return one, other


def largest_of(quantities: Iterable[Operand], name: str = "") -> Quantity:
    """Return the largest of quantities of one unit."""
    return _choose(sympy.Max, "max", quantities, name)


def smallest_of(quantities: Iterable[Operand], name: str = "") -> Quantity:
    """Return the smallest of quantities of one unit."""
    return _choose(sympy.Min, "min", quantities, name)


def _choose(function: Any, head: str, quantities: Iterable[Operand], name: str) -> Quantity:
    listed = [as_quantity(each) for each in quantities]
    if not listed:
        raise FormulaError("there is nothing to choose from", place=name or head)
    units = sorted({each.unit for each in listed})
    if len(units) > 1:
        raise FormulaError("quantities of different units have no order", place=name or head, found=", ".join(units))
    context = NO_CONTEXT
    for each in listed:
        context = context.join(each.context)
    return Quantity(
        formula=function(*(each.settled for each in listed), evaluate=False),
        name=name or f"{head}({', '.join(each.name for each in listed)})", unit=units[0], context=context,
    )  # fmt: skip


def _bracket(name: str, sign: str) -> str:
    is_sum = " + " in name or " - " in name or (sign == "/" and " " in name)
    return f"({name})" if is_sum and sign in "*/-" else name


def _join_units(sign: str, one: str, other: str) -> str:
    if sign in "+-":
        return one
    return multiply_units(one, other) if sign == "*" else divide_units(one, other)
