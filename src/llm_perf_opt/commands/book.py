"""The book of ``modelmeter publish --book``: formulas, studies and evidence as one PDF."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from modelmeter.analysis.evidence import Evidence
from modelmeter.publishing.book.source import BookInput, write_source
from modelmeter.publishing.book.study_pages import StudyChapter, list_studies, read_study
from modelmeter.publishing.book.typesetting import check_engine, typeset
from modelmeter.publishing.pages import build_pages, describe_common
from modelmeter.support.errors import OutputError
from modelmeter.support.files import describe_failure, read_text, replace_files

if TYPE_CHECKING:  # it needs sympy
    from modelmeter.compiled_model import CompiledModel


def write_book(
    target: Path, compiled: CompiledModel, *, evidence: Evidence | None = None, studies: Path | None = None
) -> int:
    """Write the book of a model, whole or not at all, and return how many bytes it has.

    Parameters
    ----------
    target
        The file; one that is there is replaced only if it is a PDF.
    evidence
        How the formulas were checked.
    studies
        A folder that ``modelmeter study --out`` wrote.

    Raises
    ------
    OutputError
        If TeX is missing or fails, something does not fit, the folder is none of studies, or the file is in the way.
    """
    check_engine()
    _check_target(target)
    chapters, pictures = ((), {}) if studies is None else _read_studies(studies)
    content = typeset(_write_source(compiled, evidence, chapters), pictures)
    with replace_files("the book") as open_file, open_file(target) as file:
        file.write(content)
    return len(content)


def _check_target(target: Path) -> None:
    try:
        if target.exists() and not target.read_bytes()[:5] == b"%PDF-":
            raise OutputError("the book would replace a file that is no PDF", place=str(target))
    except OSError as error:
        raise OutputError("the book cannot be written", place=str(target), found=describe_failure(error)) from None


def _write_source(compiled: CompiledModel, evidence: Evidence | None, chapters: tuple[StudyChapter, ...]) -> str:
    from modelmeter.compiler import find_evidence

    definition = compiled.definition
    pages = build_pages(
        definition=definition, model=compiled.model, totals=compiled.totals, peaks=compiled.peaks,
        catalogue=compiled.catalogue, defaults=compiled.defaults, evidence=find_evidence(compiled, evidence),
    )  # fmt: skip
    return write_source(
        BookInput(
            common=describe_common(pages, definition, compiled.model, name=compiled.name),
            pages=pages,
            version=version("modelmeter"),
            ids={(each.id.subject, each.id.metric): each.id for each in compiled.published_formulas()},
            studies=chapters,
            versions={} if evidence is None else evidence.versions,
        )
    )


def _read_studies(folder: Path) -> tuple[tuple[StudyChapter, ...], dict[str, bytes]]:
    """Return the studies in a folder, and their pictures by the names of their files."""
    try:
        names = list_studies(read_text(folder / "README.md"))
        chapters = tuple(read_study(name, read_text(folder / f"{name}.md")) for name in names)
        pictures = {
            f"{picture}.pdf": (folder / "pictures" / f"{picture}.pdf").read_bytes()
            for chapter in chapters
            for picture in chapter.pictures
        }
    except (OSError, UnicodeDecodeError) as error:
        raise OutputError(
            "the studies cannot be read", place=str(folder), found=describe_failure(error),
            remedy=f"write them with modelmeter study --out {folder}",
        ) from None  # fmt: skip
    if not names:
        raise OutputError(
            "these are no studies", place=str(folder), remedy=f"write them: modelmeter study --out {folder}"
        )
    return chapters, pictures
