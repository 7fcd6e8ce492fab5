"""Formulas arranged for reading: by storage, by view, by stage."""

from __future__ import annotations

import pytest
import sympy

from modelmeter.algebra.polynomials import prove_equal
from modelmeter.backends.latex.printer import print_display
from modelmeter.backends.presentation.reader import FormulaReader
from modelmeter.dimensions.functions import ceil_div, floor_div
from modelmeter.models.deepseek_ocr.abbreviations import VIEWS
from modelmeter.models.deepseek_ocr.dimensions import symbol
from modelmeter.models.deepseek_ocr.model import MODEL
from modelmeter.publishing.formula import Formula, Part, arrange, arrange_part, typeset
from modelmeter.support.errors import FormulaError

N, d, w, a = (symbol(name) for name in ("num_tokens", "hidden_size", "weight_bits", "activation_bits"))
B, base, tile = (symbol(name) for name in ("vision_batch_size", "base_size", "image_size"))
TILES = VIEWS.condition
TILE_VIEWS = B * symbol("num_width_tiles") * symbol("num_height_tiles")


def show(metric: str, source: sympy.Expr) -> tuple[str, ...]:
    part = arrange_part(metric, source, MODEL, label="vision", may_split_views=True)  # type: ignore[arg-type]  # a plain str
    formula = Formula(metric=metric, parts=(part,))  # type: ignore[arg-type]
    reader = FormulaReader({TILES: r"\tau"}, names=MODEL.dimensions.latex)
    return tuple(map(print_display, typeset(formula, reader)))


def view_cost(views: sympy.Expr, side: sympy.Expr) -> sympy.Expr:
    return 6 * views * ceil_div(floor_div(side, 16), 4) ** 2


def test_bytes_are_an_eighth_of_the_bits_of_each_kind() -> None:
    source = (3 * N * d * a + d * w + 64 * N) / 8
    bits = r"b_{\mathrm{w}} \, d + 3 \, b_{\mathrm{a}} \, N \, d + 64 \, N"
    assert show("io_bytes", source) == (rf"\mathtt{{io\_bytes}} = \tfrac{{1}}{{8}} \, \bigl({bits}\bigr)",)


@pytest.mark.parametrize(
    ("source", "latex"),
    [
        (3336106240 * w / 8, r"\tfrac{1}{8} \cdot 3\,336\,106\,240 \, b_{\mathrm{w}}"),
        (d * w / 8, r"\tfrac{1}{8} \, b_{\mathrm{w}} \, d"),
        (d * w / 16, r"\tfrac{1}{16} \, b_{\mathrm{w}} \, d"),
        (sympy.Integer(0), "0"),
    ],
)
def test_elements_stay_visible_in_bytes(source: sympy.Expr, latex: str) -> None:
    assert show("weight_bytes", source) == (rf"\mathtt{{weight\_bytes}} = {latex}",)


def test_a_formula_that_is_not_linear_in_a_storage_width_is_refused() -> None:
    with pytest.raises(FormulaError, match=r"not linear.*weight_bits"):
        arrange("io_bytes", w**2, MODEL)


def all_views() -> sympy.Expr:
    """A cost of one function of views and side: the global views of each call, and its tiles where there are any."""
    calls = symbol("images_per_prompt") * floor_div(symbol("batch_size"), B)
    return calls * (view_cost(B, base) + TILES * view_cost(TILE_VIEWS, tile))


def test_views_become_a_function_of_their_number_and_side() -> None:
    source = all_views()
    part = arrange_part("tensor_core_flops", source, MODEL, label="vision", may_split_views=True)
    assert part.per_view is not None
    prove_equal(part.per_view, view_cost(symbol("num_views"), symbol("view_size")))
    prove_equal(part.shown, source)
    function = r"F^{\mathrm{vision}}_{\mathrm{tensor}}"
    first, second = show("tensor_core_flops", source)
    assert first == (
        rf"\mathtt{{tensor\_core\_flops}} = n_{{\mathrm{{img}}}} \, "
        r"\left\lfloor \frac{B}{B_{\mathrm{vis}}} \right\rfloor \, "
        rf"\bigl({function}(B_{{\mathrm{{vis}}}}, s_{{\mathrm{{base}}}}) + "
        rf"\tau \, {function}(B_{{\mathrm{{vis}}}} \, W_{{\mathrm{{tiles}}}} \, H_{{\mathrm{{tiles}}}}, "
        rf"s_{{\mathrm{{tile}}}})\bigr)"
    )
    assert second.startswith(rf"{function}(n, s) = 6 \, n \, ")


@pytest.mark.parametrize("once", [sympy.Integer(5), TILES * symbol("num_width_tiles"), 3 * base])
def test_what_is_done_once_for_all_views_is_no_function_of_a_view(once: sympy.Expr) -> None:
    source = all_views() + once
    part = arrange_part("tensor_core_flops", source, MODEL, label="vision", may_split_views=True)
    assert part.per_view is None
    prove_equal(part.shown, source)


def test_parts_are_labelled_with_their_stages() -> None:
    parts = tuple(
        Part(label=label, source=size * N, shown=size * N) for label, size in (("vision", d), ("prefill", 2 * d))
    )
    reader = FormulaReader()
    (summed,) = typeset(Formula(metric="cuda_core_flops", parts=parts), reader)
    assert print_display(summed) == (
        "\\begin{aligned}\n"
        "& \\mathtt{cuda\\_core\\_flops} = \\\\\n"
        "& \\quad N \\, d && \\text{(vision)} \\\\\n"
        "& \\quad {} + 2 \\, N \\, d && \\text{(prefill)}\n"
        "\\end{aligned}"
    )
    (largest,) = typeset(Formula(metric="cuda_core_flops", parts=parts, combination="max"), reader)
    assert print_display(largest) == (
        "\\begin{aligned}\n"
        "& \\mathtt{cuda\\_core\\_flops} = \\max\\bigl( \\\\\n"
        "& \\quad N \\, d, && \\text{(vision)} \\\\\n"
        "& \\quad 2 \\, N \\, d\\bigr) && \\text{(prefill)}\n"
        "\\end{aligned}"
    )
