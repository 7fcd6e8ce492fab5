"""What is known of the sizes in a quantity: defaults, least values, what follows from what, and rules."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from fractions import Fraction
from numbers import Rational
from typing import Any

import sympy
from attrs import field, frozen

from modelmeter.dimensions.evaluate import evaluate
from modelmeter.dimensions.size_rules import Rule
from modelmeter.dimensions.symbols import Dimension
from modelmeter.scaling.domain import Range
from modelmeter.scaling.sizes import is_exact, settled_size, sort_sizes
from modelmeter.scaling.substitution import names_in, put_sizes
from modelmeter.scaling.terms import Number
from modelmeter.support.errors import FormulaError, WorkloadError
from modelmeter.support.frozen_mapping import freeze_mapping
from modelmeter.support.suggestions import unknown_name


@frozen
class Context:
    """What is known of the sizes of a model.

    Parameters
    ----------
    defaults
        A number for each size.
    derivations
        Formulas of the sizes that follow from others unless they are given, in the order in which they do.
    derived
        Formulas of sizes that only rules name.
    rules
        What holds between sizes.
    settled
        Sizes whose numbers are in the formula already, so that nothing can be asked over them.
    dimensions
        What each size is.
    """

    defaults: Mapping[str, int] = field(converter=freeze_mapping, factory=dict)
    derivations: tuple[tuple[str, sympy.Expr], ...] = ()
    derived: Mapping[str, sympy.Expr] = field(converter=freeze_mapping, factory=dict)
    rules: tuple[Rule, ...] = ()
    settled: frozenset[str] = frozenset()
    dimensions: Mapping[str, Dimension] = field(converter=freeze_mapping, factory=dict)

    def join(self, other: Context) -> Context:
        """Return what is known of the sizes of two quantities.

        Raises
        ------
        FormulaError
            If a size has two defaults: then the quantities are of different models, and each needs its own sizes.
        """
        if self == other or other == NO_CONTEXT:
            return self
        if self == NO_CONTEXT:
            return other
        for name, value in other.defaults.items():
            if self.defaults.get(name, value) != value:
                raise FormulaError(
                    "two quantities have different defaults for one size", place=name,
                    expected=self.defaults[name], found=value, remedy=f"give it to one of them: at({name}=...)",
                )  # fmt: skip
        return Context(
            defaults={**self.defaults, **other.defaults},
            derivations=tuple(dict([*self.derivations, *other.derivations]).items()),
            derived={**self.derived, **other.derived},
            rules=tuple(dict.fromkeys((*self.rules, *other.rules))),
            settled=self.settled | other.settled,
            dimensions={**other.dimensions, **self.dimensions},
        )

    def check_values(self, values: Mapping[str, Any], also: Iterable[str] = ()) -> None:
        """Refuse names that are no sizes, and numbers out of range."""
        known = self._list_names(also)
        for name, value in values.items():
            if name not in known:
                raise unknown_name("size", name, known)
            if name in self.settled:
                raise settled_size(name)
            if not is_exact(value):
                raise WorkloadError("a size is not exact", place=name, expected="an integer or a fraction", found=value)
            if isinstance(value, Rational) and value < self.range_of(name).minimum:
                raise WorkloadError("a size is out of range", place=name, expected=self.range_of(name), found=value)

    def check_free(self, names: Iterable[str], also: Iterable[str]) -> None:
        """Refuse names that are no sizes, or whose numbers are in the formula already.

        Where no model is known, every name is one.
        """
        known = self._list_names(also)
        for name in names:
            if known and name not in known:
                raise unknown_name("size", name, known)
            if name in self.settled:
                raise settled_size(name)

    def _list_names(self, also: Iterable[str]) -> list[str]:
        """Return all sizes that there are, those of a workload first: a message lists the first of many."""
        return sort_sizes((*self.defaults, *also), self._architecture)

    @property
    def _architecture(self) -> frozenset[str]:
        return frozenset(name for name, dimension in self.dimensions.items() if dimension.kind == "architecture")

    def range_of(self, name: str) -> Range:
        """Return the integers that a size may be: from its least value on; symbols of one's own, from 1 on."""
        dimension = self.dimensions.get(name)
        return Range(1 if dimension is None else dimension.minimum)

    def put(self, formula: sympy.Expr, values: Mapping[str, sympy.Expr], free: Iterable[str] = ()) -> sympy.Expr:
        """Return a formula with values for sizes, and with what follows from them unless it is given or free."""
        return put_sizes(formula, self._replacements(values, frozenset(free)))

    def fill(
        self, formula: sympy.Expr, values: Mapping[str, sympy.Expr], free: Iterable[str]
    ) -> tuple[sympy.Expr, dict[str, Number]]:
        """Return a formula of the free sizes only, and the numbers that others are.

        Raises
        ------
        FormulaError
            If a symbol has neither a value nor a default.
        """
        open_names = frozenset(free)
        replaced = self._replacements(values, open_names)
        found = put_sizes(formula, replaced)
        rest = sorted(names_in(found) - open_names)
        missing = [name for name in rest if name not in self.defaults]
        if missing:
            raise FormulaError(
                "a symbol has no value", place=", ".join(missing), remedy=f"at({missing[0]}=...), or leave it free"
            )
        fixed: dict[str, Number] = {
            name: Fraction(int(value.p), int(value.q)) for name, value in values.items() if value.is_Rational
        }
        fixed |= {name: Fraction(self.defaults[name]) for name in rest}
        fixed |= self._following(formula, replaced, values, open_names)
        return put_sizes(found, {name: sympy.Integer(self.defaults[name]) for name in rest}), fixed

    def _following(
        self,
        formula: sympy.Expr,
        replaced: Mapping[str, sympy.Expr],
        values: Mapping[str, sympy.Expr],
        free: frozenset[str],
    ) -> dict[str, Number]:
        """Return the numbers of the sizes of a formula that follow from others, where they follow from numbers."""
        known = {**self.defaults, **{name: int(value) for name, value in values.items() if value.is_Integer}}
        used = names_in(formula) & (replaced.keys() - values.keys())
        needed = {name: names_in(replaced[name]) for name in used}
        return {
            name: Fraction(evaluate(replaced[name], known))
            for name in sorted(used)
            if not needed[name] & free and needed[name] <= known.keys()
        }

    def _replacements(self, values: Mapping[str, sympy.Expr], free: frozenset[str]) -> dict[str, sympy.Expr]:
        """Return what stands for sizes: what is given, and what follows from sizes that are given or free.

        A size that follows from defaults only is its own default.
        """
        found: dict[str, sympy.Expr] = dict(values)
        touched = {*values, *free}
        for name, formula in self.derivations:
            if name in free or name in values:
                continue
            names = names_in(formula)
            if names & touched:
                found[name] = put_sizes(formula, found)
                touched.add(name)
        return found

    def ranges_of(
        self, names: Iterable[str], used: Iterable[str], values: Mapping[str, Number]
    ) -> tuple[dict[str, Range], tuple[Rule, ...]]:
        """Return the ranges of free sizes, narrowed by the rules; and the rules between two of them.

        Parameters
        ----------
        names
            The free sizes.
        used
            The sizes that the formula has before numbers are put in: a rule counts if all that it names is there.
        values
            The numbers of the others.
        """
        ranges = {name: self.range_of(name) for name in names}
        replaced = self._replacements({name: sympy.Rational(value) for name, value in values.items()}, frozenset(names))
        # The defaults of what follows from others say nothing.
        known: dict[str, Number] = {
            **{name: value for name, value in self.defaults.items() if name not in replaced}, **values
        }  # fmt: skip
        present = (
            set(used) | ranges.keys() | (self._architecture & known.keys())
        )  # its rules hold whatever the formula has
        for name, formula in self.derived.items():
            needed = names_in(formula)
            if not needed & ranges.keys() and needed <= known.keys() and self._is_used(needed, present):
                known[name] = _whole_value(formula, known)
                present.add(name)
        between: list[Rule] = []
        for rule in self.rules:
            if not rule.names <= present:
                continue
            if rule.relation == "zero_together":
                if rule.names <= ranges.keys():
                    between.append(rule)
                _narrow_zeros(ranges, rule, known)
                continue
            following = {name: replaced[name] for name in rule.names if name in replaced and name not in values}
            if any(following[name].free_symbols for name in following):
                _narrow_following(ranges, rule, {**known, **following})
                continue
            first = rule.a if isinstance(rule.a, int) else None if rule.a in ranges else known.get(rule.a)
            if rule.b in ranges and first is None:
                between.append(rule)
            elif rule.b in ranges:
                ranges[rule.b] = _narrow(ranges[rule.b], rule, first)
            elif rule.a in ranges and rule.b in known:
                ranges[str(rule.a)] = ranges[str(rule.a)].intersect(maximum=int(known[rule.b]))
        return ranges, tuple(between)

    def _is_used(self, needed: frozenset[str], present: AbstractSet[str]) -> bool:
        """Tell whether all sizes that a workload has are in a formula; those of the architecture always are."""
        workload = {
            name for name in needed if name not in self.dimensions or self.dimensions[name].kind != "architecture"
        }
        return workload <= present


