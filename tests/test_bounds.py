"""Upper bounds: nothing on the way to a result is larger, at any sizes up to the ones bounded for."""

from __future__ import annotations

from fractions import Fraction

import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

from modelmeter.bounds import bound_operands
from modelmeter.errors import FormulaError
from modelmeter.evaluate import evaluate
from modelmeter.functions import Size, Triangular, ceil_div, differs, exceeds
from modelmeter.polynomials import read_polynomials
from modelmeter.symbols import symbol
from random_formulas import formulas, sizes

BATCH, PROMPT = symbol("batch_size"), symbol("seq_len")


@given(formula=formulas, largest=sizes, data=st.data())
def test_no_value_and_no_operand_of_a_call_exceeds_the_largest_bound(
    formula: Size, largest: dict[str, int], data: st.DataObject
) -> None:
    values = {name: data.draw(st.integers(1, limit)) for name, limit in largest.items()}
    calls = read_polynomials([formula]).arguments
    computed = [sympy.sympify(formula), *(argument for call in calls for argument in call.args)]
    computed += [2 * call for call in calls if isinstance(call, Triangular)]
    bounds = [evaluate(bound, largest) for bound in bound_operands([formula], {})]
    for number in computed:
        if number.free_symbols:
            assert evaluate(number, values) <= max(bounds)


def test_the_bounds_of_a_formula_are_its_numerator_and_its_operands() -> None:
    formula = (ceil_div(BATCH * PROMPT, 7) * differs(PROMPT, 5) - BATCH) / 8
    # The numerator without its negative term, the bracket at 1; dividend and divisor; the compared sizes.
    assert set(bound_operands([formula], {})) == {
        ceil_div(BATCH * PROMPT, 7), BATCH * PROMPT, PROMPT, 5, 7,
    }  # fmt: skip


def test_the_product_before_a_halving_is_bounded() -> None:
    assert 2 * Triangular(PROMPT) in bound_operands([Triangular(PROMPT)], {})


def test_constants_are_put_in() -> None:
    assert bound_operands([exceeds(BATCH, 1) * PROMPT], {"seq_len": 5}) == (5, BATCH, 1)
    assert bound_operands([Fraction(1, 2) * PROMPT], {"seq_len": 5}) == (5,)


def test_what_falls_as_a_size_grows_has_no_bound() -> None:
    with pytest.raises(FormulaError, match="no bound"):
        bound_operands([ceil_div(BATCH, PROMPT)], {})
