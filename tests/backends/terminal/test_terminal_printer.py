"""What is written in the terminal is the formula: the text is read back and computed."""

from __future__ import annotations

from itertools import count

import pytest
import sympy
from read_back import read_back

from modelmeter.backends.presentation.reader import FormulaReader
from modelmeter.backends.terminal.printer import Line, print_lines
from modelmeter.compiled_model import CompiledModel
from modelmeter.dimensions.evaluate import evaluate
from modelmeter.dimensions.functions import (
    CeilDiv,
    Differs,
    Equals,
    Exceeds,
    FloorDiv,
    RoutedReads,
    Triangular,
)
from modelmeter.models.deepseek_ocr.dimensions import DIMENSIONS
from modelmeter.support.errors import FormulaError

B, S, H = (sympy.Symbol(name, integer=True, positive=True) for name in ("batch_size", "seq_len", "hidden_size"))


def lines_of(formula: sympy.Expr, *, width: int, unicode: bool) -> list[Line]:
    reader = FormulaReader(names=DIMENSIONS.latex, has_letters=True)
    return print_lines(reader.read(formula), width=width, unicode=unicode)


def text_of(formula: sympy.Expr, *, width: int = 200, unicode: bool = True) -> str:
    return " ".join(line.text for line in lines_of(formula, width=width, unicode=unicode))


@pytest.mark.parametrize("width", [30, 78, 10_000])
def test_every_formula_of_the_model_reads_back_to_its_value(published: CompiledModel, width: int) -> None:
    """All layers and stages, opened over many lines or not; a value for each size that no other size has."""
    costs = [entry.cost for entry in published.catalogue]
    costs += [*published.totals.by_stage.values(), published.totals.total]
    for formula in {sympy.sympify(value) for cost in costs for value in cost.as_dict().values()}:
        primes = (number for number in count(11, 2) if sympy.isprime(number))
        sizes = dict(zip(DIMENSIONS.symbols_of(formula), primes, strict=False))
        choices = formula.args if isinstance(formula, sympy.Max) else [formula]
        expected = max(evaluate(choice, _possible(sizes)) for choice in choices)
        assert read_back(text_of(formula, width=width, unicode=False), _possible(sizes)) == expected


def _possible(sizes: dict[str, int]) -> dict[str, int]:
    """A token cannot choose more experts than there are."""
    return {**sizes, **({"num_experts_per_tok": 7} if "num_experts_per_tok" in sizes else {})}


@pytest.mark.parametrize(
    ("formula", "in_unicode", "in_ascii"),
    [
        (sympy.Integer(0), "0", "0"),
        (2 * B * S**2, "2 · batch_size · seq_len²", "2 * batch_size * seq_len^2"),
        (sympy.Rational(7, 2) * B / H, "7 · batch_size / (2 · hidden_size)", "7 * batch_size / (2 * hidden_size)"),
        (1 / H, "1 / hidden_size", "1 / hidden_size"),
        (sympy.Rational(3, 8), "3 / 8", "3 / 8"),
        (-B + S, "seq_len - batch_size", "seq_len - batch_size"),
        (-B - 5, "- batch_size - 5", "- batch_size - 5"),
        (B * (S - 1), "batch_size · (seq_len - 1)", "batch_size * (seq_len - 1)"),
        ((B + S) ** 10, "(batch_size + seq_len)¹⁰", "(batch_size + seq_len)^10"),
        (CeilDiv(B * S, 64), "⌈(batch_size · seq_len) / 64⌉", "ceil((batch_size * seq_len) / 64)"),
        (FloorDiv(S, 16) ** 2, "⌊seq_len / 16⌋²", "floor(seq_len / 16)^2"),
        (Differs(B, S + 1), "[batch_size ≠ seq_len + 1]", "[batch_size != seq_len + 1]"),
        (Equals(B, S), "[batch_size = seq_len]", "[batch_size = seq_len]"),
        (Exceeds(B * S, 1), "[batch_size · seq_len > 1]", "[batch_size * seq_len > 1]"),
        (Triangular(S + 1), "(seq_len + 1) · (seq_len + 2) / 2", "(seq_len + 1) * (seq_len + 2) / 2"),
        (3 * B * Triangular(S), "3 · batch_size · seq_len · (seq_len + 1) / 2",
         "3 * batch_size * seq_len * (seq_len + 1) / 2"),
        (sympy.sqrt(B), "√(batch_size)", "sqrt(batch_size)"),
        (sympy.floor(B / 2), "⌊batch_size / 2⌋", "floor(batch_size / 2)"),
        (RoutedReads(64, 6, B * S, H), "routed_reads(64, 6, batch_size · seq_len, hidden_size)",
         "routed_reads(64, 6, batch_size * seq_len, hidden_size)"),
    ],
)  # fmt: skip
def test_writes_each_part_of_a_formula(formula: sympy.Expr, in_unicode: str, in_ascii: str) -> None:
    assert text_of(formula) == in_unicode
    assert text_of(formula, unicode=False) == in_ascii
    assert in_ascii.isascii()


def test_opens_the_longest_sum_of_a_term_that_is_too_long() -> None:
    """Each term inside gets a line, two columns further in; a denominator stays behind the sum."""
    channels = [sympy.Symbol(name, integer=True, positive=True) for name in ("intermediate_size", "vocab_size")]
    formula = B * (S + 1) * (S * channels[0] + H * channels[1] + 3) / 8
    assert lines_of(formula, width=60, unicode=True) == [
        Line(0, "batch_size · (seq_len + 1) · ("),
        Line(1, "seq_len · intermediate_size"),
        Line(1, "+ hidden_size · vocab_size"),
        Line(1, "+ 3"),
        Line(0, ") / 8"),
    ]
    assert len(lines_of(formula, width=100, unicode=True)) == 1


def test_a_maximum_lists_its_choices() -> None:
    assert text_of(sympy.Max(B * S, H, evaluate=False)) == "max( batch_size · seq_len , hidden_size )"


@pytest.mark.parametrize("formula", [sympy.sin(B), sympy.Float("0.5") * B])
def test_refuses_what_no_formula_of_ours_has(formula: sympy.Expr) -> None:
    with pytest.raises(FormulaError, match="no way to write"):
        lines_of(formula, width=80, unicode=True)
