"""Questions of choices: where a quantity is best, what another workload costs more, and which cost is the largest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Final

import sympy

from modelmeter.scaling.certificate import SignTable
from modelmeter.scaling.difference import Difference, difference
from modelmeter.scaling.optimum import optimum
from modelmeter.scaling.question import Bounds, ask
from modelmeter.scaling.regime_map import RegimeMap, RegimeRows, regime_map
from modelmeter.scaling.regimes import Goal, regimes
from modelmeter.scaling.signs import read_signs
from modelmeter.scaling.statement import Interval
from modelmeter.scaling.studies import words
from modelmeter.scaling.studies.asking import Worded
from modelmeter.scaling.studies.records import Claim, IdentifiedStatement, with_domain, without_sizes

_FEW: Final = 3
"""Terms of a polynomial that a sentence writes out."""

_MOST: Final = 6
"""Regimes, or rows of a map, that a sentence lists."""


def ask_optimum(
    id_: str, of: Worded, over: str, *, bounds: Bounds | None = None, goal: Goal = "smallest"
) -> IdentifiedStatement:
    """Return at which size a quantity, often a quotient, is smallest or largest."""
    found = with_domain(optimum(of.quantity, over, bounds=bounds, goal=goal), of.fixed)
    if found.bound is None:
        text = f"{of.words} has no {goal} value: it {'falls' if goal == 'smallest' else 'grows'} without end"
    else:
        exact = words.write_number(found.bound)
        about = "" if found.bound.denominator == 1 else f" (about {words.write_rounded(found.bound)})"
        text = (
            f"{of.words} is {goal} at {words.write_size(over, found.value, of.sizes)}, where it is {exact}{about}"
            if found.value is not None
            else f"{of.words} has no {goal} value: it tends to {exact}{about}"
        )
    question = ask((of.quantity,), over, bounds=bounds)
    cost, bound = question.formulas[0], sympy.sympify(0 if found.bound is None else found.bound)
    everywhere = (Interval(question.range.first, question.range.last),)
    return IdentifiedStatement(
        id=f"{id_}/{found.kind}/{over}", statement=found, sentence=words.finish(text, found, of.sizes),
        where=words.write_domain(found.domain, of.sizes),
        claim=Claim(
            left=cost if goal == "smallest" else bound, right=bound if goal == "smallest" else cost, over=over,
            intervals=None if found.bound is None else everywhere,
        ),
    )  # fmt: skip


def ask_difference(
    id_: str, first: Mapping[str, Worded], second: Mapping[str, Worded], over: str, said: tuple[str, str], *,
    bounds: Bounds | None = None,
) -> IdentifiedStatement:  # fmt: skip
    """Return what the parts of one cost are more than those of another; ``said`` are both, as sentences call them."""
    one, other = ({name: each.quantity for name, each in parts.items()} for parts in (first, second))
    every = [*first.values(), *second.values()]
    fixed = {name: value for each in every for name, value in each.fixed.items()}
    sizes = {name: size for each in every for name, size in each.sizes.items()}
    found = with_domain(difference(one, other, over, bounds=bounds), fixed)
    found = without_sizes(found, _find_different(first, second, over))
    question = ask([*one.values(), *other.values()], over, bounds=bounds)
    left, right = (sympy.Add(*side) for side in (question.formulas[: len(one)], question.formulas[len(one) :]))
    tables = [each for each in found.certificates if isinstance(each, SignTable)]
    return IdentifiedStatement(
        id=f"{id_}/{found.kind}/{over}", statement=found,
        sentence=words.finish(_say_difference(found, said), found, sizes),
        where=words.write_domain(found.domain, sizes),
        claim=Claim(
            left=left, right=right, over=over, intervals=read_signs(tables[0]).where(0, 1) if tables else None
        ),
    )  # fmt: skip


def _find_different(first: Mapping[str, Worded], second: Mapping[str, Worded], over: str) -> frozenset[str]:
    """Return the sizes that are not the same on both sides."""
    found: dict[str, set[object]] = {}
    for each in (*first.values(), *second.values()):
        _, fixed = each.quantity.context.fill(each.quantity.formula, each.quantity.values, [over])
        for name, value in {**each.fixed, **fixed}.items():
            found.setdefault(name, set()).add(value)
    return frozenset(name for name, values in found.items() if len(values) > 1)


def _say_difference(found: Difference, said: tuple[str, str]) -> str:
    """Return by how much, part by part, where it is the same at all sizes; else only the sign."""
    relation = {
        frozenset({1}): "more than", frozenset({0, 1}): "at least", frozenset({-1}): "less than",
        frozenset({-1, 0}): "at most", frozenset({0}): "the same as",
    }.get(found.signs, "sometimes more and sometimes less than")  # fmt: skip
    said_parts = {each.name: _write_polynomial(each.difference, found.over) for each in found.terms}
    parts = [f"{text} in {name}" for name, text in said_parts.items() if text and text != "0"]
    moving = [name for name, text in said_parts.items() if text is None]
    same = [name for name, text in said_parts.items() if text == "0"]
    text = f"{said[0]} is {relation} {said[1]}"
    if len(said_parts) == 1 and parts:  # a name of the only part says nothing
        parts = [part for part in said_parts.values() if part is not None]
    if parts:
        text += f"; the difference is {', '.join(parts)}"
    if moving:
        text += f"; what it is for {' and '.join(moving)} depends on {' and '.join(found.over)}"
    return text + (f"; {' and '.join(same)} cost{'s' if len(same) == 1 else ''} the same" if same else "")


def _write_polynomial(formula: sympy.Expr, over: Sequence[str]) -> str | None:
    """Return a polynomial of one size as sentences have it, if it is one of few terms."""
    symbols = [each for each in formula.free_symbols if each.name in over]
    if formula.is_Rational:
        return words.write_number(Fraction(int(formula.p), int(formula.q)))
    if len(symbols) != 1 or not formula.is_polynomial(*symbols):
        return None
    found = [
        (power, Fraction(int(coefficient.p), int(coefficient.q)))
        for (power,), coefficient in sympy.Poly(formula, *symbols).terms()
    ]
    if len(found) > _FEW:
        return None
    products = [
        words.write_number(coefficient) + {0: "", 1: f" x {symbols[0]}"}.get(power, f" x {symbols[0]}^{power}")
        for power, coefficient in found
    ]
    return " + ".join(products).replace("+ -", "- ")


def ask_regimes(
    id_: str, costs: Mapping[str, Worded], over: str, said: str, *, bounds: Bounds | None = None, goal: Goal = "largest"
) -> IdentifiedStatement:
    """Return which of several costs is the largest or the smallest, size by size.

    The sentence begins with ``said``, and a colon follows it.
    """
    found = with_domain(
        regimes({name: each.quantity for name, each in costs.items()}, over, bounds=bounds, goal=goal),
        {name: value for each in costs.values() for name, value in each.fixed.items()},
    )
    found = without_sizes(found, _find_different(costs, {}, over))
    sizes = {name: size for each in costs.values() for name, size in each.sizes.items()}
    listed = "; ".join(
        f"{words.write_interval(Interval(each.first, each.last))}, {each.winner}" for each in found.regimes
    )
    question = ask([each.quantity for each in costs.values()], over, bounds=bounds)
    sign = 1 if goal == "largest" else -1
    formulas = {name: sign * formula for name, formula in zip(costs, question.formulas, strict=True)}
    winner = next((name for name in costs if any(each.winner == name for each in found.regimes)), next(iter(costs)))
    others = [formula for name, formula in formulas.items() if name != winner]
    wins = tuple(Interval(each.first, each.last) for each in found.regimes if each.winner == winner)
    is_open = any(each.winner is None for each in found.regimes)  # a residue decides there
    return IdentifiedStatement(
        id=f"{id_}/{found.kind}/{over}", statement=found,
        sentence=words.finish(f"{said}: {listed}", found, sizes), where=words.write_domain(found.domain, sizes),
        claim=Claim(
            left=formulas[winner], right=sympy.Max(*others, evaluate=False), over=over,
            intervals=None if is_open else wins,
        ),
    )  # fmt: skip


def ask_map(
    id_: str, costs: Mapping[str, Worded], over: tuple[str, str], said: str, *, bounds: Bounds
) -> IdentifiedStatement:
    """Return which of several costs is the largest over two sizes; the first takes each of its values."""
    along = over[1]
    fixed = {name: value for each in costs.values() for name, value in each.fixed.items()}
    found = with_domain(regime_map({name: each.quantity for name, each in costs.items()}, over, bounds=bounds), fixed)
    sizes = {name: size for each in costs.values() for name, size in each.sizes.items()}
    listed = "; ".join(_say_rows(row, over) for row in found.rows[:_MOST])
    more = f"; and so on for {len(found.rows) - _MOST:,} more groups of rows" if len(found.rows) > _MOST else ""
    claim = _claim_first_row(found, costs, over, bounds)
    return IdentifiedStatement(
        id=f"{id_}/{found.kind}/{along}", statement=found,
        sentence=words.finish(f"{said} is that of these stages: {listed}{more}", found, sizes),
        where=words.write_domain(found.domain, sizes), claim=claim,
    )  # fmt: skip


def _say_rows(row: RegimeRows, over: tuple[str, str]) -> str:
    across, along = over
    parts = [str(row.winners[0])]
    for place, winner in enumerate(row.winners[1:]):
        values = [borders[place] for borders in row.borders]
        least, most = min(values), max(values)
        where = f"{least:,}" if least == most else f"{least:,} to {most:,}, by {across},"
        parts.append(f"from {along} = {where} on {winner}")
    return f"{words.write_interval(Interval(row.first, row.last))} of {across}, {', '.join(parts)}"


def _claim_first_row(found: RegimeMap, costs: Mapping[str, Worded], over: tuple[str, str], bounds: Bounds) -> Claim:
    """Return what is claimed of the least value of the first size: where the first winner is the largest."""
    across, along = over
    row = found.rows[0]
    quantities = [each.quantity.at(**{across: row.first}) for each in costs.values()]
    question = ask(quantities, along, bounds={name: each for name, each in bounds.items() if name == along})
    formulas = dict(zip(costs, question.formulas, strict=True))
    winner = row.winners[0]
    range_ = found.domain.ranges[along]
    starts = [range_.first, *row.borders[0]]
    ends = [*(border - range_.multiple_of for border in row.borders[0]), range_.last]
    wins = tuple(
        Interval(first, last) for first, last, each in zip(starts, ends, row.winners, strict=True) if each == winner
    )
    others = [formula for name, formula in formulas.items() if name != winner]
    return Claim(
        left=formulas[winner or next(iter(formulas))], right=sympy.Max(*others, evaluate=False), over=along,
        intervals=None if None in row.winners else wins,
    )  # fmt: skip
