"""Formulas as MathML: the elements that a browser draws."""

from __future__ import annotations

import unicodedata
from xml.etree import ElementTree

import pytest
import sympy

from modelmeter.backends.mathml.latex_reader import convert_latex
from modelmeter.backends.mathml.printer import Links, find_place, print_block, print_element, print_inline
from modelmeter.backends.presentation.reader import FormulaReader
from modelmeter.backends.presentation.tree import Application, Call, Line, Named, Number, Sign, Symbol, Word
from modelmeter.compiled_model import CompiledModel
from modelmeter.dimensions.functions import Size, ceil_div, differs, routed_reads
from modelmeter.dimensions.symbols import symbol
from modelmeter.support.errors import FormulaError

N, d, b = symbol("num_tokens"), symbol("hidden_size"), symbol("weight_bits")
TIMES = '<mo lspace="0.1em" rspace="0.1em">\u2062</mo>'
OPEN, CLOSE = '<mo stretchy="false">(</mo>', '<mo stretchy="false">)</mo>'

PRESENTATION = {
    "math", "mrow", "mi", "mn", "mo", "mtext", "mspace", "mfrac", "msqrt", "msub", "msup", "msubsup", "mtable", "mtr",
    "mtd", "mstyle",
}  # fmt: skip
"""Elements of MathML Core."""


def write(formula: Size) -> str:
    return print_element(FormulaReader().read(formula))


@pytest.mark.parametrize(
    ("formula", "element"),
    [
        (12345, "<mn>12\u202f345</mn>"),
        (N, "<mi>N</mi>"),
        (b, "<msub><mi>b</mi><mtext>w</mtext></msub>"),
        (2 * N, f"<mrow><mn>2</mn>{TIMES}<mi>N</mi></mrow>"),
        (N + 1, "<mrow><mi>N</mi><mo>+</mo><mn>1</mn></mrow>"),
        (N - 1, "<mrow><mi>N</mi><mo>\u2212</mo><mn>1</mn></mrow>"),
        (-N, '<mrow><mo form="prefix">\u2212</mo><mi>N</mi></mrow>'),
        (N**2, "<msup><mi>N</mi><mn>2</mn></msup>"),
        (b**2, "<msubsup><mi>b</mi><mtext>w</mtext><mn>2</mn></msubsup>"),
        (N / d, "<mfrac><mi>N</mi><mi>d</mi></mfrac>"),
        (
            N * (d + 1),
            f"<mrow><mi>N</mi>{TIMES}<mrow>{OPEN}<mrow><mi>d</mi><mo>+</mo><mn>1</mn></mrow>{CLOSE}</mrow></mrow>",
        ),
        (
            ceil_div(N, 16),
            "<mrow><mo>⌈</mo><mfrac><mi>N</mi><mn>16</mn></mfrac><mo>⌉</mo></mrow>",
        ),
        (
            differs(b, 32),
            '<mrow><mo stretchy="false">[</mo><mrow><msub><mi>b</mi><mtext>w</mtext></msub><mo>≠</mo><mn>32</mn></mrow>'
            '<mo stretchy="false">]</mo></mrow>',
        ),
    ],
)
def test_every_part_is_an_element(formula: Size, element: str) -> None:
    assert write(formula) == element


def test_expected_reads_are_rounded_to_the_nearest() -> None:
    text = write(routed_reads(64, 6, N, d))
    assert text.startswith("<mrow><mo>⌊</mo>")
    assert text.endswith("<mo>⌉</mo></mrow>")
    assert "<mfrac><mn>6</mn><mn>64</mn></mfrac>" in text


def test_an_equation_in_lines_is_a_table_with_labels() -> None:
    name = Word("io_bytes")
    lines = (Line((name, Sign.EQUALS)), Line((Sign.INDENT, Number(7)), label="prefill"))
    assert print_block(lines) == (
        '<math display="block"><mtable class="lines" displaystyle="true">'
        '<mtr><mtd><mrow><mtext class="name">io_bytes</mtext><mo>=</mo></mrow></mtd><mtd></mtd></mtr>'
        '<mtr><mtd><mrow><mspace width="1.5em"/><mn>7</mn></mrow></mtd><mtd><mtext>(prefill)</mtext></mtd></mtr>'
        "</mtable></math>"
    )


