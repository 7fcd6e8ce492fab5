"""The page about the bytes of both implementations, as text."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version

import sympy
from attrs import frozen
from sympy import prime

from modelmeter.algebra.readable import factor_readably
from modelmeter.backends.latex.printer import print_display, print_latex
from modelmeter.backends.presentation.layout import Pieces, bracket, break_lines, end
from modelmeter.backends.presentation.reader import FormulaReader
from modelmeter.backends.presentation.tree import Group, Line, Sign
from modelmeter.dimensions.evaluate import evaluate
from modelmeter.dimensions.functions import Size, bounded_routed_reads
from modelmeter.models.deepseek_ocr.architecture import DeepSeekOCRArchitecture
from modelmeter.models.deepseek_ocr.dimensions import DIMENSIONS, symbol
from modelmeter.models.deepseek_ocr.proofs.foreign_bytes.expert_causes import TAKING_PART
from modelmeter.publishing.text import format_number
from modelmeter.support.markdown import escape_markdown
from modelmeter.support.templates import open_templates
from modelmeter.verify.foreign_bytes.causes import Cause
from modelmeter.verify.foreign_bytes.comparison import Peaks, Traffic

MOST_LINES = 3
"""Of a formula in the names of sizes; where it is longer, the sizes of the architecture are filled in."""


@frozen(kw_only=True)
class Section:
    """A case of the page.

    Parameters
    ----------
    title
        Of the case.
    traffic, peaks
        What was found.
    formula_bytes, formula_peak
        What our formulas say that the same stage moves, and keeps alive; None for a part of a stage.
    """

    title: str
    traffic: Traffic
    peaks: Peaks
    formula_bytes: int
    formula_peak: int | None


def render_page(sections: Sequence[Section], architecture: DeepSeekOCRArchitecture) -> str:
    """Return the page, the same for the same counts and versions."""
    environment = open_templates("modelmeter.models.deepseek_ocr.proofs.foreign_bytes", number=_number, ratio=_ratio)
    causes = {cause.name: cause for section in sections for cause, _ in section.traffic.causes}
    names = {name for cause in causes.values() for name in DIMENSIONS.symbols_of(cause.each_bytes * cause.times)}
    reader = FormulaReader(names=DIMENSIONS.latex)
    return environment.get_template("bytes.md.jinja").render(
        sections=sections,
        versions={package: version(package).partition("+")[0] for package in ("torch", "transformers")},
        formulas={name: typeset_cause(cause, architecture) for name, cause in causes.items()},
        sizes=[
            (print_latex(reader.read(symbol(name))), dimension)
            for name in DIMENSIONS.sort(names)
            for dimension in (DIMENSIONS.describe(name),)
        ],
    )


def typeset_cause(cause: Cause, architecture: DeepSeekOCRArchitecture) -> str:
    """Return the bytes that a cause adds, as a displayed formula."""
    lines = _break(cause.each_bytes, cause.times)
    if len(lines) > MOST_LINES:
        numbers = {symbol(name): sympy.Integer(size) for name, size in architecture.dimension_values().items()}
        lines = _break(sympy.expand(cause.each_bytes.xreplace(numbers)), sympy.sympify(cause.times).xreplace(numbers))
    return print_display(tuple(map(Line, lines)))


def _break(each: sympy.Expr, times: Size) -> list[Pieces]:
    """Return a formula in lines; one that takes bytes away, where its sizes are large, starts with its sign."""
    reader = FormulaReader({TAKING_PART: r"E_{\mathrm{hit}}"}, names=DIMENSIONS.latex)
    sign: Pieces = (Sign.NEGATION,) if _is_negative(each) else ()
    shown = factor_readably(-each if sign else each, DIMENSIONS)
    lines = break_lines(reader.read(shown))
    if times != 1:
        factor = Group(reader.read(times))
        if shown.is_Add:
            return bracket((*sign, factor, Sign.TIMES), lines)
        lines = end(lines, Sign.TIMES, factor)
    return bracket(sign, lines) if sign and shown.is_Add else [(*sign, *lines[0]), *lines[1:]]


def _is_negative(formula: sympy.Expr) -> bool:
    """Tell whether a formula is below 0 where all sizes are large and unlike each other."""
    values = {name: prime(1000 + 10 * place) for place, name in enumerate(DIMENSIONS.symbols_of(formula))}
    return bool(evaluate(formula, values, routed_reads=bounded_routed_reads) < 0)


def _number(value: int) -> str:
    return f"\u2212{_number(-value)}" if value < 0 else escape_markdown(format_number(value))


def _ratio(count: int, exact: int) -> str:
    return f"{count / exact:.2f}"
