"""What a peak is made of: beside each operator that can be the largest, what is alive; each sum proved when made."""

from __future__ import annotations

from fractions import Fraction
from math import ceil

import sympy
from attrs import frozen

from modelmeter.analysis.brackets import multiply_out
from modelmeter.analysis.peak import Candidate, Live
from modelmeter.backends.presentation.reader import FormulaReader
from modelmeter.backends.presentation.tree import Display
from modelmeter.dimensions.sums import bits_to_bytes
from modelmeter.publishing.abbreviations import used_abbreviations
from modelmeter.publishing.formula import arrange_bits, display_shown
from modelmeter.publishing.page_input import PageInput, make_reader
from modelmeter.publishing.page_spec import Link, PartRow
from modelmeter.publishing.peak_formula import PeakFormula
from modelmeter.support.errors import FormulaError


@frozen(kw_only=True)
class LivePart:
    """Something alive: who wrote it, its formula in bytes, and its bytes at the defaults.

    Parameters
    ----------
    path, operator
        See :class:`~modelmeter.layers.tape.LiveElements`.
    """

    path: str
    operator: str
    lines: Display
    value: int | Fraction


@frozen(kw_only=True)
class PeakMoment:
    """An operator that can be the peak: its module and its layer, and what is alive when it has run.

    Parameters
    ----------
    value
        The bytes of all parts at the defaults.
    is_reached
        Whether this is the peak at the defaults.
    """

    path: str
    layer: Link
    parts: tuple[LivePart, ...]
    value: int | Fraction
    is_reached: bool


@frozen(kw_only=True)
class PeakDerivation:
    """The moments that a peak is the largest of, in the order of the forward, and the names in their formulas."""

    moments: tuple[PeakMoment, ...]
    names: tuple[PartRow, ...]

    @property
    def value(self) -> int:
        """The peak in bytes at the defaults, rounded up once."""
        return ceil(max(moment.value for moment in self.moments))


def derive_peak(source: PageInput, stage: str, formula: PeakFormula) -> PeakDerivation:
    """Return what the peak of a stage is made of.

    Raises
    ------
    FormulaError
        If what is alive beside an operator does not add up to its branch of the maximum, or the page shows the largest
        of other branches.
    """
    operators = source.peaks[stage].operators
    prove_peak(stage, operators, formula, source)
    reader, abbreviations = make_reader((), source.definition, source.architecture)
    largest = max(operators, key=lambda operator: source.value(operator.bits))
    moments = tuple(
        PeakMoment(
            path=operator.path, layer=_link(source, operator.layer),
            parts=tuple(_show(source, live, reader) for live in operator.alive),
            value=source.value(bits_to_bytes(operator.bits)), is_reached=operator is largest,
        )
        for operator in operators
    )  # fmt: skip
    names = tuple(
        PartRow(name=named, definition=named.inner, meaning=abbreviation.meaning)
        for abbreviation, named in used_abbreviations(abbreviations, reader)
    )
    return PeakDerivation(moments=moments, names=names)


def prove_peak(stage: str, operators: tuple[Candidate, ...], formula: PeakFormula, source: PageInput) -> None:
    """Prove that what is alive adds up to each branch of a maximum, and that the page shows the largest of these.

    Raises
    ------
    FormulaError
        If a difference, multiplied out, is not 0.
    """
    sums = [sympy.Add(*(live.bits for live in operator.alive)) for operator in operators]
    shown = [branch for case in formula.cases for branch in case.list_branches()]
    found = multiply_out([*(operator.bits for operator in operators), *sums, *shown], dimensions=source.dimensions)
    count = len(operators)
    branches, added, printed = found[:count], found[count : 2 * count], found[2 * count :]
    for operator, branch, total in zip(operators, branches, added, strict=True):
        if branch != total:
            raise FormulaError(
                "what is alive beside an operator does not add up to its part of the peak",
                place=f"{stage}, {operator.path or 'the model'}", expected=branch, found=total,
            )  # fmt: skip
    if {*branches} != {*printed}:
        raise FormulaError(
            "the page shows the largest of other sums than the peak is of", place=stage,
            expected=next(iter({*branches} - {*printed}), "none of them"),
            found=next(iter({*printed} - {*branches}), "none of them"),
        )  # fmt: skip


def _show(source: PageInput, live: Live, reader: FormulaReader) -> LivePart:
    arranged = arrange_bits(live.bits, source.definition)
    return LivePart(
        path=live.path, operator=live.operator, lines=display_shown("activation_bytes", arranged, reader),
        value=source.value(bits_to_bytes(live.bits)),
    )  # fmt: skip


def _link(source: PageInput, layer: str) -> Link:
    """Return the page of a layer class, by its name."""
    entry = next((entry for entry in source.catalogue if type(entry.layer).__name__ == layer), None)
    return Link(title=layer, page=f"layers/{entry.name}.md" if entry else "")
