"""Formulas as LaTeX: names, order, grouping, and line breaks that lose nothing."""

from __future__ import annotations

from itertools import pairwise

import pytest
import sympy
from latex_reader import Reader, clean

from modelmeter.algebra.unevaluated import multiply
from modelmeter.backends.latex.printer import group_digits, measure, print_display, print_latex
from modelmeter.backends.presentation.layout import Pieces, break_lines
from modelmeter.backends.presentation.reader import FormulaReader
from modelmeter.backends.presentation.tree import Call, Line
from modelmeter.backends.terminal.printer import print_text
from modelmeter.dimensions.evaluate import evaluate
from modelmeter.dimensions.functions import (
    CeilDiv,
    Differs,
    Equals,
    Exceeds,
    FloorDiv,
    RoutedReads,
    Size,
    Triangular,
    ceil_div,
    equals,
    exceeds,
    floor_div,
    routed_reads,
)
from modelmeter.models.deepseek_ocr.dimensions import DIMENSIONS, symbol
from modelmeter.models.deepseek_ocr.latex_names import LATEX_NAMES
from modelmeter.support.errors import FormulaError

n, i, o, d, b = (symbol(name) for name in ("num_tokens", "in_features", "out_features", "hidden_size", "weight_bits"))


def write(formula: Size, abbreviations: dict[sympy.Expr, str] | None = None) -> str:
    return print_latex(FormulaReader(abbreviations, names=LATEX_NAMES).read(formula))


def test_every_size_has_a_name_and_no_two_sizes_share_one() -> None:
    assert set(LATEX_NAMES) == {*DIMENSIONS.ranks}
    assert len(set(LATEX_NAMES.values())) == len(LATEX_NAMES)


@pytest.mark.parametrize(
    ("formula", "latex"),
    [
        (2 * o * n * i, r"2 \, N \, d_{\mathrm{in}} \, d_{\mathrm{out}}"),
        (sympy.Integer(1234567), r"1\,234\,567"),
        (sympy.Integer(0), "0"),
        (i / 2 - n, r"\tfrac{1}{2} \, d_{\mathrm{in}} - N"),
        (-n * i, r"-N \, d_{\mathrm{in}}"),
        (n**2 * (i + 1), r"N^{2} \, \left(d_{\mathrm{in}} + 1\right)"),
        (n * i / d, r"\frac{N \, d_{\mathrm{in}}}{d}"),
        (1 / d, r"\frac{1}{d}"),
        ((n + 1) ** 2, r"\left(N + 1\right)^{2}"),
        (ceil_div(n, 14) ** 2, r"\left\lceil \frac{N}{14} \right\rceil^{2}"),
        (b * n + 64 * n**3, r"b_{\mathrm{w}} \, N + 64 \, N^{3}"),
        (sympy.Max(i, n), r"\max\left(N, d_{\mathrm{in}}\right)"),
    ],
)
def test_formulas_print_as_people_write_them(formula: sympy.Expr, latex: str) -> None:
    assert write(formula) == latex


def test_a_symbol_without_a_name_is_refused() -> None:
    with pytest.raises(FormulaError, match=r"no LaTeX name.*mystery"):
        write(sympy.Symbol("mystery"))


def test_a_power_is_a_whole_number_or_a_square_root() -> None:
    assert write(sympy.sqrt(n)) == r"\sqrt{N}"
    with pytest.raises(FormulaError, match="power"):
        write(sympy.cbrt(n))


def test_an_abbreviation_stands_wherever_its_part_does_and_is_defined_in_full() -> None:
    grid = floor_div(n, 16)
    reader = FormulaReader({grid: "g", ceil_div(grid, 4): "t"})
    assert print_latex(reader.read(3 * grid**2 + ceil_div(grid, 4))) == r"3 \, g^{2} + t"
    assert print_latex(reader.define(ceil_div(grid, 4))) == r"\left\lceil \frac{g}{4} \right\rceil"
    assert reader.used == {grid, ceil_div(grid, 4)}


def test_a_number_stays_in_front_of_its_bracket() -> None:
    assert multiply([3, n + 1]).args == (3, n + 1)
    assert multiply([sympy.Rational(1, 8), 8, n + 1]) == n + 1
    assert multiply([0, n + 1]) == 0


