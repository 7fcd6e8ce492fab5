"""Formulas as polynomials: one form for one function, and a proof of equality that can fail."""

from __future__ import annotations

import pytest
import sympy
from hypothesis import given

from modelmeter.algebra.polynomials import prove_equal, read_polynomials
from modelmeter.dimensions.functions import Size, ceil_div, differs, floor_div
from modelmeter.models.deepseek_ocr.dimensions import DIMENSIONS, symbol
from modelmeter.support.errors import FormulaError
from random_formulas import formulas

BATCH, PROMPT, STEPS = symbol("batch_size"), symbol("seq_len"), symbol("decode_steps")


def test_products_are_multiplied_out_and_like_terms_added() -> None:
    (polynomial,) = read_polynomials([(BATCH + PROMPT) ** 2 - 2 * BATCH * PROMPT]).outputs
    assert dict(polynomial.terms) == {(2, 0): 1, (0, 2): 1}
    assert polynomial.denominator == 1


def test_generators_stand_in_the_order_of_the_documentation_and_calls_after_them() -> None:
    read = read_polynomials([STEPS * ceil_div(PROMPT, 7) + BATCH], dimensions=DIMENSIONS)
    assert [str(generator) for generator in read.generators] == [
        "batch_size", "seq_len", "decode_steps", "CeilDiv(seq_len, 7)",
    ]  # fmt: skip


def test_two_spellings_of_one_call_are_one_generator() -> None:
    one = differs(PROMPT * (BATCH + 1), 2)
    other = differs(PROMPT + BATCH * PROMPT, 2)
    assert one != other, "sympy does not know"
    read = read_polynomials([one - other])
    assert not read.outputs[0]


def test_constants_are_put_in_everywhere_and_calls_of_numbers_become_numbers() -> None:
    # 4 ceil(31 / 7) seq_len
    (polynomial,) = read_polynomials(
        [4 * ceil_div(BATCH, STEPS) * PROMPT], {"batch_size": 31, "decode_steps": 7}
    ).outputs
    assert polynomial.as_expr() == 20 * PROMPT


def test_a_quotient_that_cancels_leaves_a_polynomial() -> None:
    (polynomial,) = read_polynomials([BATCH / PROMPT * (PROMPT + PROMPT * STEPS)]).outputs
    assert polynomial.as_expr() == BATCH + BATCH * STEPS


@given(formula=formulas)
def test_every_formula_is_its_expanded_self(formula: Size) -> None:
    prove_equal(formula, sympy.expand(formula))


@given(formula=formulas)
def test_formulas_that_differ_are_not_proved_equal(formula: Size) -> None:
    with pytest.raises(FormulaError, match="not equal"):
        prove_equal(formula, formula + floor_div(BATCH, 3))


@pytest.mark.parametrize(
    "formula", [sympy.sin(BATCH), 0.5 * BATCH, BATCH**PROMPT, 1 / (BATCH + 1), sympy.Max(BATCH, PROMPT)]
)
def test_what_is_no_polynomial_is_refused(formula: sympy.Expr) -> None:
    with pytest.raises(FormulaError):
        read_polynomials([formula])
