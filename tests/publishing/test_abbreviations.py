"""Named parts of formulas: their names mean one thing, and each is defined where it is used."""

from __future__ import annotations

import pytest
import sympy

from modelmeter.backends.latex.printer import print_latex
from modelmeter.backends.presentation.reader import FormulaReader
from modelmeter.dimensions.functions import ceil_div, floor_div, routed_reads
from modelmeter.model.presentation import Abbreviation
from modelmeter.models.deepseek_ocr.dimensions import symbol
from modelmeter.models.deepseek_ocr.latex_names import LATEX_NAMES
from modelmeter.models.deepseek_ocr.model import MODEL
from modelmeter.publishing.abbreviations import name_parts, used_abbreviations
from modelmeter.publishing.formula import Formula, Part
from modelmeter.support.errors import FormulaError

N, E, k, d = (symbol(name) for name in ("num_tokens", "n_routed_experts", "num_experts_per_tok", "hidden_size"))
PUBLISHED = {"sam_patch_size": 16, "sam_window_size": 14}


def formula(*shown: sympy.Expr, labels: tuple[str, ...] = ("", "", "")) -> Formula:
    parts = (Part(label=label, source=each, shown=each) for label, each in zip(labels, shown, strict=False))
    return Formula(metric="tensor_core_flops", parts=tuple(parts))


def names(*formulas: Formula, sizes: dict[str, int] | None = None) -> dict[sympy.Expr, str]:
    return {part.expression: part.latex for part in name_parts(formulas, MODEL, sizes or {})}


@pytest.mark.parametrize("sizes", [{}, PUBLISHED])
def test_no_part_is_written_like_a_size(sizes: dict[str, int]) -> None:
    # A head's channels are the one size that some layers are given and others work out.
    shared = set(names(sizes=sizes).values()) & set(LATEX_NAMES.values())
    assert shared == {LATEX_NAMES["head_dim"]}


def test_the_grids_of_a_stage_differ_in_name() -> None:
    sides = {floor_div(symbol(side), 16) for side in ("base_size", "image_size", "view_size")}
    named = names(sizes=PUBLISHED)
    assert {named[side] for side in sides} == {
        r"g_{\mathrm{patch,base}}", r"g_{\mathrm{patch,tile}}", r"g_{\mathrm{patch}}"
    }  # fmt: skip
    # What the published counts of image tokens call g: ceil(floor(s / 16) / 4).
    assert named[ceil_div(floor_div(symbol("base_size"), 16), 4)] == r"g_{\mathrm{base}}"


def test_a_definition_comes_after_those_that_it_uses() -> None:
    tokens = ceil_div(floor_div(symbol("view_size"), 16), 4)
    abbreviations = name_parts([], MODEL, PUBLISHED)
    reader = FormulaReader({each.expression: each.latex for each in abbreviations}, names=LATEX_NAMES)
    reader.read(tokens)
    assert [(part.latex, print_latex(text.inner)) for part, text in used_abbreviations(abbreviations, reader)] == [
        (r"g_{\mathrm{patch}}", r"\left\lfloor \frac{s}{16} \right\rfloor"),
        (r"g_{\mathrm{tok}}", r"\left\lceil \frac{g_{\mathrm{patch}}}{4} \right\rceil"),
    ]


def test_expert_reads_are_named_after_their_stage_and_numbered_where_they_differ() -> None:
    one, other, third = (routed_reads(E, k, tokens, weights) for tokens, weights in ((N, d), (N, 2 * d), (1, d)))
    assert names(formula(one))[one] == "R"
    named = names(formula(one + other, third, labels=("prefill", "decode")))
    assert {named[one], named[other]} == {r"R_{\mathrm{prefill,1}}", r"R_{\mathrm{prefill,2}}"}
    assert named[third] == r"R_{\mathrm{decode}}"


def test_sizes_that_make_two_parts_one_or_plain_are_no_trouble() -> None:
    """With a patch of one pixel the grid is the side; with a window of 4 patches, windows are image tokens."""
    named = names(sizes={"sam_patch_size": 1, "sam_window_size": 4})
    assert symbol("base_size") not in named
    assert named[ceil_div(symbol("base_size"), 4)] == r"m_{\mathrm{win,base}}"


def test_two_parts_of_one_name_on_a_page_are_refused() -> None:
    parts = [Abbreviation(latex="x", meaning="", expression=floor_div(N, size)) for size in (2, 3)]
    reader = FormulaReader({part.expression: part.latex for part in parts})
    reader.read(parts[0].expression + parts[1].expression)
    with pytest.raises(FormulaError, match=r"one name.*x"):
        used_abbreviations(parts, reader)
