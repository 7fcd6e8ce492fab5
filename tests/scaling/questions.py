"""Random formulas of one size, with everything that a cost has: roundings, brackets, experts, maxima."""

from __future__ import annotations

import os

import sympy
from hypothesis import strategies as st

from modelmeter.dimensions.evaluate import evaluate
from modelmeter.dimensions.functions import Differs, Equals, Exceeds, RoutedReads, Triangular, ceil_div, floor_div
from modelmeter.scaling import Quantity

QUESTIONS = int(os.environ.get("MODELMETER_QUESTIONS", "200"))
"""How many random questions each test asks; 10,000 have been asked."""

LAST = 80
"""Values are compared at 1 to this."""

N = sympy.Symbol("n", integer=True, positive=True)

_counts = st.integers(0, 12)
_positive = st.integers(1, 12)


def _whole(depth: int) -> st.SearchStrategy[sympy.Expr]:
    """Formulas with whole values of at least 0."""
    leaves = st.one_of(st.just(N), _counts.map(sympy.Integer), st.builds(lambda a, b: a * N + b, _counts, _counts))
    if not depth:
        return leaves
    inner = _whole(depth - 1)
    return st.one_of(
        leaves,
        st.builds(lambda a, b: a + b, inner, inner),
        st.builds(lambda a, b: a * b, inner, inner),
        st.builds(lambda a, b: sympy.sympify(ceil_div(a, sympy.Integer(b))), inner, _positive),
        st.builds(lambda a, b: sympy.sympify(floor_div(a, sympy.Integer(b))), inner, _positive),
        st.builds(lambda a, b: sympy.sympify(ceil_div(sympy.Integer(a), N + b)), _counts, _counts),
        st.builds(lambda kind, a, b: kind(a, b), st.sampled_from([Differs, Equals, Exceeds]), inner, leaves),
        st.builds(Triangular, inner),
        st.builds(lambda a, b: sympy.Max(a, b, evaluate=bool(a.is_Integer and b.is_Integer)), inner, inner),
        st.builds(
            lambda more, k, tokens, weights: RoutedReads(k + more, k, tokens, weights),
            st.integers(0, 5), st.integers(1, 4), inner, st.integers(1, 30),
        ),
    )  # fmt: skip


costs = _whole(2).map(lambda formula: Quantity(formula=formula, name="cost"))
"""Quantities of one size, ``n``."""

budgets = st.one_of(st.integers(0, 60), st.integers(0, 5000))


def values(quantity: Quantity, last: int) -> list[int]:
    """Return the values at 1 to ``last``: with the evaluator, not with what questions are answered by."""
    found = [evaluate(quantity.formula, {"n": n}) for n in range(1, last + 1)]
    assert all(isinstance(value, int) for value in found)
    return [int(value) for value in found]
