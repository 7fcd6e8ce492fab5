"""The readable form: equal to the formula, the same every time, and factored as people would."""

from __future__ import annotations

import pytest
import sympy
from hypothesis import given

from modelmeter.algebra.polynomials import prove_equal
from modelmeter.algebra.readable import factor_readably
from modelmeter.dimensions.functions import Size, routed_reads
from modelmeter.models.deepseek_ocr.dimensions import symbol
from random_formulas import formulas

BATCH, PROMPT, HIDDEN, WIDTH = (symbol(name) for name in ("batch_size", "seq_len", "hidden_size", "intermediate_size"))
LAYERS, DENSE = symbol("num_hidden_layers"), symbol("first_k_dense_replace")


@given(formula=formulas)
def test_the_readable_form_is_proved_equal(formula: Size) -> None:
    prove_equal(factor_readably(formula), formula)


@pytest.mark.parametrize(
    ("formula", "readable"),
    [
        (
            2 * BATCH * PROMPT * HIDDEN**2 + 4 * BATCH * PROMPT**2 * HIDDEN,
            "2*batch_size*hidden_size*seq_len*(hidden_size + 2*seq_len)",
        ),
        (
            DENSE * WIDTH * HIDDEN + (LAYERS - DENSE) * HIDDEN * BATCH,
            "hidden_size*(batch_size*(-first_k_dense_replace + num_hidden_layers)"
            " + first_k_dense_replace*intermediate_size)",
        ),
        (BATCH * PROMPT / 8 + BATCH * HIDDEN / 8, "batch_size*(hidden_size + seq_len)/8"),
        (sympy.Integer(0), "0"),
        (
            3 * (LAYERS - DENSE) * routed_reads(64, 6, BATCH * (PROMPT + 1), HIDDEN),
            "3*(-first_k_dense_replace + num_hidden_layers)"
            "*RoutedReads(64, 6, batch_size*seq_len + batch_size, hidden_size)",
        ),
    ],
)
def test_common_factors_and_differences_that_count_something_stay_whole(formula: sympy.Expr, readable: str) -> None:
    assert str(factor_readably(sympy.expand(formula))) == readable
