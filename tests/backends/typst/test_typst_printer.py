"""Formulas as Typst: what is written, and what Typst itself reads in it."""

from __future__ import annotations

from fractions import Fraction
from itertools import count
from math import floor

import pytest
import sympy
from typst_reader import evaluate, list_texts, name_letter, read_equations

from modelmeter.backends.latex import printer as latex
from modelmeter.backends.presentation.latex_reader import GREEK
from modelmeter.backends.presentation.reader import FormulaReader
from modelmeter.backends.presentation.tree import (
    Application,
    Call,
    Cases,
    Line,
    Number,
    Relation,
    Root,
    Sign,
    Symbol,
    Word,
)
from modelmeter.backends.typst.latex_reader import SIGNS, convert_latex, list_chunks
from modelmeter.backends.typst.printer import FORMS, print_block, print_inline, print_typst, split_line
from modelmeter.compiled_model import CompiledModel
from modelmeter.dimensions.functions import Size, ceil_div, differs, equals, exceeds, floor_div, routed_reads
from modelmeter.dimensions.symbols import symbol
from modelmeter.metrics.metric import METRICS
from modelmeter.support.errors import FormulaError

N, d, b = symbol("num_tokens"), symbol("hidden_size"), symbol("weight_bits")
HOSTILE = (
    'a"b',
    "a\\",
    '\\"',
    "#panic()",
    "$ x $",
    "$",
    "]",
    "//",
    "/*",
    "`",
    "<x>",
    "@x",
    "*_*",
    "\\u{41}",
    "a, b; c",
)
"""Names that would be commands, comments or ends of strings, if they were not escaped."""


def write(formula: Size) -> str:
    return print_typst(FormulaReader().read(formula))


@pytest.mark.parametrize(
    ("formula", "text"),
    [
        (12345, "12 thin 345"),
        (N, "N"),
        (b, 'b_("w")'),
        (2 * N, "2 thin N"),
        (N + 1, "N plus 1"),
        (N - 1, "N minus 1"),
        (-N, "minus N"),
        (N**2, "N^(2)"),
        (b**2, 'b_("w")^(2)'),
        (N / d, "frac(N, d)"),
        (N / 3, "inline(frac(1, 3)) thin N"),
        (N * (d + 1), "N thin lr(paren.l d plus 1 paren.r)"),
        (ceil_div(N, 16), "lr(ceil.l frac(N, 16) ceil.r)"),
        (floor_div(N, 16), "lr(floor.l frac(N, 16) floor.r)"),
        (differs(b, 32), 'lr(bracket.l b_("w") eq.not 32 bracket.r)'),
        (exceeds(N, 1), "lr(bracket.l N gt 1 bracket.r)"),
        (sympy.Max(N, d), "max lr(paren.l N comma d paren.r)"),
    ],
)
def test_every_part(formula: Size, text: str) -> None:
    assert write(formula) == text


def test_parts_that_no_size_has() -> None:
    assert print_typst(Root(Number(7))) == "sqrt(7)"
    assert print_typst(Word('a_"b')) == r'#raw("a_\"b")'
    assert print_typst(Application("vision", "io", (Symbol("n", "n"), Number(3)))) == (
        'F^("vision")_("io") lr(paren.l n comma 3 paren.r)'
    )
    cases = Cases(((Number(1), Relation(Symbol("n", "n"), "<=", Number(5))), (Number(2), None)))
    assert print_typst(cases) == 'cases(1 & "for " n lt.eq 5, 2 & "otherwise")'
    with pytest.raises(FormulaError, match="no Typst for this part"):
        print_typst(Call("sine", (Number(1),)))


def test_it_knows_the_functions_that_latex_knows() -> None:
    assert FORMS.keys() == latex.FORMS.keys()


def test_a_line_goes_on_before_signs_also_inside_of_brackets() -> None:
    tree = FormulaReader().read(N * (d + 1 - b))
    assert split_line((Word("x"), Sign.EQUALS, tree)) == [
        '#raw("x") eq N thin lr(paren.l, size: #1.2em) d', '"" plus 1', '"" minus b_("w") lr(paren.r, size: #1.2em)',
    ]  # fmt: skip
    assert split_line((Sign.INDENT, Sign.PLUS, Number(7))) == ['"" plus 7']
    larger = FormulaReader().read(sympy.Max(N + 1, d))
    assert split_line((larger,)) == [
        "max lr(paren.l, size: #1.2em) N",
        '"" plus 1 comma',
        "d lr(paren.r, size: #1.2em)",
    ]


