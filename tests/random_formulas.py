"""Random formulas of the kind that layers make, for properties of the algebra and of what it prints."""

from __future__ import annotations

from collections.abc import Callable

import sympy
from hypothesis import strategies as st

from modelmeter.dimensions.functions import (
    Size,
    Triangular,
    ceil_div,
    differs,
    equals,
    exceeds,
    floor_div,
    routed_reads,
)
from modelmeter.models.deepseek_ocr.dimensions import symbol

NAMES = ("batch_size", "seq_len", "num_width_tiles", "decode_steps", "weight_bits")
"""Sizes that the formulas are made of; all of them may be any positive integer."""

sizes = st.fixed_dictionaries({name: st.one_of(st.integers(1, 40), st.integers(1, 10**30)) for name in NAMES})
"""Values of these sizes: small ones, where roundings and brackets differ, and ones beyond any machine word."""


def _combine(inner: st.SearchStrategy[Size]) -> st.SearchStrategy[Size]:
    def call(function: Callable[..., Size], *arguments: st.SearchStrategy[Size]) -> st.SearchStrategy[Size]:
        return st.builds(function, *arguments)

    small = st.integers(1, 7)
    return st.one_of(
        call(lambda a, b: a + b, inner, inner),
        call(lambda a, b: a * b, inner, inner),
        call(lambda a, n: n * a**2, inner, small),
        call(lambda a: 2 * a - 1, inner),
        call(ceil_div, inner, small),
        call(floor_div, inner, small),
        call(differs, inner, inner),
        call(equals, inner, inner),
        call(exceeds, inner, inner),
        call(lambda a: Triangular(sympy.sympify(a)), inner),
        call(lambda n, w: routed_reads(11, 4, n, w), inner, inner),
    )


formulas = st.recursive(st.one_of(st.integers(1, 9), st.sampled_from(NAMES).map(symbol)), _combine, max_leaves=9)
"""Formulas with every kind of function; whole and positive at all sizes, apart from brackets."""

outputs = st.lists(
    st.builds(lambda formula, divisor: sympy.sympify(formula) / divisor, formulas, st.sampled_from((1, 2, 8))),
    min_size=1,
    max_size=4,
).map(lambda found: {f"output_{number}": formula for number, formula in enumerate(found)})
"""Formulas by name, some of them with a denominator, as bytes have."""
