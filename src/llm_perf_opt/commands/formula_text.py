"""Formulas of a page as text for a terminal: metrics with their parts, and peaks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from textwrap import wrap
from typing import Final

import sympy
from attrs import frozen

from modelmeter.algebra.unevaluated import multiply
from modelmeter.backends.presentation.reader import FormulaReader
from modelmeter.backends.terminal.printer import Line, print_dot, print_lines, print_text
from modelmeter.model.presentation import Repetition
from modelmeter.publishing.formula import EIGHTH, Formula, is_bytes
from modelmeter.publishing.peak_formula import PeakCase, PeakFormula

LARGEST_STAGE: Final = "the largest peak of the stages"


@frozen(kw_only=True)
class FormulaText:
    """Writes the formulas of a page.

    Parameters
    ----------
    reader
        Reads formulas.
    width
        Columns of the terminal.
    unicode
        Whether it shows more than ASCII.
    """

    reader: FormulaReader
    width: int
    unicode: bool

    def write_metric(self, formula: Formula) -> str:
        """Return a metric; of several parts, first how they are combined."""
        return self._join(self._lay_out(formula))

    def write_peak(self, peak: PeakFormula | None) -> str:
        """Return a peak: what can be the largest, and where; then the function of views in it, if any."""
        if peak is None:
            return self._join([Line(1, LARGEST_STAGE)])
        cases = (self._lay_out_case(case, f"peak_of{chr(39) * number}") for number, case in enumerate(peak.cases))
        return self._join(line for lines in cases for line in lines)

    def _lay_out(self, formula: Formula) -> Iterator[Line]:
        parts = formula.parts
        if len(parts) > 1:
            labels = [part.label for part in parts]
            yield Line(1, " + ".join(labels) if formula.combination == "sum" else f"max({', '.join(labels)})")
        for part in parts:
            if len(parts) > 1:
                yield Line(0, f"{part.label} =")
            shown = part.shown
            if part.per_view is not None and part.repetition is not None:
                words = _Words(self, part.repetition, f"{part.label}_of")
                yield Line(1, f"{words.factors}{self._dot}(")
                yield Line(2, words.always)
                yield Line(2, f"+ {words.condition}{self._dot}{words.sometimes}")
                yield Line(1, ")")
                yield Line(0, f"{words.any_view} =")
                shown = part.per_view
            in_bytes = multiply([sympy.Rational(1, 8), shown]) if is_bytes(formula.metric) else shown
            yield from _indent(self._break(in_bytes, 2))

    def _lay_out_case(self, case: PeakCase, function: str) -> Iterator[Line]:
        """Yield the lines of a peak where a condition holds; the peak is the sum over the conditions."""
        eighth = print_text(EIGHTH, unicode=self.unicode)
        largest = f"+ {eighth}{self._dot}{self.write(case.condition)}{self._dot}max("
        rows = [(f"in {layer}", self._break(row, 6)) for layer, row in case.rows]
        if case.held is None or case.repetition is None:
            yield from _list_rows(largest, rows)
            return
        words, repetition = _Words(self, case.repetition, function), case.repetition
        beside_always, beside_sometimes = (self._break(held, 6) for held in case.held)
        inner = [*beside_sometimes, Line(0, f"+ {words.sometimes}")]
        kinds = [
            (f"of the {repetition.always.name}", [*beside_always, Line(0, f"+ {words.always}")]),
            (
                f"of the {repetition.sometimes.name}",
                [Line(0, f"{words.condition}{self._dot}("), *_indent(inner), Line(0, ")")],
            ),
        ]
        yield from _list_rows(largest, kinds)
        yield Line(0, f"{words.any_view} =")
        yield from _list_rows("max(", rows)

    def write(self, formula: sympy.Expr) -> str:
        """Return a formula on one line, however wide the terminal is."""
        return print_text(self.reader.read(formula), unicode=self.unicode)

    def _break(self, formula: sympy.Expr, taken: int) -> list[Line]:
        """Return the lines of a formula beside the columns that are ``taken``."""
        return print_lines(self.reader.read(formula), width=self.width - taken, unicode=self.unicode)

    @property
    def _dot(self) -> str:
        return print_dot(unicode=self.unicode)

    def _join(self, lines: Iterable[Line]) -> str:
        """Return the lines indented; one that is too long goes on further in."""
        return "\n".join(
            text
            for line in lines
            for text in wrap(
                line.text, self.width, initial_indent=line.depth * "  ", subsequent_indent=(line.depth + 2) * "  ",
                break_long_words=False,
            )
        )  # fmt: skip


@frozen
class _Words:
    """A function of one kind of views, and what stands around it, as text."""

    text: FormulaText
    repetition: Repetition
    function: str

    @property
    def factors(self) -> str:
        return print_dot(unicode=self.text.unicode).join(map(self.text.write, self.repetition.factors))

    @property
    def condition(self) -> str:
        return self.text.write(self.repetition.condition)

    @property
    def always(self) -> str:
        return self._call(self.repetition.always.sizes)

    @property
    def sometimes(self) -> str:
        return self._call(self.repetition.sometimes.sizes)

    @property
    def any_view(self) -> str:
        return self._call(self.repetition.parameters)

    def _call(self, sizes: Iterable[sympy.Expr]) -> str:
        return f"{self.function}({', '.join(map(self.text.write, sizes))})"


def _list_rows(head: str, rows: Iterable[tuple[str, Iterable[Line]]]) -> Iterator[Line]:
    """Yield the lines of a maximum, of each row after what it is."""
    yield Line(1, head)
    for label, lines in rows:
        yield Line(2, f"{label}:")
        yield from _indent(lines, 3)
    yield Line(1, ")")


def _indent(lines: Iterable[Line], depth: int = 1) -> Iterator[Line]:
    for line in lines:
        yield Line(line.depth + depth, line.text)
