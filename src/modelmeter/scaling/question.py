"""Questions: quantities with numbers for all sizes but those that are asked over, in normal form."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import sympy
from attrs import frozen

from modelmeter.dimensions.size_rules import Rule
from modelmeter.scaling import normal_form, terms
from modelmeter.scaling.domain import Domain, Range
from modelmeter.scaling.normal_form import NormalForm
from modelmeter.scaling.quantity import Operand, Quantity, as_quantity
from modelmeter.scaling.substitution import names_in, symbols_in
from modelmeter.scaling.terms import Number, Term
from modelmeter.support.errors import FormulaError

Bounds = Mapping[str, tuple[int | None, int | None] | Range]
"""By name, the least and the largest value of a free size (None: that of the model, and without end)."""


@frozen
class Question:
    """Quantities over free sizes.

    Parameters
    ----------
    names
        The sizes that are free; what is asked over comes first.
    quantities
        What is asked about.
    domain
        What the free sizes may be, what holds between them, and what the others are.
    symbols
        The symbol of each free size.
    """

    names: tuple[str, ...]
    quantities: tuple[Quantity, ...]
    formulas: tuple[sympy.Expr, ...]
    domain: Domain
    symbols: Mapping[str, sympy.Symbol]

    @property
    def over(self) -> str:
        """The size that is asked over."""
        return self.names[0]

    @property
    def range(self) -> Range:
        """What the size that is asked over may be."""
        return self.domain.ranges[self.over]


def ask(
    quantities: Sequence[Operand], over: str | Sequence[str], *, bounds: Bounds | None = None, free: Iterable[str] = ()
) -> Question:
    """Return the question about quantities over sizes; all others have their defaults.

    Parameters
    ----------
    over
        The size that is asked over, or several.
    bounds
        Explicit bounds of free sizes.
    free
        More sizes that stay symbols.

    Raises
    ------
    UnknownNameError
        If a size does not exist.
    FormulaError
        If a symbol has no value, or bounds hold no integer.
    """
    asked = (over,) if isinstance(over, str) else tuple(over)
    names = tuple(dict.fromkeys((*asked, *free)))
    bounds = bounds or {}
    listed = tuple(map(as_quantity, quantities))
    own = {name for each in listed for name in names_in(each.formula)}
    own |= {name for each in listed for value in each.values.values() for name in names_in(value)}
    formulas: list[sympy.Expr] = []
    fixed: dict[str, Number] = {}
    ranges: dict[str, Range] = {}
    between: list[Rule] = []
    for each in listed:
        each.context.check_free(names, also=own | _names_of(listed))
        formula, numbers = each.context.fill(each.formula, each.values, names)
        formulas.append(formula)
        fixed |= numbers
        used = names_in(each.formula) | set(names) & own
        narrowed, rules = each.context.ranges_of(names, used, numbers)
        between += rules
        for name, found in narrowed.items():
            ranges[name] = _meet(ranges.get(name, found), found)
    for name, bound in bounds.items():
        if name not in ranges:
            raise FormulaError("a bound is of a size that is not free", place=name, expected=", ".join(names))
        if isinstance(bound, Range):
            ranges[name] = _meet(ranges[name], bound)
        else:
            ranges[name] = ranges[name].intersect(minimum=bound[0], maximum=bound[1])
    fixed = {name: value for name, value in fixed.items() if name not in names}
    symbols = {str(symbol.name): symbol for formula in formulas for symbol in symbols_in(formula)}
    for name in names:
        symbols.setdefault(name, sympy.Symbol(name, integer=True, positive=True))
    return Question(
        names=names, quantities=listed, formulas=tuple(formulas), symbols=symbols,
        domain=Domain(ranges, fixed, tuple(rule for rule in dict.fromkeys(between) if rule.names <= ranges.keys())),
    )  # fmt: skip


def _meet(one: Range, other: Range) -> Range:
    return one.intersect(minimum=other.minimum, maximum=other.maximum, multiple_of=other.multiple_of)


def _names_of(quantities: Iterable[Quantity]) -> set[str]:
    """Return all sizes that some quantity knows: a number has none of its own."""
    return {name for each in quantities for name in each.context.defaults}


def read_fraction(formula: sympy.Expr) -> tuple[NormalForm, NormalForm]:
    """Return the numerator and the denominator of a formula, each multiplied out.

    Raises
    ------
    FormulaError
        If the formula divides by zero.
    """
    if any(_divides(power) for power in formula.atoms(sympy.Pow)):
        above, below = sympy.fraction(sympy.together(formula))
        denominator = normal_form.read(terms.from_sympy(below))
        if not denominator:
            raise FormulaError("a formula divides by zero", found=formula)
        return normal_form.read(terms.from_sympy(above)), denominator
    return normal_form.read(terms.from_sympy(formula)), normal_form.constant(1)


def read_sign_form(formula: sympy.Expr) -> NormalForm:
    """Return what has the sign of a formula: of a fraction, numerator times denominator.

    Raises
    ------
    FormulaError
        If the formula divides by zero.
    """
    above, below = read_fraction(formula)
    return above if below == normal_form.constant(1) else normal_form.multiply(above, below)


def _divides(power: sympy.Pow) -> bool:
    return bool(power.exp.is_number and power.exp.is_negative and not power.base.is_number)


def term_of(form: NormalForm) -> Term:
    """Return the term of a normal form."""
    return normal_form.to_normal_term(form)