NO_CONTEXT = Context()
"""Of a number."""


def _narrow(known: Range, rule: Rule, least: Number | None) -> Range:
    if least is None or least.denominator != 1:
        return known
    if rule.relation == "at_most":
        return known.intersect(minimum=int(least))
    return known.intersect(multiple_of=int(least) * (2 if rule.relation == "divides_evenly" else 1))


def _narrow_zeros(ranges: dict[str, Range], rule: Rule, known: Mapping[str, Number]) -> None:
    """Narrow the range of a free size that is 0 where another one is, and only there."""
    for name, other in ((rule.a, rule.b), (rule.b, rule.a)):
        if isinstance(name, str) and name in ranges and other not in ranges and other in known:
            limit = {"maximum": 0} if known[str(other)] == 0 else {"minimum": 1}
            ranges[name] = ranges[name].intersect(**limit)


def _narrow_following(ranges: dict[str, Range], rule: Rule, values: Mapping[str, Any]) -> None:
    """Narrow the range of a free size by a rule one side of which follows from it.

    Raises
    ------
    FormulaError
        If the rule is not linear in one free size.
    """
    sides = [
        sympy.sympify(side if isinstance(side, int) else sympy.Symbol(side) if side in ranges else values[side])
        for side in (rule.a, rule.b)
    ]
    names = {symbol: sympy.Symbol(symbol.name) for side in sides for symbol in side.free_symbols}
    margin = sympy.expand((sides[1] - sides[0]).xreplace(names).xreplace(_numbers_of(values, ranges)))
    if rule.relation == "at_most" and margin.is_number and margin >= 0:
        return
    free = [symbol for symbol in margin.free_symbols if symbol.name in ranges]
    slope = margin.diff(free[0]) if len(free) == 1 else None
    if rule.relation != "at_most" or slope is None or not slope.is_Rational or not slope:
        raise FormulaError("a rule between sizes cannot be read as a range", place=rule.b, found=rule)
    border = free[0] - margin / slope
    known = ranges[free[0].name]
    bound = {"minimum": int(sympy.ceiling(border))} if slope > 0 else {"maximum": int(sympy.floor(border))}
    ranges[free[0].name] = known.intersect(**bound)


def _numbers_of(values: Mapping[str, Any], ranges: Mapping[str, Range]) -> dict[sympy.Symbol, sympy.Rational]:
    return {
        sympy.Symbol(name): sympy.Rational(value)
        for name, value in values.items()
        if name not in ranges and isinstance(value, int | Fraction)
    }


def _whole_value(formula: sympy.Expr, known: Mapping[str, Number]) -> Number:
    return evaluate(formula, {name: int(value) for name, value in known.items() if value.denominator == 1})
