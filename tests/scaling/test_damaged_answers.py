"""An answer that is damaged in any field of its record is refused, even where it is made anew with that field."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any

import attrs
import pytest
import sympy

from modelmeter import scaling
from modelmeter.dimensions.functions import ceil_div, exceeds
from modelmeter.dimensions.size_rules import Rule
from modelmeter.scaling import Quantity, Statement
from modelmeter.support.errors import CertificateError, ModelMeterError

N, M = (sympy.Symbol(name, integer=True, positive=True) for name in "nm")
LINE = Quantity(7 * N + 5, "line")
SQUARE = Quantity(3 * N**2 + 2 * N + 11, "square")
STEPS = Quantity(3 * ceil_div(N, 4) * N + exceeds(N, 9) * 13, "steps")
BOTH = Quantity(5 * N * M + 3 * M + 17, "both")


def list_statements() -> Iterator[Statement]:
    yield scaling.crossover(STEPS, 20 * LINE, over="n")
    yield scaling.crossover(SQUARE, BOTH, over="n", free=("m",))
    yield scaling.crossover(LINE, SQUARE, over="n")
    yield scaling.largest("n", of=STEPS, under=1000)
    yield scaling.largest("n", of=BOTH, under=Quantity(1000 * M, "budget"), free=("m",))
    yield scaling.smallest("n", of=SQUARE, at_least=1000)
    yield scaling.smallest("n", of=BOTH, at_least=Quantity(50 * M, "target"), free=("m",))
    yield scaling.order(STEPS, "n")
    yield scaling.order(BOTH, "n", free=("m",))
    yield scaling.limit(STEPS / SQUARE, "n")
    yield scaling.limit(BOTH / LINE, "n", free=("m",))
    yield scaling.limit(SQUARE / LINE, "n")
    yield scaling.monotone(STEPS, "n")
    yield scaling.monotone(SQUARE - 40 * LINE, "n")
    yield scaling.monotone(SQUARE / LINE, "n")
    yield scaling.monotone(Quantity(N**2 * M - N * M, "f"), "n", free=("m",))
    yield scaling.monotone(Quantity(M**2 * N - 7 * N * M, "f"), "n", free=("m",))
    yield scaling.sign(SQUARE - 40 * LINE, "n")
    yield scaling.sign(BOTH, ("n", "m"))
    yield scaling.sign(BOTH - 40 * LINE, ("n", "m"))
    yield scaling.difference(STEPS, LINE, "n")
    yield scaling.difference({"a": BOTH, "b": LINE}, {"a": LINE, "c": Quantity(M, "m")}, ("n", "m"))
    yield scaling.difference({"a": LINE.at(n=3), "b": SQUARE.at(n=2)}, {"a": LINE.at(n=5)})
    yield scaling.regimes({"line": 40 * LINE, "square": SQUARE, "steps": STEPS}, "n")
    yield scaling.regimes({"line": 40 * LINE, "square": SQUARE}, "n", goal="smallest")
    yield scaling.regime_map({"both": BOTH, "square": SQUARE}, ("m", "n"), bounds={"m": (1, 5)})
    yield scaling.optimum(SQUARE / Quantity(N, "n"), "n")
    yield scaling.optimum(LINE / Quantity(N, "n"), "n")
    yield scaling.optimum(LINE, "n", goal="largest")
    yield scaling.rule_of_thumb(7 * Quantity(N, "n"), LINE, "n")
    yield scaling.rule_of_thumb(5 * Quantity(N * M, "n m"), BOTH, ("n", "m"), bounds={"n": (1, 9), "m": (2, 7)})
    yield scaling.rule_of_thumb(SQUARE, LINE, "n")
    yield scaling.elasticity(SQUARE, "n")
    yield scaling.steps(STEPS, "n")


STATEMENTS = list(list_statements())

TERMS = ("above", "below", "costs")
"""Fields of formulas as terms."""

FORMULAS = ("formula", "threshold", "condition", "polynomial", "between")

ONLY_TEXT = ("question", "sentence", "known", "digest")
"""What is said: nothing of it follows from certificates, and a digest tells that it was changed."""


def test_every_kind_of_statement_is_damaged_here() -> None:
    kinds = {each for each in vars(scaling).values() if isinstance(each, type) and issubclass(each, Statement)}
    assert {type(each) for each in STATEMENTS} == kinds - {Statement}


def damage_term(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping):
        for key, each in value.items():
            yield {name: kept for name, kept in value.items() if name != key}
            yield {f"{name}x" if name == key else name: kept for name, kept in value.items()}
            for other in damage_term(each):
                yield {**value, key: other}
    elif isinstance(value, tuple) and value and isinstance(value[0], tuple | int) and len(value) == 2:
        yield (("+", value[0], 1), value[1])
        yield (value[0], ("+", value[1], 1))
    else:
        yield ("+", value, 1)


def damage(value: Any, name: str = "") -> Iterator[Any]:
    """Yield other values of the same kind."""
    if name in TERMS:
        yield from damage_term(value)
    elif value is None:
        yield "x" if name == "winner" else sympy.Integer(7) if name in FORMULAS else 7
    elif isinstance(value, bool):
        yield not value
    elif isinstance(value, int | Fraction):
        yield from (value + 1, value - 1, -value - 1)
    elif isinstance(value, str):
        yield value + "x"
    elif isinstance(value, sympy.Basic):
        yield sympy.Integer(7) if isinstance(value, sympy.Piecewise) or value is sympy.oo else value + 1
        yield None
    elif isinstance(value, frozenset):
        yield from (value ^ {each} for each in (-1, 0, 1))
    elif name == "rules":
        yield (Rule("n", "at_most", "m"),)
    elif isinstance(value, tuple):
        yield (*value, *value[:1]) if value else (7,)
        for place, each in enumerate(value):
            yield value[:place] + value[place + 1 :]
            if not isinstance(each, scaling.Certificate):
                yield from ((*value[:place], other, *value[place + 1 :]) for other in damage(each))
    elif isinstance(value, Mapping):
        for key, each in value.items():
            yield {kept: value[kept] for kept in value if kept != key}
            yield from ({**value, key: other} for other in damage(each))
    elif attrs.has(type(value)):
        for field in attrs.fields(type(value)):
            for other in damage(getattr(value, field.name), field.name):
                try:
                    yield attrs.evolve(value, **{field.name: other})
                except (ModelMeterError, TypeError):
                    continue  # no such record can be made
    else:
        raise AssertionError(f"{type(value)} is never damaged")


def list_damaged(statement: Statement) -> Iterator[tuple[str, Any]]:
    for field in attrs.fields(type(statement)):
        for other in damage(getattr(statement, field.name), field.name):
            if other != getattr(statement, field.name):
                yield field.name, other


@pytest.mark.parametrize("statement", STATEMENTS, ids=lambda each: f"{each.kind}: {each.question}")
def test_a_statement_with_a_damaged_field_is_refused(statement: Statement) -> None:
    statement.check()
    damaged = dict.fromkeys(name for name, _ in list_damaged(statement))
    assert list(damaged) == [field.name for field in attrs.fields(type(statement))], "no field is left out"
    for name, other in list_damaged(statement):
        assert is_refused(attrs.evolve(statement, **{name: other})), f"{name} = {other} is taken for true"


@pytest.mark.parametrize("statement", STATEMENTS, ids=lambda each: f"{each.kind}: {each.question}")
def test_a_statement_made_anew_with_a_damaged_field_is_refused(statement: Statement) -> None:
    """Then the digest is that of the damaged one: the field does not follow from the certificates."""
    for name, other in list_damaged(statement):
        if name in ONLY_TEXT or _is_still_true(statement, name, other):
            continue
        assert is_refused(statement.remake(**{name: other})), f"{name} = {other} is taken for true"


def is_refused(statement: Statement) -> bool:
    try:
        statement.check()
    except CertificateError:
        return True
    return False


def _is_still_true(statement: Statement, field: str, other: Any) -> bool:
    """Tell whether a field is another, and what is said holds as well, of what the certificates are about."""
    if field == "domain":  # what others sizes are is not in the formulas; and a part of a domain may be left out
        is_part = len(statement.domain.ranges) > 1 and len(other.ranges) > 1
        grows = isinstance(statement, scaling.Optimum) and statement.bound is None
        is_of_end = isinstance(statement, scaling.Limit) or grows
        return bool(other.ranges == statement.domain.ranges or is_part or is_of_end)
    if field == "formula":  # a constant more goes the same way, and has the same steps
        return isinstance(statement, scaling.Monotone | scaling.Steps) and other is not None
    if isinstance(statement, scaling.Difference) and field == "terms" and len(other) == len(statement.terms):
        return all(  # what a part is called follows from nothing
            (each.first, each.second, each.difference) == (kept.first, kept.second, kept.difference)
            for each, kept in zip(other, statement.terms, strict=True)
        )
    return False
