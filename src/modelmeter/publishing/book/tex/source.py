"""The LaTeX of the book: the records of the pages, and studies, in one template."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from attrs import field, frozen

from modelmeter.backends.latex.printer import print_block, print_label, print_line, visible_width
from modelmeter.backends.presentation.tree import Display
from modelmeter.core.metrics import METRICS, PEAK
from modelmeter.publishing.book.prose import write_code, write_prose
from modelmeter.publishing.book.study_pages import StudyChapter
from modelmeter.publishing.identity import FormulaId
from modelmeter.publishing.page_spec import FormulaSection, Pages, SizeRow
from modelmeter.publishing.pages import open_latex_templates, tidy

_WIDTH: Final = 64
"""Letters of a line of formulas and of what it is of, side by side."""

_MOST_LETTERS: Final = 56
"""Letters of a line that surely fits."""

_NEXT: Final = "\n"


@frozen(kw_only=True)
class BookInput:
    """What a book is made of.

    Parameters
    ----------
    common
        What all templates of pages are given.
    pages
        The records of the pages.
    version
        Of the compiler.
    ids
        The id of each formula, by stage or layer and metric.
    studies
        The studies that the book has.
    versions
        Of the programs that took part in the checks.
    """

    common: Mapping[str, object]
    pages: Pages
    version: str
    ids: Mapping[tuple[str, str], FormulaId]
    studies: Sequence[StudyChapter] = field(factory=tuple)
    versions: Mapping[str, str] = field(factory=dict)


def write_source(book: BookInput) -> str:
    """Return the LaTeX of a book."""
    pages = book.pages
    environment = open_latex_templates()
    environment.filters.update(code=write_code, prose=write_prose)
    environment.globals = {**environment.globals, "block": write_block}
    defined = {row.name for title, rows in pages.sizes if title != "One layer" for row in rows}
    return tidy(
        environment.get_template("book.tex.jinja").render(
            **{
                **book.common,
                "version": book.version,
                "ids": {key: str(found) for key, found in book.ids.items()},
                "studies": book.studies,
                "versions": book.versions,
                "defined": defined,
                "layer_labels": {f"layers/{page.name}.md": f"layer:{page.name}" for page in pages.layers},
                "traffic": METRICS.index("io_bytes"),
                "stage_count": len(pages.stages),
                "layer_count": len(pages.layers),
                "symbol_index": list(_index_symbols(pages, defined)),
                "peak": PEAK,
            }
        )
    )


def write_block(display: Display) -> str:
    r"""Return a displayed formula that may go on over a page; what its lines are of stands above them if too wide."""
    if len(display) == 1:
        return print_block(display)
    rows = [(print_line(line), print_label(line)) for line in display]
    widest = max(visible_width(body) for body, _ in rows) + max(visible_width(note) for _, note in rows)
    texts = [_write_row(body, note, is_beside=widest <= _WIDTH) for body, note in rows]
    return "\n".join([r"\begin{align*}", rf" \\{_NEXT}".join(texts), r"\end{align*}"])


def _write_row(body: str, note: str, *, is_beside: bool) -> str:
    """Return a line of a formula, with what the lines from here on are of beside it or above it."""
    if not note:
        return _fit(body)
    return f"& {body} && {note}" if is_beside else rf"& \quad {note} \\*{_NEXT}{_fit(body)}"


def _fit(body: str) -> str:
    r"""Return a line of a formula, in smaller letters if it is too wide for the page."""
    return f"& {body}" if visible_width(body) <= _MOST_LETTERS else rf"& \fitline{{{body}}}"


def _index_symbols(pages: Pages, defined: set[str]) -> Iterator[tuple[SizeRow, list[str]]]:
    """Yield each size that is defined for the whole model, and the labels of the sections that use it."""
    sections = [(f"stage:{page.name}", page.section) for page in pages.stages]
    sections += [(f"layer:{page.name}", page.section) for page in pages.layers]
    for title, rows in pages.sizes:
        for row in rows if title != "One layer" else ():
            yield row, [label for label, section in sections if _has_symbol(section, row.name)]


def _has_symbol(section: FormulaSection, name: str) -> bool:
    return any(row.name == name for row in section.sizes)
