"""Normal forms have the values of the terms that they are read from, and equal formulas have equal ones."""

from __future__ import annotations

import pytest
import sympy
from hypothesis import given, settings
from questions import N, costs, values

from modelmeter.dimensions.functions import Equals, ceil_div, differs
from modelmeter.scaling import Quantity, normal_form, shift, terms
from modelmeter.scaling.program import compile_terms
from modelmeter.scaling.terms import from_sympy
from modelmeter.support.errors import FormulaError

M = sympy.Symbol("m", integer=True, positive=True)


@settings(max_examples=150, deadline=None)
@given(costs)
def test_the_values_stay(cost: Quantity) -> None:
    term = from_sympy(cost.formula)
    normal = normal_form.normalise(term)
    program = compile_terms([term, normal])
    later = normal_form.to_normal_term(shift.shift(normal_form.read(term), "n", 3))
    for n, value in enumerate(values(cost, 23), start=1):
        assert terms.evaluate(term, {"n": n}) == terms.evaluate(normal, {"n": n}) == value
        assert program.evaluate({"n": n}) == [value, value]
        if n > 3:
            assert terms.evaluate(later, {"n": n - 3}) == value
    assert normal_form.normalise(normal) == normal


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((N + M) ** 2, N**2 + 2 * N * M + M**2),
        (ceil_div(N * (M + 1), 4), ceil_div(N * M + N, 4)),
        (Equals(N, 5), 1 - differs(N, 5)),
        (differs(N, M), differs(M, N)),
        (differs(N, 5) ** 2, differs(N, 5)),
        (sympy.Max(N, M, evaluate=False), sympy.Max(M, N, N, evaluate=False)),
        (N / 2 + N / 2, N),
    ],
    ids=str,
)
def test_equal_formulas_have_one_normal_form(one: sympy.Expr, other: sympy.Expr) -> None:
    normal = [normal_form.normalise(from_sympy(sympy.sympify(each))) for each in (one, other)]
    assert normal[0] == normal[1]
    assert terms.fingerprint(normal[0]) == terms.fingerprint(normal[1])


def test_other_formulas_have_other_fingerprints() -> None:
    found = {terms.fingerprint(normal_form.normalise(from_sympy(each))) for each in (N, N + 1, 2 * N, N**2, M, N * M)}
    assert len(found) == 6


def test_a_sum_is_no_divisor() -> None:
    with pytest.raises(FormulaError, match="divides by a sum"):
        normal_form.read(from_sympy(1 / (N + 1)))
    assert normal_form.read(from_sympy(3 / N)) == {(("n", -1),): 3}
