"""What a book says, before it is written for a typesetter: the records of the pages, and studies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from attrs import field, frozen

from modelmeter.metrics.metric import METRICS, PEAK
from modelmeter.publishing.book.study_pages import StudyChapter
from modelmeter.publishing.identity import FormulaId
from modelmeter.publishing.page_spec import FormulaSection, Pages, SizeRow

_ONE_LAYER = "One layer"
"""The group of sizes that stand for something else in each layer."""


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
        The studies that the book has, in the language of the typesetter.
    versions
        Of the programs that took part in the checks.
    """

    common: Mapping[str, object]
    pages: Pages
    version: str
    ids: Mapping[tuple[str, str], FormulaId]
    studies: Sequence[StudyChapter] = field(factory=tuple)
    versions: Mapping[str, str] = field(factory=dict)


def describe_book(book: BookInput) -> dict[str, object]:
    """Return what the templates of books are given."""
    pages = book.pages
    defined = {row.name for title, rows in pages.sizes if title != _ONE_LAYER for row in rows}
    return {
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
        "symbol_index": list(_index_symbols(pages)),
        "peak": PEAK,
    }


def _index_symbols(pages: Pages) -> Iterator[tuple[SizeRow, list[str]]]:
    """Yield each size that is defined for the whole model, and the labels of the sections that use it."""
    sections = [(f"stage:{page.name}", page.section) for page in pages.stages]
    sections += [(f"layer:{page.name}", page.section) for page in pages.layers]
    for title, rows in pages.sizes:
        for row in rows if title != _ONE_LAYER else ():
            yield row, [label for label, section in sections if _has_symbol(section, row.name)]


def _has_symbol(section: FormulaSection, name: str) -> bool:
    return any(row.name == name for row in section.sizes)
