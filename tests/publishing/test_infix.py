"""Formulas as infix text."""

import pytest
import sympy

from modelmeter.dimensions.functions import CeilDiv
from modelmeter.publishing.data.infix import InfixPrinter

a, b, c, d = sympy.symbols("a b c d", positive=True, integer=True)


@pytest.mark.parametrize(
    ("formula", "text"),
    [
        (3 * b + a * 2 + 5, "2*a + 3*b + 5"),
        (b * (a + c - 7) ** 2 + a**3 - 5 * a * c, "a**3 - 5*a*c + b*(a + c - 7)**2"),
        (5 - 3 * a, "5 - 3*a"),  # what is positive comes first where a sum has a number and one product
        (a + b / 8 - 5, "a + b/8 - 5"),
        (CeilDiv(a, 3) * d + CeilDiv(a + b, c) * 11 + c, "c + d*CeilDiv(a, 3) + 11*CeilDiv(a + b, c)"),
        (sympy.Integer(0), "0"),
    ],
)
def test_terms_are_in_the_order_of_sympy(formula: sympy.Expr, text: str) -> None:
    printer = InfixPrinter()
    assert printer.doprint(formula) == str(formula) == text
    assert printer.doprint(formula) == text, "the second time it is known"


def test_equal_parts_of_other_formulas_are_printed_alike() -> None:
    printer = InfixPrinter()
    inner = a * b + a * c + 2 * d
    for formula in (inner, inner**2, 3 * inner + 7, a - inner, inner * (inner + a) - 1):
        assert printer.doprint(formula) == str(formula)