def test_the_function_of_a_page() -> None:
    text = print_inline(Application("vision", "io", (Symbol("num_views", "n"), Number(3))))
    assert "<msubsup><mi>F</mi><mtext>io</mtext><mtext>vision</mtext></msubsup>" in text
    assert f"{OPEN}<mrow><mi>n</mi><mo>,</mo><mn>3</mn></mrow>{CLOSE}" in text


def test_what_holds_up_to_a_size_is_a_table_of_cases() -> None:
    tree = FormulaReader().read(sympy.Piecewise((N, N <= 25), (d, True)))
    assert print_element(tree) == (
        '<mrow><mo fence="true" form="prefix">{</mo><mtable class="cases">'
        "<mtr><mtd><mi>N</mi></mtd><mtd><mrow><mtext>for\u00a0</mtext>"
        "<mrow><mi>N</mi><mo>≤</mo><mn>25</mn></mrow></mrow></mtd></mtr>"
        "<mtr><mtd><mi>d</mi></mtd><mtd><mrow><mtext>otherwise</mtext></mrow></mtd></mtr></mtable></mrow>"
    )


def test_a_function_without_a_form_is_refused() -> None:
    with pytest.raises(FormulaError, match=r"no MathML.*mystery"):
        print_element(Call("mystery", ()))


def test_every_formula_of_the_model_is_well_formed_and_has_each_of_its_numbers_and_letters(
    published: CompiledModel,
) -> None:
    names = published.definition.dimensions.latex
    formulas = 0
    for entry in published.catalogue:
        for size in entry.cost.as_dict().values():
            root = ElementTree.fromstring(print_inline(FormulaReader(names=names).read(size)))
            assert {element.tag for element in root.iter()} <= PRESENTATION
            shown = {"".join(element.itertext()) for element in root.iter() if element.tag in ("mi", "msub")}
            shown |= {
                "".join(map("".join, (part.itertext() for part in element[:2]))) for element in root.iter("msubsup")
            }
            for used in getattr(size, "free_symbols", ()):
                letter = "".join(ElementTree.fromstring(convert_latex(names[used.name])).itertext())
                assert letter in shown, (entry.name, used)
            formulas += 1
    assert formulas == 6 * len(published.catalogue) > 100


@pytest.mark.parametrize(
    ("latex", "element"),
    [
        ("B", "<mi>B</mi>"),
        (r"d_{\mathrm{in}}", "<msub><mi>d</mi><mtext>in</mtext></msub>"),
        (r"\tau", "<mi>τ</mi>"),
        (r"1\,234\,567", "<mn>1\u202f234\u202f567</mn>"),
        (r"N^{2}", "<msup><mi>N</mi><mn>2</mn></msup>"),
        (r"(1 - k/E)^N", '<mrow><mo stretchy="false">(</mo><mn>1</mn><mo>\u2212</mo><mi>k</mi><mo>/</mo><mi>E</mi>'
         '<msup><mo stretchy="false">)</mo><mi>N</mi></msup></mrow>'),
        (r"\frac{1}{8}", "<mfrac><mn>1</mn><mn>8</mn></mfrac>"),
        (r"\begin{cases} N & \text{for}\ B \le 25 \\ 7 & \text{otherwise} \end{cases}",
         '<mrow><mo form="prefix">{</mo><mtable class="cases"><mtr><mtd><mrow><mi>N</mi></mrow></mtd><mtd><mrow>'
         '<mtext>for</mtext><mspace width="0.25em"/><mi>B</mi><mo>≤</mo><mn>25</mn></mrow></mtd></mtr>'
         "<mtr><mtd><mrow><mn>7</mn></mrow></mtd><mtd><mrow><mtext>otherwise</mtext></mrow></mtd></mtr></mtable></mrow>"),
        (r"\sqrt{N}", "<msqrt><mi>N</mi></msqrt>"),
        (r"\text{for all} N", "<mrow><mtext>for\u00a0all</mtext><mi>N</mi></mrow>"),
        (r"\mathrm{i n}", "<mtext>in</mtext>"),
        (r"N^ 2", "<msup><mi>N</mi><mn>2</mn></msup>"),
    ],
)  # fmt: skip
def test_latex_of_prose(latex: str, element: str) -> None:
    assert convert_latex(latex) == element


