"""Parts of formulas that have a name of their own on the pages: grids, windows, head sizes, expert reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import sympy
from attrs import frozen

from modelmeter.core.functions import IntegerFunction, RoutedReads, Size, ceil_div, floor_div
from modelmeter.core.symbols import symbol
from modelmeter.layers.conv2d import convolved_size
from modelmeter.publishing.formula import CALLS, TILES, Formula
from modelmeter.publishing.latex import FormulaPrinter
from modelmeter.support.errors import FormulaError


@frozen(kw_only=True)
class Quantity:
    """A part of formulas with its name."""

    latex: str
    meaning: str
    expression: sympy.Expr


def name_parts(formulas: Iterable[Formula], sizes: Mapping[str, int]) -> tuple[Quantity, ...]:
    """Return the quantities that may be in ``formulas``, what others are made of first.

    Parameters
    ----------
    sizes
        The architecture's sizes that are filled in.
    """
    named: dict[sympy.Expr, Quantity] = {}
    for quantity in (*_vision_quantities(sizes), *_layer_quantities(), *_expert_reads(formulas)):
        # The sizes of an architecture may make two of them one, or turn one into a plain size.
        if isinstance(quantity.expression, IntegerFunction):
            named.setdefault(quantity.expression, quantity)
    return tuple(named.values())


def used_quantities(quantities: Iterable[Quantity], printer: FormulaPrinter) -> tuple[tuple[Quantity, str], ...]:
    """Return the quantities that ``printer`` printed so far, each with the LaTeX of its definition.

    Raises
    ------
    FormulaError
        If two of them have one name.
    """
    definitions: dict[str, tuple[Quantity, str]] = {}
    for quantity in reversed(tuple(quantities)):  # a definition uses the ones before it
        if quantity.expression not in printer.used:
            continue
        if quantity.latex in definitions:
            raise FormulaError("two parts of the formulas of a page have one name", found=quantity.latex)
        definitions[quantity.latex] = (quantity, printer.define(quantity.expression))
    return tuple(reversed(definitions.values()))


def _quantity(latex: str, meaning: str, expression: Size) -> Quantity:
    return Quantity(latex=latex, meaning=meaning, expression=sympy.sympify(expression))


def _vision_quantities(sizes: Mapping[str, int]) -> list[Quantity]:
    """Return the grids of the global view, of a tile, and of any view."""
    found = [
        _quantity(r"\tau", "1 where a page is cut into tiles, else 0", TILES),
        _quantity("C", "calls of the vision towers for one image of each prompt", CALLS),
    ]
    for side, label, of_what in (
        ("base_size", "base", "of the global view"),
        ("image_size", "tile", "of a tile"),
        ("view_size", "", "of a view"),
    ):
        patch, window = (sizes.get(name, symbol(name)) for name in ("sam_patch_size", "sam_window_size"))
        found += _grids(floor_div(symbol(side), patch), window, label, of_what)
    patches = floor_div(symbol("view_size"), symbol("patch_size"))
    found += _grids(patches, symbol("window_size"), "", "of a view")
    windows = ceil_div(symbol("grid_size"), symbol("window_size"))
    return [*found, _quantity(r"m_{\mathrm{win}}", "windows along a side of the grid", windows)]


def _grids(patches: Size, window: Size, label: str, of_what: str) -> list[Quantity]:
    """Return the grids that a view has on its way through SAM."""

    def name(base: str, kind: str) -> str:
        return rf"{base}_{{\mathrm{{{','.join(word for word in (kind, label) if word)}}}}}"

    return [
        _quantity(name("g", "patch"), f"patches along a side {of_what}", patches),
        _quantity(name("m", "win"), f"attention windows along a side {of_what}", ceil_div(patches, window)),
        _quantity(name("g", "half"), f"positions along a side {of_what}, halved once", ceil_div(patches, 2)),
        _quantity(name("g", "" if label else "tok"), f"image tokens along a side {of_what}", ceil_div(patches, 4)),
    ]


def _layer_quantities() -> list[Quantity]:
    heads = [
        _quantity(r"d_{\mathrm{head}}", "channels of one head", floor_div(symbol("hidden_size"), symbol(count)))
        for count in ("num_attention_heads", "num_heads")
    ]
    kernel = {"kernel_size": symbol("kernel_size"), "stride": symbol("stride"), "padding": symbol("padding")}
    sides = [
        _quantity(latex, f"output {side}", convolved_size(symbol(side), **kernel))
        for side, latex in (("height", r"H_{\mathrm{out}}"), ("width", r"W_{\mathrm{out}}"))
    ]
    return [*heads, *sides]


def _expert_reads(formulas: Iterable[Formula]) -> list[Quantity]:
    """Return a name for each number of expert weights that is read, after the stage that reads it."""
    reads: dict[sympy.Expr, str] = {}
    for formula in formulas:
        for part in formula.parts:
            for read in sorted(part.shown.atoms(RoutedReads), key=str):
                reads.setdefault(read, part.label)
    labels = list(reads.values())
    named = []
    for read, label in reads.items():
        place = labels[: list(reads).index(read) + 1].count(label) if labels.count(label) > 1 else ""
        words = ",".join(word for word in (label, str(place)) if word)
        latex = rf"R_{{\mathrm{{{words}}}}}" if words else "R"
        named.append(_quantity(latex, "expected weights read of one matrix of the experts", read))
    return named
