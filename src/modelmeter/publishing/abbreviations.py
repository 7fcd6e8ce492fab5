"""Parts of formulas that have a name of their own on the pages: those of a model, and those of any layer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import sympy

from modelmeter.backends.presentation.reader import FormulaReader
from modelmeter.backends.presentation.tree import Named
from modelmeter.dimensions.functions import IntegerFunction, RoutedReads
from modelmeter.dimensions.symbols import symbol
from modelmeter.layers.conv2d import convolved_size
from modelmeter.model.definition import Model
from modelmeter.model.presentation import Abbreviation
from modelmeter.publishing.formula import Formula
from modelmeter.support.errors import FormulaError


def name_parts(formulas: Iterable[Formula], model: Model, sizes: Mapping[str, int]) -> tuple[Abbreviation, ...]:
    """Return the abbreviations that may be in ``formulas``, what others are made of first.

    Parameters
    ----------
    model
        Whose formulas they are; it names parts of its own.
    sizes
        The architecture's sizes that are filled in.
    """
    named: dict[sympy.Expr, Abbreviation] = {}
    for abbreviation in (*model.list_abbreviations(sizes), *_convolved_sides(), *_expert_reads(formulas)):
        # The sizes of an architecture may make two of them one, or turn one into a plain size.
        if isinstance(abbreviation.expression, IntegerFunction):
            named.setdefault(abbreviation.expression, abbreviation)
    return tuple(named.values())


def used_abbreviations(
    abbreviations: Iterable[Abbreviation], reader: FormulaReader
) -> tuple[tuple[Abbreviation, Named], ...]:
    """Return the abbreviations that ``reader`` has read so far, each as it is shown.

    Raises
    ------
    FormulaError
        If two of them have one name.
    """
    definitions: dict[str, tuple[Abbreviation, Named]] = {}
    for abbreviation in reversed(tuple(abbreviations)):  # a definition uses the ones before it
        if abbreviation.expression not in reader.used:
            continue
        if abbreviation.latex in definitions:
            raise FormulaError("two parts of the formulas of a page have one name", found=abbreviation.latex)
        definitions[abbreviation.latex] = (
            abbreviation,
            Named(abbreviation.latex, reader.define(abbreviation.expression)),
        )
    return tuple(reversed(definitions.values()))


def _convolved_sides() -> list[Abbreviation]:
    kernel = {"kernel_size": symbol("kernel_size"), "stride": symbol("stride"), "padding": symbol("padding")}
    return [
        Abbreviation(
            latex=latex, meaning=f"output {side}", expression=sympy.sympify(convolved_size(symbol(side), **kernel))
        )
        for side, latex in (("height", r"H_{\mathrm{out}}"), ("width", r"W_{\mathrm{out}}"))
    ]


def _expert_reads(formulas: Iterable[Formula]) -> list[Abbreviation]:
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
        meaning = "expected weights read of one matrix of the experts"
        named.append(Abbreviation(latex=latex, meaning=meaning, expression=read))
    return named
