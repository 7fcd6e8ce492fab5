"""The book of ``modelmeter publish --book``: formulas, studies and evidence as one PDF."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from modelmeter.analysis.evidence import Evidence
from modelmeter.model.registry import DEFAULT
from modelmeter.publishing.book.contents import BookInput
from modelmeter.publishing.book.study_pages import StudyChapter, StudyLanguage, list_studies, read_study
from modelmeter.publishing.book.typesetters import choose_typesetter
from modelmeter.publishing.pages import build_pages, describe_common
from modelmeter.support.errors import OutputError
from modelmeter.support.files import describe_failure, read_text, replace_files

if TYPE_CHECKING:  # it needs sympy
    from modelmeter.compiled_model import CompiledModel


def publish_book(
    target: Path, *, check: bool, studies: Path | None, evidence: Path | None, graph: Path | None, model: str,
    typesetter: str | None = None,
) -> None:  # fmt: skip
    """Write the book, or compare it with the file, and say so; the parameters are the options of the command.

    Raises
    ------
    OutputError
        As :func:`make_book`; if the file is in the way, or where it is compared, differs.
    """
    from llm_perf_opt.commands.compile import FOLDER
    from llm_perf_opt.commands.sources import compile_graph, read_graph
    from llm_perf_opt.commands.verify import EVIDENCE_FILE
    from llm_perf_opt.terminal import print_lines, show_progress

    chosen_typesetter = choose_typesetter(typesetter)  # before seconds of work
    before = _read_target(target)
    shipped = FOLDER / EVIDENCE_FILE
    # As in the site: it is of the shipped model, and of the general layers it speaks of that one.
    chosen = evidence or (shipped if model == DEFAULT and shipped.is_file() else None)
    with show_progress() as begin:
        begin("compile the formulas")
        compiled = compile_graph(read_graph(graph, model), model)
        begin("set the book")
        content = make_book(
            compiled, evidence=None if chosen is None else Evidence.read(chosen), studies=studies, typesetter=typesetter
        )
        if check and content != before:
            raise OutputError(
                "the book is not the one that the formulas have", place=str(target),
                found="no file" if before is None else "another book",
                remedy=f"run modelmeter publish --book {target}",
            )  # fmt: skip
        if not check:
            begin("write the book")
            with replace_files("the book", makes_folders=True) as open_file, open_file(target) as file:
                file.write(content)
    state = "current" if check else "written"
    print_lines(f"{target}: {len(content) / 1e6:.1f} MB, set by {chosen_typesetter.name}, {state}")


def make_book(
    compiled: CompiledModel, *, evidence: Evidence | None = None, studies: Path | None = None,
    typesetter: str | None = None,
) -> bytes:  # fmt: skip
    """Return the book of a model as a PDF: the same bytes for the same formulas, evidence, studies and typesetter.

    Parameters
    ----------
    evidence
        How the formulas were checked.
    studies
        A folder that ``modelmeter study --out`` wrote.
    typesetter
        ``tex`` or ``typst``; by default the first that is installed.

    Raises
    ------
    OutputError
        If it is missing or fails, something does not fit, or the folder is none of studies.
    """
    chosen = choose_typesetter(typesetter)
    chapters, pictures = ((), {}) if studies is None else _read_studies(studies, chosen.studies)
    return chosen.typeset(chosen.write_source(_collect(compiled, evidence, chapters)), pictures)


def _read_target(target: Path) -> bytes | None:
    """Return what is in the file, or None where there is none; what is there and no PDF is refused."""
    try:
        found = target.read_bytes()
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise OutputError("the book cannot be written", place=str(target), found=describe_failure(error)) from None
    if not found.startswith(b"%PDF-"):
        raise OutputError("the book would replace a file that is no PDF", place=str(target), remedy="name another file")
    return found


def _collect(compiled: CompiledModel, evidence: Evidence | None, chapters: tuple[StudyChapter, ...]) -> BookInput:
    """Return what the book is made of."""
    from modelmeter.compiler import find_evidence

    definition = compiled.definition
    pages = build_pages(
        definition=definition, model=compiled.model, totals=compiled.totals, peaks=compiled.peaks,
        catalogue=compiled.catalogue, defaults=compiled.defaults, evidence=find_evidence(compiled, evidence),
    )  # fmt: skip
    return BookInput(
        common=describe_common(pages, definition, compiled.model, name=compiled.name),
        pages=pages,
        version=version("modelmeter"),
        ids={(each.id.subject, each.id.metric): each.id for each in compiled.published_formulas()},
        studies=chapters,
        versions={} if evidence is None else evidence.versions,
    )


def _read_studies(folder: Path, language: StudyLanguage) -> tuple[tuple[StudyChapter, ...], dict[str, bytes]]:
    """Return the studies in a folder, written in a language, and their pictures by the names of their files."""
    try:
        names = list_studies(read_text(folder / "README.md"))
        chapters = tuple(read_study(name, read_text(folder / f"{name}.md"), language) for name in names)
        pictures = {
            f"{picture}.pdf": (folder / "pictures" / f"{picture}.pdf").read_bytes()
            for chapter in chapters
            for picture in chapter.pictures
        }
    except (OSError, ValueError) as error:
        raise OutputError(
            "the studies cannot be read", place=str(folder), found=describe_failure(error),
            remedy=f"write them with modelmeter study --out {folder}",
        ) from None  # fmt: skip
    if not names:
        raise OutputError(
            "these are no studies", place=str(folder), remedy=f"write them: modelmeter study --out {folder}"
        )
    return chapters, pictures
