"""Every formula as an entry of the site: its id, its value, what is in it, what adds up to it, and copies of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import sympy
from attrs import evolve, field, frozen
from sympy.printing.str import StrPrinter

from modelmeter.backends.latex.printer import print_block
from modelmeter.backends.presentation.tree import Display, Named, Sign, Tree, walk
from modelmeter.dimensions.symbols import names_of
from modelmeter.metrics.metric import METRIC_RECORDS, PEAK
from modelmeter.model.definition import Model
from modelmeter.publishing.citation import write_bibtex
from modelmeter.publishing.derivation.derivation import Derivation, DerivationMaker
from modelmeter.publishing.derivation.peaks import PeakDerivation, derive_peak
from modelmeter.publishing.formula import Formula, is_bytes
from modelmeter.publishing.identity import FormulaId
from modelmeter.publishing.page_spec import (
    FormulaSection,
    LayerPage,
    Link,
    MetricBlock,
    PartRow,
    SizeRow,
    StagePage,
)
from modelmeter.publishing.peak_formula import PeakFormula
from modelmeter.publishing.site.copies import write_javascript, write_json, write_python, write_sql
from modelmeter.support.errors import FormulaError

EvaluateEntry = Callable[[str, str], int]
"""The value that the generated evaluators have for a metric of a stage or a layer, by their names, at the defaults."""


@frozen(kw_only=True)
class Entry:
    """A formula of the site.

    Parameters
    ----------
    id
        Its permanent id.
    displays, parts_named, sizes
        The formula, the names in it that stand for a part, and its symbols.
    value, unit
        At the default sizes.
    meaning
        Of the metric.
    derivation
        What adds up to it; a peak has none.
    reached, peak
        Of a peak, the layer in which it is reached, and its page; and the moments that it is the largest of.
    copies
        By language.
    """

    id: FormulaId
    displays: tuple[Display, ...]
    parts_named: tuple[PartRow, ...]
    sizes: tuple[SizeRow, ...]
    value: int
    unit: str
    meaning: str
    derivation: Derivation | None
    reached: Link | None
    copies: Mapping[str, str]
    peak: PeakDerivation | None = None

    @property
    def anchor(self) -> str:
        """The fragment of its address."""
        return f"{self.id.metric}@{self.id.short_digest}"


@frozen(kw_only=True)
class EntryMaker:
    """Makes the entries of a model.

    Parameters
    ----------
    model, title, version
        The family, the name of the model, and the version of the compiler.
    ids
        Of all formulas, by what they are of and their metric.
    evaluate
        What the generated evaluators say.
    derivations
        What makes the derivations, and proves them.
    programs
        What ``formulas.json`` says of each formula, by its id.
    """

    model: Model
    title: str
    version: str
    ids: Mapping[tuple[str, str], FormulaId]
    evaluate: EvaluateEntry
    derivations: DerivationMaker
    programs: Mapping[str, Mapping[str, Any]]
    _printer: InfixPrinter = field(init=False, factory=lambda: InfixPrinter())

    def of_stage(self, page: StagePage) -> list[Entry]:
        """Return the entries of the page of a stage, in the order of the page."""
        call = f"{self.model.package}.{page.name}"
        derived = self.derivations.of_stage(page)
        entries = [
            self._make(page.name, block, page.section, derived[block.metric], call) for block in page.section.metrics
        ]
        if page.peak is not None and page.peak.formula is not None:
            entries.append(self._make_peak(page))
        return entries

    def of_layer(self, page: LayerPage) -> list[Entry]:
        """Return the entries of the page of a layer class."""
        public = self.model.layer_names.get(page.name, page.name)
        call = f"{self.model.package}.layers.{public}"
        derived = self.derivations.of_layer(page)
        return [
            self._make(page.name, block, page.section, derived[block.metric], call) for block in page.section.metrics
        ]

    def _make(
        self, subject: str, block: MetricBlock, section: FormulaSection, derivation: Derivation, call: str
    ) -> Entry:
        names = {name for part in block.formula.parts for shown in part.printed for name in names_of(shown)}
        named = list_named(list_trees(block.blocks), section.parts)
        names |= {name for row in named for name in _names_in(row.definition)}
        return self._finish(
            subject, block.metric, block.blocks, named, [row for row in section.sizes if row.name in names],
            block.value, derivation, None, write_infix(block.formula, self._printer), call,
        )  # fmt: skip

    def _make_peak(self, page: StagePage) -> Entry:
        peak = page.peak
        assert peak is not None
        assert peak.formula is not None
        names = {name for shown in peak.formula.printed for name in names_of(shown)}
        derived = derive_peak(self.derivations.source, page.name, peak.formula)
        entry = self._finish(
            page.name, PEAK, peak.blocks, list_named(list_trees(peak.blocks), page.section.parts),
            [row for row in page.section.sizes if row.name in names], peak.value,
            None, peak.place, write_peak_infix(peak.formula, self._printer), f"{self.model.package}.{page.name}",
        )  # fmt: skip
        if derived.value != entry.value:
            raise FormulaError(
                "the moments on the page are not of the peak", place=str(entry.id), expected=entry.value,
                found=derived.value,
            )  # fmt: skip
        return evolve(entry, peak=derived)

    def _finish(
        self,
        subject: str,
        metric: str,
        displays: tuple[Display, ...],
        named: Sequence[PartRow],
        sizes: Sequence[SizeRow],
        value: int,
        derivation: Derivation | None,
        reached: Link | None,
        infix: str,
        call: str,
    ) -> Entry:
        found = self.ids[subject, metric]
        generated = self.evaluate(subject, metric)
        if generated != value:
            raise FormulaError(
                "a number on the page is not the evaluator's", place=str(found), expected=generated, found=value,
                remedy="run modelmeter compile --out there, and build the site again",
            )  # fmt: skip
        if derivation is not None and derivation.value != value:
            raise FormulaError(
                "the parts on the page do not add up", place=str(found), expected=value, found=derivation.value
            )
        return Entry(
            id=found, displays=displays, parts_named=tuple(named), sizes=tuple(sizes), value=value,
            unit=METRIC_RECORDS[metric].unit, meaning=METRIC_RECORDS[metric].meaning, derivation=derivation,
            reached=reached,
            copies={
                "LaTeX": "\n".join(map(print_block, displays)),
                "Python": write_python(call, metric, sizes, value),
                "JavaScript": write_javascript(call, metric, sizes, value),
                "SQL": write_sql(call, metric, sizes, value),
                "JSON": write_json(found, self.programs[str(found)], self._find_sizes(subject), infix, value),
                "BibTeX": write_bibtex(found, title=self.title, version=self.version),
            },
        )  # fmt: skip

    def _find_sizes(self, subject: str) -> dict[str, int]:
        """Return the default sizes of a stage or a layer, whose own sizes are those of one of its calls."""
        source = self.derivations.source
        of_layer = next((entry.sizes for entry in source.catalogue if entry.name == subject), {})
        return {**source.defaults, **of_layer}


class InfixPrinter(StrPrinter):  # type: ignore[misc]  # sympy ships no types for it
    """Prints formulas as ``str`` does; what occurs in many of them is printed once."""

    def __init__(self) -> None:
        super().__init__()
        self._printed: dict[sympy.Basic, str] = {}

    def _print(self, expr: Any, **options: Any) -> str:
        if not isinstance(expr, sympy.Basic):
            return str(super()._print(expr, **options))
        if expr not in self._printed:
            self._printed[expr] = str(super()._print(expr, **options))
        return self._printed[expr]


def write_infix(formula: Formula, printer: InfixPrinter) -> str:
    """Return a formula in the syntax of Python, with the integer functions by their names."""
    texts = (printer.doprint(part.shown) for part in formula.parts)
    parts = [f"({text})/8" if is_bytes(formula.metric) else f"({text})" for text in texts]
    return " + ".join(parts) if formula.combination == "sum" else f"Max({', '.join(parts)})"


def write_peak_infix(peak: PeakFormula, printer: InfixPrinter) -> str:
    """Return a peak in the same syntax, where no part of it is a function of views; else nothing."""
    if any(case.held is not None for case in peak.cases):
        return ""
    cases = (
        f"{printer.doprint(case.condition)}*Max({', '.join(printer.doprint(row) for _, row in case.rows)})/8"
        for case in peak.cases
    )
    return " + ".join(cases)


def to_html_path(page: str) -> str:
    """Return where the page of a Markdown file is in the site."""
    return f"{page.removesuffix('.md')}.html" if page else ""


def list_named(trees: Iterable[Tree], parts: Sequence[PartRow]) -> list[PartRow]:
    """Return the names in formulas, and those in what they stand for, in the order of the page.

    Raises
    ------
    FormulaError
        If a name is not among ``parts``.
    """
    letters: set[str] = set()
    pending = list(trees)
    while pending:
        for tree in walk(pending.pop()):
            if isinstance(tree, Named) and tree.letter not in letters:
                letters.add(tree.letter)
                pending.append(tree.inner)
    for missing in sorted(letters - {row.name.letter for row in parts}):
        raise FormulaError("a name in a formula is not explained on its page", found=missing)
    return [row for row in parts if row.name.letter in letters]


def list_trees(displays: Iterable[Display]) -> Iterator[Tree]:
    """Yield the formulas of displays."""
    return (piece for display in displays for line in display for piece in line.pieces if not isinstance(piece, Sign))


def _names_in(tree: Tree) -> Iterator[str]:
    for each in walk(tree):
        name = getattr(each, "name", None)
        if name is not None:
            yield name
