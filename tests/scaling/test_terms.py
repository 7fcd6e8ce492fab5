"""Terms: values, JSON and texts."""

from __future__ import annotations

from fractions import Fraction

import pytest
import sympy
from hypothesis import given, settings
from questions import N, costs, values

from modelmeter.dimensions.functions import INTEGER_FUNCTIONS, ceil_div
from modelmeter.scaling import Quantity, terms
from modelmeter.support.errors import CertificateError, FormulaError


@settings(max_examples=100, deadline=None)
@given(costs)
def test_a_term_goes_through_json_and_back_to_a_formula(cost: Quantity) -> None:
    term = terms.from_sympy(cost.formula)
    assert terms.from_json(terms.to_json(term)) == term
    again = Quantity(terms.to_sympy(term, {"n": N}), "again")
    assert values(again, 9) == values(cost, 9)


def test_every_integer_function_has_a_name() -> None:
    assert set(terms.CALLS.values()) == set(INTEGER_FUNCTIONS)
    assert {"ceil_div", "floor_div", "routed_reads"} <= terms.CALLS.keys()


def test_texts() -> None:
    assert terms.to_text(("+", ("*", 3, ("^", "n", 2)), ("*", -1, ("ceil_div", "n", 4)), ("/", 1, 2))) == (
        "3*n^2 - 1*ceil_div(n, 4) + 1/2"
    )


@pytest.mark.parametrize(
    "value",
    [1.5, True, None, {}, [], ["+", 1.5], ["eval", "n"], ["/", 1, 0], ["/", 1], ["^", "n", "n"], ["ceil_div", "n"],
     ["max"], "n m", "", [["+"], 1]],
    ids=str,
)  # fmt: skip
def test_what_is_no_term_is_refused(value: object) -> None:
    with pytest.raises(CertificateError):
        terms.from_json(value)


@pytest.mark.parametrize(
    ("term", "problem"),
    [
        ("m", "no value"),
        (("^", ("+", "n", -5), -1), "divides by zero"),
        (("ceil_div", ("/", 1, 2), 3), "got a fraction"),
    ],
    ids=str,
)
def test_what_has_no_value_is_refused(term: terms.Term, problem: str) -> None:
    with pytest.raises(FormulaError, match=problem):
        terms.evaluate(term, {"n": 5})


def test_values_are_exact() -> None:
    assert terms.evaluate(("*", ("/", 1, 3), "n"), {"n": 10**30}) == Fraction(10**30, 3)
    assert terms.evaluate(terms.from_sympy(sympy.sympify(ceil_div(N, 7))), {"n": 10**30}) == -(-(10**30) // 7)
    with pytest.raises(FormulaError, match="no exact value"):
        terms.from_sympy(sympy.sqrt(N))