def test_a_block_has_all_of_a_line_and_its_pieces() -> None:
    lines = (Line((Word("x"), Sign.EQUALS)), Line((Sign.INDENT, Number(7)), label='a"b'))
    assert print_block(lines) == (
        '#formula(\n  (indent: 0, label: none, body: $#raw("x") eq$, chunks: ($#raw("x") eq$,)),\n'
        '  (indent: 1, label: "(a\\"b)", body: $7$, chunks: ($7$,)),\n)\n'
    )


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (r"d_{\mathrm{in}}", 'd_("in")'),
        (r"x^2", "x^(2)"),
        (r"\left\lceil \tfrac{32\,224}{3} \right\rceil", "lr(ceil.l inline(frac(32 thin 224, 3)) ceil.r)"),
        (r"\bigl(a\bigr)", "lr(paren.l, size: #1.4em) a lr(paren.r, size: #1.4em)"),
        (r"\Gamma + \gamma", "upright(Γ) plus \u03b3"),
        (r"1{,}5 \% \quad \max", '1 comma 5 percent #h(1em) op("max")'),
        (r"\mathtt{io\_bytes} \text{a b}", '#raw("io_bytes") "a\u00a0b"'),
        (r"\sqrt{2} \frac{}{x}", 'sqrt(2) frac("", x)'),
        (r"\begin{cases} 1 & x \\ 2 & y \end{cases}", "cases(1 & x, 2 & y)"),
    ],
)
def test_latex_of_letters_and_prose(source: str, text: str) -> None:
    assert convert_latex(source) == text


@pytest.mark.parametrize(
    "source", [r"\phantom{x}", "{", "x_1_2", r"\left( x", r"\left( {x \right)}", r"x \right)", "#", "$", r"\#"]
)
def test_latex_that_nobody_knows_is_an_error(source: str) -> None:
    with pytest.raises(FormulaError):
        convert_latex(source)


def test_latex_goes_on_before_signs_that_stand_in_no_bracket() -> None:
    assert list_chunks(r"S = 7 \, \left(B + 1\right) - \frac{a + b}{2}") == [
        "S", "eq 7 #h(0.17em) lr(paren.l B plus 1 paren.r)", "minus frac(a plus b, 2)",
    ]  # fmt: skip


class TestRead:
    """What Typst reads: its own tree of an equation, evaluated here."""

    def test_names_stay_text(self) -> None:
        """Each is shown as it is, and nothing else is: no command in it is run, nothing after it is swallowed."""
        trees = [Word(name) for name in HOSTILE] + [Application(name, name, (Number(1),)) for name in HOSTILE]
        found = read_equations([print_inline(tree, Sign.EQUALS, Number(7)) for tree in trees])
        assert [list_texts(body)[-2:] for body in found] == [["=", "7"]] * len(trees)
        for name, body in zip((*HOSTILE, *HOSTILE), found, strict=True):
            assert name in list_texts(body)

    def test_every_sign_is_the_one_it_is_called(self) -> None:
        found = read_equations([f"${name}$" for name in SIGNS.values()])
        assert dict(zip(SIGNS, [body["text"] for body in found], strict=True)) == {
            **{sign: sign for sign in SIGNS}, "⋅": "⋅",
        }  # fmt: skip

    def test_greek_letters(self) -> None:
        found = read_equations([f"${convert_latex(command)}$" for command in GREEK])
        assert [list_texts(body)[0] for body in found] == list(GREEK.values())

    def test_formulas_have_the_values_of_sympy(self) -> None:
        """At 7, 3, 5: brackets, powers, quotients and each integer function, computed from Typst's own tree."""
        formulas = [
            12345 * N**2 * (d + 1) - b**2 / 3, ceil_div(N, 16) + floor_div(N * d, 2), differs(b, 32) + equals(N, 7),
            exceeds(N, 8) + sympy.Max(N, d + 1) * sympy.Min(b, 2), -((N - d) ** 3) * (b + 1) / (N + 1),
            routed_reads(64, 6, N, d * b),
        ]  # fmt: skip
        values = {"N": 7, "d": 3, "b|w": 5}
        # 12345*49*4 - 25/3; 1 + 10; 1 + 1; 0 + 7*2; -(64*6/8); 64*(1 - (58/64)^7)*15, rounded to the nearest
        read = Fraction(64) * (1 - Fraction(58, 64) ** 7) * 15
        expected = [12345 * 49 * 4 - Fraction(25, 3), 11, 2, 14, -48, floor(read + Fraction(1, 2))]
        trees = [FormulaReader().read(formula) for formula in formulas]
        found = read_equations([print_inline(tree) for tree in trees])
        assert [evaluate(body, values) for body in found] == expected
        broken = read_equations([f"${' '.join(split_line((tree,)))}$" for tree in trees])
        assert [evaluate(body, values) for body in broken] == expected, "and the pieces have all of them"

    def test_formulas_of_the_model(self, published: CompiledModel) -> None:
        """Every metric of every stage at odd sizes, whole and in pieces, against substitution by sympy."""
        names = published.definition.dimensions.latex
        formulas = [
            sympy.sympify(published.formula(stage, metric)) for stage in published.totals.by_stage for metric in METRICS
        ]
        sizes = sorted({each for formula in formulas for each in formula.free_symbols}, key=str)
        odd = dict(zip(sizes, count(3, 2), strict=False))
        reader = FormulaReader(names=names)
        trees = [reader.read(formula) for formula in formulas]
        letters = read_equations([f"${convert_latex(names[str(size)])}$" for size in sizes])
        values = {name_letter(body): odd[size] for body, size in zip(letters, sizes, strict=True)}
        assert len(values) == len(sizes)
        expected = [formula.subs(odd) for formula in formulas]
        for printed in (map(print_inline, trees), (f"${' '.join(split_line((tree,)))}$" for tree in trees)):
            found = [evaluate(body, values) for body in read_equations(list(printed))]
            assert [sympy.Rational(each) for each in found] == expected
