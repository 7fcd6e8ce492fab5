"""Peaks as pages show them: one function for both kinds of views, or a list."""

from __future__ import annotations

import sympy

from modelmeter.emit.latex import FormulaPrinter
from modelmeter.emit.peak_formula import PeakFormula, arrange_peak
from modelmeter.functions import Size, differs, exceeds
from modelmeter.layers.tape import LiveOperator
from modelmeter.peak import Peak
from modelmeter.symbols import symbol

B, S, SIDE, TILE = map(symbol, ("batch_size", "seq_len", "base_size", "image_size"))
VIEWS, VIEW = symbol("num_views"), symbol("view_size")
CELLS = symbol("num_width_tiles") * symbol("num_height_tiles")
TILES = exceeds(CELLS, 1)


def arrange(*sums: Size) -> PeakFormula:
    operators = tuple(
        LiveOperator(path="", layer=f"Layer{n}", elements=sum_, at_most=sum_) for n, sum_ in enumerate(sums)
    )
    return arrange_peak("vision", Peak(operators=operators))


def test_views_of_both_kinds_are_one_function_beside_what_is_held() -> None:
    found = arrange(
        TILES * (7 * B * S + 3 * B * CELLS * TILE),
        TILES * (7 * B * S + 5 * B * CELLS * TILE**2) * differs(TILE, 11),
        7 * B * S + TILES * 2 * B * CELLS + 3 * B * SIDE,
        # A bracket around the whole sum stays around its own part.
        (7 * B * S + TILES * 2 * B * CELLS + 5 * B * SIDE**2) * differs(SIDE, 11),
    )
    assert [(layer, sympy.expand(row)) for layer, row in found.rows] == [
        ("Layer0", 3 * VIEWS * VIEW), ("Layer1", 5 * VIEWS * VIEW**2 * differs(VIEW, 11))
    ]  # fmt: skip
    assert found.held is not None
    assert [sympy.expand(held) for held in found.held] == [7 * B * S + 2 * TILES * B * CELLS, 7 * B * S]
    peak, function = found.typeset(FormulaPrinter())
    assert peak.count("F^") == 2
    assert function.startswith("\\begin{aligned}\n& F^")


def test_operators_that_differ_between_the_kinds_are_listed() -> None:
    on_tiles = TILES * (S + B * CELLS * TILE)
    for sums in (
        (on_tiles, S + B * SIDE, S + B * SIDE**2),  # more of them on the global views
        (on_tiles, TILES * (S + B * TILE), S + B * SIDE, S + B**2),  # one that is of no view
        (on_tiles, TILES * (S + B * CELLS * TILE**2), S + B * SIDE, S + 2 * B * SIDE**2),  # other ones
        # One under another condition.
        (on_tiles, TILES * differs(TILE, 11) * (S + B * CELLS * TILE**2), S + B * SIDE, S + B * SIDE**2),
    ):
        found = arrange(*sums)
        assert found.held is None
        assert [sympy.expand(row) for _, row in found.rows] == [sympy.expand(sum_) for sum_ in sums]
        assert len(found.typeset(FormulaPrinter())) == 1


def test_a_peak_with_one_candidate_is_a_plain_formula() -> None:
    (text,) = arrange(16 * B * S).typeset(FormulaPrinter())
    assert text == r"\mathtt{peak\_activation\_bytes} = 2 \, b_{\mathrm{a}} \, B \, S"
