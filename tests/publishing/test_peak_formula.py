"""Peaks as pages show them: a case for each kind of model, one function for both kinds of views, or a list."""

from __future__ import annotations

import sympy

from modelmeter.algebra.polynomials import prove_equal
from modelmeter.analysis.peak import Candidate, Peak
from modelmeter.backends.latex.printer import print_display
from modelmeter.backends.presentation.reader import FormulaReader
from modelmeter.dimensions.functions import Size, differs, equals, exceeds
from modelmeter.models.deepseek_ocr.dimensions import symbol
from modelmeter.models.deepseek_ocr.model import MODEL
from modelmeter.publishing.peak_formula import PeakCase, PeakFormula, arrange_peak

A, B, S, SIDE, TILE = map(symbol, ("activation_bits", "vision_batch_size", "seq_len", "base_size", "image_size"))
VIEWS, VIEW = symbol("num_views"), symbol("view_size")
CELLS = symbol("num_width_tiles") * symbol("num_height_tiles")
TILES = exceeds(CELLS, 1)
CAST, IN_FLOAT32 = sympy.sympify(differs(A, 32)), sympy.sympify(equals(A, 32))


def arrange(*sums: Size, in_float32: tuple[Size, ...] = ()) -> PeakFormula:
    """Arrange sums of bits of a model that casts, and of one that computes in float32."""
    bits = [*(CAST * sum_ for sum_ in sums), *(IN_FLOAT32 * sum_ for sum_ in in_float32)]
    operators = tuple(
        Candidate(path="", layer=f"Layer{number}", bits=each, at_most=each) for number, each in enumerate(bits)
    )
    return arrange_peak("vision", Peak(operators=operators), MODEL)


def arrange_case(*sums: Size) -> PeakCase:
    (case,) = arrange(*sums).cases
    return case


def test_views_of_both_kinds_are_one_function_beside_what_is_held() -> None:
    case = arrange_case(
        TILES * (7 * A * S + 64 * S + 3 * A * B * CELLS * TILE),
        TILES * (7 * A * S + 64 * S + 5 * A * B * CELLS * TILE**2) * differs(TILE, 11),
        7 * A * S + 64 * S + TILES * 2 * A * B * CELLS + 3 * A * B * SIDE,
        # A bracket around the whole sum stays around its own part.
        (7 * A * S + 64 * S + TILES * 2 * A * B * CELLS + 5 * A * B * SIDE**2) * differs(SIDE, 11),
    )
    assert [(layer, sympy.expand(row)) for layer, row in case.rows] == [
        ("Layer0", 3 * A * VIEWS * VIEW), ("Layer1", 5 * A * VIEWS * VIEW**2 * differs(VIEW, 11))
    ]  # fmt: skip
    assert case.held is not None
    beside_views, beside_tiles = case.held
    prove_equal(beside_tiles, 7 * A * S + 64 * S)
    prove_equal(beside_views, 7 * A * S + 64 * S + 2 * TILES * A * B * CELLS)


def test_operators_that_differ_between_the_kinds_are_listed() -> None:
    on_tiles = TILES * (S + B * CELLS * TILE)
    for sums in (
        (on_tiles, S + B * SIDE, S + B * SIDE**2),  # more of them on the global views
        (on_tiles, TILES * (S + B * TILE), S + B * SIDE, S + B**2),  # one that is of no view
        (on_tiles, TILES * (S + B * CELLS * TILE**2), S + B * SIDE, S + 2 * B * SIDE**2),  # other ones
        # One under another condition.
        (on_tiles, TILES * differs(TILE, 11) * (S + B * CELLS * TILE**2), S + B * SIDE, S + B * SIDE**2),
    ):
        case = arrange_case(*sums)
        assert case.held is None
        assert [sympy.expand(row) for _, row in case.rows] == [sympy.expand(sum_) for sum_ in sums]
        lines, functions = case.typeset("F", FormulaReader(names=MODEL.dimensions.latex))
        assert (len(lines), functions) == (1 + len(sums), ())


def test_a_model_in_float32_is_a_case_of_its_own() -> None:
    """The peak is the sum of both, of which one holds: 1 / 8 of what is beside the bracket."""
    found = arrange(11 * A * S, 32 * B * S, in_float32=(5 * 32 * S,))
    assert [case.condition for case in found.cases] == [CAST, IN_FLOAT32]
    assert [[layer for layer, _ in case.rows] for case in found.cases] == [["Layer0", "Layer1"], ["Layer2"]]
    (text,) = map(print_display, found.typeset(FormulaReader(names=MODEL.dimensions.latex)))
    assert text == (
        "\\begin{aligned}\n"
        "& \\mathtt{peak\\_activation\\_bytes} = "
        "\\tfrac{1}{8} \\, \\left[ b_{\\mathrm{a}} \\ne 32 \\right] \\, \\max\\bigl( \\\\\n"
        "& \\quad 11 \\, b_{\\mathrm{a}} \\, S, && \\text{(Layer0)} \\\\\n"
        "& \\quad 32 \\, B_{\\mathrm{vis}} \\, S\\bigr) && \\text{(Layer1)} \\\\\n"
        "& {} + \\tfrac{1}{8} \\, \\left[ b_{\\mathrm{a}} = 32 \\right] \\, "
        "\\bigl(160 \\, S\\bigr) && \\text{(Layer2)}\n"
        "\\end{aligned}"
    )
    assert {CAST, IN_FLOAT32} <= set(found.printed)


def test_the_functions_of_both_cases_come_after_the_peak_and_have_two_names() -> None:
    def sums(width: Size) -> tuple[Size, ...]:
        return (
            TILES * (S + width * B * CELLS * TILE), TILES * (S + width * B * CELLS * TILE**2), S + width * B * SIDE,
            S + width * B * SIDE**2,
        )  # fmt: skip

    blocks = arrange(*sums(A), in_float32=sums(32)).typeset(FormulaReader(names=MODEL.dimensions.latex))
    peak, cast, in_float32 = map(print_display, blocks)
    names = (r"F^{\mathrm{vision}}_{\mathrm{peak}}", r"F^{\mathrm{vision'}}_{\mathrm{peak}}")
    assert [peak.count(name) for name in names] == [2, 2]
    assert cast.startswith(f"\\begin{{aligned}}\n& {names[0]}(n, s) = \\max\\bigl(")
    assert in_float32.startswith(f"\\begin{{aligned}}\n& {names[1]}(n, s) = \\max\\bigl(")


def test_a_peak_with_one_candidate_is_a_plain_formula() -> None:
    (text,) = map(print_display, arrange(16 * A * B * S).typeset(FormulaReader(names=MODEL.dimensions.latex)))
    assert text == (
        r"\mathtt{peak\_activation\_bytes} = \tfrac{1}{8} \, \left[ b_{\mathrm{a}} \ne 32 \right] \, "
        r"\bigl(16 \, b_{\mathrm{a}} \, B_{\mathrm{vis}} \, S\bigr)"
    )