@pytest.mark.parametrize(
    "latex",
    [
        r"\operatorname{x}", r"\frac{1}", r"d_{\mathrm{in}", "a_1_2", "a & b", r"\mathrm x", r"\left. x \right.",
        r"\left\{ x \right\}", r"\left", "x^23", r"\frac12", r"\sqrt[3]{x}", r"\text{\textbf{x}}", "x_", "}",
    ],
)  # fmt: skip
def test_latex_that_is_not_known_is_refused(latex: str) -> None:
    with pytest.raises(FormulaError):
        convert_latex(latex)


def test_letters_say_where_they_lead() -> None:
    """The first token of a letter has the address; what is below it stays as it is."""
    links = Links(symbols="../symbols.html#", names="#names-")
    tree = FormulaReader({ceil_div(N, 16): r"g_{\mathrm{x}}"}).read(b**2 * ceil_div(N, 16))
    letter = '<mi data-href="../symbols.html#weight_bits">b</mi>'
    named = '<mi data-href="#names-g-x">g</mi>'
    assert print_element(tree, links) == (
        f"<mrow><msubsup>{letter}<mtext>w</mtext><mn>2</mn></msubsup>{TIMES}<msub>{named}<mtext>x</mtext></msub></mrow>"
    )
    assert "href" not in print_element(tree)
    assert print_inline(Symbol("x", "x"), links=Links(symbols="s#")) == (
        '<math><mrow><mi data-href="s#x">x</mi></mrow></math>'
    )
    assert "href" not in print_inline(Named("R", Number(3)), links=Links(symbols="s#"))


def test_places_of_letters() -> None:
    assert find_place(r"R_{\mathrm{decode,2}}") == "R-decode-2"
    assert find_place("T'") == "T"


def test_a_letter_that_is_no_token_cannot_be_a_link() -> None:
    with pytest.raises(FormulaError, match="no token that could be a link"):
        print_element(Symbol("x", "+"), Links(symbols="s#"))


SMALL = "beta gamma delta zeta eta theta iota kappa mu nu xi pi rho sigma tau upsilon chi psi omega alpha"
CAPITAL = "Gamma Delta Theta Xi Pi Sigma Upsilon Phi Psi Omega"
OF_LATEX = {
    # The letters that Unicode names otherwise, or that LaTeX has in two forms.
    "lambda": "GREEK SMALL LETTER LAMDA", "varsigma": "GREEK SMALL LETTER FINAL SIGMA",
    "epsilon": "GREEK LUNATE EPSILON SYMBOL", "varepsilon": "GREEK SMALL LETTER EPSILON",
    "phi": "GREEK PHI SYMBOL", "varphi": "GREEK SMALL LETTER PHI", "vartheta": "GREEK THETA SYMBOL",
    "varpi": "GREEK PI SYMBOL", "varrho": "GREEK RHO SYMBOL",
    **{name: f"GREEK SMALL LETTER {name.upper()}" for name in SMALL.split()},
}  # fmt: skip


@pytest.mark.parametrize(("name", "character"), OF_LATEX.items())
def test_small_greek_letters_are_those_of_unicode(name: str, character: str) -> None:
    assert convert_latex(rf"\{name}_0") == f"<msub><mi>{unicodedata.lookup(character)}</mi><mn>0</mn></msub>"


@pytest.mark.parametrize("name", [*CAPITAL.split(), "Lambda"])
def test_greek_capitals_stand_upright(name: str) -> None:
    character = unicodedata.lookup(f"GREEK CAPITAL LETTER {name.upper().replace('LAMBDA', 'LAMDA')}")
    assert convert_latex(rf"\{name}") == f'<mi mathvariant="normal">{character}</mi>'
