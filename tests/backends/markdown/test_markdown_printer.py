"""Formulas in Markdown, as forges read them."""

from __future__ import annotations

from modelmeter.backends.markdown.printer import print_block, print_inline
from modelmeter.backends.presentation.tree import Line, Number, Product, Sign, Symbol

S, B = Symbol("seq_len", "S"), Symbol("batch_size", "B")


def test_a_formula_in_a_sentence() -> None:
    assert print_inline(Product((Number(2), B, S))) == r"$`2 \, B \, S`$"
    assert print_inline(S, Sign.EQUALS, Number(1001)) == r"$`S = 1\,001`$"


def test_a_displayed_formula() -> None:
    assert print_block((Line((S, Sign.EQUALS, B)),)) == "```math\nS = B\n```"
    lines = (Line((S, Sign.EQUALS)), Line((Sign.INDENT, Sign.PLUS, B), label="prefill"))
    assert print_block(lines) == (
        "```math\n\\begin{aligned}\n& S = \\\\\n& \\quad {} + B && \\text{(prefill)}\n\\end{aligned}\n```"
    )
