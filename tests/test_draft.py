"""Drafts: integer coefficients, one denominator a formula."""

from __future__ import annotations

import pytest
import sympy

from modelmeter.algebra.draft import Call, Draft, draft_polynomials
from modelmeter.algebra.polynomials import read_polynomials
from modelmeter.dimensions.functions import ceil_div
from modelmeter.models.deepseek_ocr.dimensions import symbol
from modelmeter.support.errors import FormulaError

BATCH, PROMPT = symbol("batch_size"), symbol("seq_len")


def draft(*formulas: sympy.Expr) -> Draft:
    return draft_polynomials([f"output_{number}" for number in range(len(formulas))], read_polynomials(formulas))


def test_denominators_are_cleared_and_kept() -> None:
    found = draft(BATCH**2 / 8 + PROMPT / 12, BATCH * PROMPT)
    # 24 is the smallest common denominator; unknown 0 is the batch, 1 the prompt.
    assert found.outputs == {"output_0": ({(0, 0): 3, (1,): 2}, 24), "output_1": ({(0, 1): 1}, 1)}


def test_calls_are_unknowns_with_polynomials_as_arguments() -> None:
    found = draft(5 * ceil_div(BATCH + PROMPT, 3))
    assert found.unknowns == ("batch_size", "seq_len", Call("CeilDiv", ({(0,): 1, (1,): 1}, {(): 3})))
    assert found.outputs["output_0"] == ({(2,): 5}, 1)


def test_operations_are_those_of_the_terms() -> None:
    # 3 b b s + b + 7: three products, two sums; the ceiling is one call of one product.
    assert draft(3 * BATCH**2 * PROMPT + BATCH + 7).operations == 5
    assert draft(ceil_div(2 * BATCH, 3)).operations == 2
    assert draft(BATCH / 8).operations == 1


def test_polynomials_can_be_replaced_in_their_order() -> None:
    found = draft(BATCH + 1, ceil_div(PROMPT, 3))
    doubled = [{monomial: 2 * number for monomial, number in old.items()} for old in found.polynomials()]
    replaced = found.replace_polynomials(doubled, {(0, 0): 1})
    assert replaced.outputs["output_0"] == ({(0,): 2, (): 2}, 1)
    assert replaced.unknowns[-1] == {(0, 0): 1}
    assert Call("CeilDiv", ({(1,): 2}, {(): 6})) in replaced.unknowns


@pytest.mark.parametrize("formula", [BATCH / PROMPT, ceil_div(BATCH / 2, 3)])
def test_a_quotient_that_may_not_be_whole_is_refused(formula: sympy.Expr) -> None:
    with pytest.raises(FormulaError, match="whole"):
        draft(formula)