def test_digits_come_in_threes() -> None:
    assert group_digits(1139967033344, "'") == "1'139'967'033'344"
    assert group_digits(999, "'") == "999"


def long_formula() -> sympy.Expr:
    names = [symbol(name) for name in list(LATEX_NAMES)[:24]]
    inner = sympy.Add(*(7 * one * other for one, other in pairwise(names)))
    reads = routed_reads(n, 2, i, o)
    return sympy.Mul(5, n, inner - 3 * i * exceeds(n, 1) + equals(n, d), evaluate=False) + reads * (inner + 1) - n * d


def display(lines: list[Pieces]) -> str:
    return clean(print_display(tuple(map(Line, lines)))).replace(" ", "")


@pytest.mark.parametrize("width", [20, 40, 80, 10_000])
def test_breaking_a_formula_into_lines_loses_nothing(width: int) -> None:
    tree = FormulaReader(names=LATEX_NAMES).read(long_formula())
    lines = break_lines(tree, width)
    assert (len(lines) == 1) == (width == 10_000)
    # A broken product has its longest bracket last; nothing else moves.
    assert sorted(display(lines)) == sorted(clean(print_latex(tree)).replace(" ", ""))


def test_a_broken_line_is_hardly_wider_than_it_may_be() -> None:
    lines = break_lines(FormulaReader(names=LATEX_NAMES).read(long_formula()), 80)
    assert max(map(measure, lines)) <= 90
    assert len(lines) <= 24, "short terms stand side by side"


@pytest.mark.parametrize("width", [20, 40, 80, 10_000])
def test_what_is_printed_is_the_formula(width: int) -> None:
    """Read back at sizes that all differ, the text has the value of the formula."""
    sizes = {name: 3 + 2 * place for place, name in enumerate(LATEX_NAMES)}
    lines = break_lines(FormulaReader(names=LATEX_NAMES).read(long_formula()), width)
    text = print_display(tuple(map(Line, lines)))
    assert Reader({LATEX_NAMES[name]: size for name, size in sizes.items()}).read(text) == evaluate(
        long_formula(), sizes
    )


@pytest.mark.parametrize(
    ("formula", "latex"),
    [
        (CeilDiv(n, 4), r"\left\lceil \frac{N}{4} \right\rceil"),
        (FloorDiv(n, i), r"\left\lfloor \frac{N}{d_{\mathrm{in}}} \right\rfloor"),
        (Differs(n, i), r"\left[ N \ne d_{\mathrm{in}} \right]"),
        (Equals(n, i), r"\left[ N = d_{\mathrm{in}} \right]"),
        (Exceeds(n, 1), r"\left[ N > 1 \right]"),
        (Triangular(n), r"\frac{N \, \left(N + 1\right)}{2}"),
        (Triangular(n - 1), r"\frac{\left(N - 1\right) \, N}{2}"),  # a sum has brackets, and n + 1 is N
        (
            RoutedReads(64, 6, n, d),
            r"\left\lfloor 64 \left(1 - \left(1 - \frac{6}{64}\right)^{N}\right) \cdot \left(d\right) \right\rceil",
        ),
        (sympy.floor(n / 2), r"\left\lfloor \tfrac{1}{2} \, N \right\rfloor"),
        (sympy.Min(n, d), r"\min\left(N, d\right)"),
    ],
)
def test_every_function_has_a_form(formula: sympy.Expr, latex: str) -> None:
    assert write(formula) == latex


def test_what_holds_up_to_a_size_is_a_list_of_cases() -> None:
    formula = sympy.Piecewise((sympy.Symbol("vision"), n <= 25), (d, True))
    tree = FormulaReader(names=LATEX_NAMES, has_letters=True).read(formula)
    assert print_latex(tree) == (
        r"\begin{cases} \mathrm{vision} & \text{for}\ N \le 25 \\ d & \text{otherwise} \end{cases}"
    )
    assert print_text(tree, unicode=False) == "vision where num_tokens <= 25, hidden_size otherwise"


def test_a_function_without_a_form_is_refused() -> None:
    with pytest.raises(FormulaError, match=r"no LaTeX.*mystery"):
        print_latex(Call("mystery", ()))
