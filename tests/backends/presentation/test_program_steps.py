"""Steps of programs as people see them."""

from __future__ import annotations

import pytest

from modelmeter.algebra.program import PRODUCT, SUM, Node, Operation
from modelmeter.backends.latex.printer import print_latex
from modelmeter.backends.presentation.steps import read_step
from modelmeter.backends.terminal.printer import print_text


@pytest.mark.parametrize(
    ("node", "latex", "text"),
    [
        (7000, r"7\,000", "7000"),
        ("seq_len", "S", "seq_len"),
        ("x12", "x_{12}", "x12"),
        ("token", r"\mathrm{token}", "token"),
        (Operation(SUM, ("seq_len", "x3", -5)), "S + x_{3} - 5", "seq_len + x3 - 5"),
        (Operation(PRODUCT, (-3, "seq_len", "x3")), r"-3 \, S \, x_{3}", "- 3 * seq_len * x3"),
        (Operation(PRODUCT, (-1, "x3")), "-x_{3}", "- x3"),
        (
            Operation(PRODUCT, (2, Operation(SUM, ("x1", 1)))),
            r"2 \, \left(x_{1} + 1\right)",
            "2 * (x1 + 1)",
        ),
        (
            Operation(SUM, ("x1", Operation(PRODUCT, (-1, Operation(SUM, ("x2", 5)))))),
            r"x_{1} - \left(x_{2} + 5\right)",
            "x1 - (x2 + 5)",
        ),
        (Operation("CeilDiv", ("x1", 16)), r"\left\lceil \frac{x_{1}}{16} \right\rceil", "ceil(x1 / 16)"),
        (Operation("max", ("x1", "x2")), r"\max\left(x_{1}, x_{2}\right)", "max(x1, x2)"),
        (
            Operation("Triangular", (Operation(SUM, ("x1", -1)),)),
            r"\frac{\left(x_{1} - 1\right) \, \left(x_{1} - 1 + 1\right)}{2}",
            "(x1 - 1) * (x1 - 1 + 1) / 2",
        ),
    ],
)
def test_a_step_keeps_its_order_and_its_value(node: Node, latex: str, text: str) -> None:
    tree = read_step(node, {"seq_len": "S"})
    assert print_latex(tree) == latex
    assert print_text(tree, unicode=False) == text
