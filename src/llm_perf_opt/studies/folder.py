"""All files of studies, as bytes by path; and writing them where nothing of others is in the way."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from llm_perf_opt.reporting.folder import write_folder
from llm_perf_opt.studies.markup import to_latex
from llm_perf_opt.studies.pages import INDEX, picture_path, render_index, render_page, table_path
from modelmeter.scaling.studies import Book, Card, Column, StudyTable
from modelmeter.support.errors import OutputError

_EXTRAS: Final = {"pyarrow": "sweep", "matplotlib": "plot"}


def check_extras() -> None:
    """Refuse to begin where a package for tables or pictures is missing.

    Raises
    ------
    OutputError
        If one is.
    """
    for package, extra in _EXTRAS.items():
        try:
            __import__(package)
        except ModuleNotFoundError as error:
            raise OutputError(
                f"the files of studies need {package}", found=str(error), remedy=f"pip install 'modelmeter[{extra}]'"
            ) from None


def render_files(
    book: Book, cards: tuple[Card, ...] = (), *, begin: Callable[[str], object] = lambda _: None
) -> dict[str, str | bytes]:
    """Return the pages, tables, pictures and statements by path below a folder."""
    from llm_perf_opt.studies import pictures, tables  # these need the extras

    files: dict[str, str | bytes] = {INDEX: render_index(book, cards)}
    begin("write pages and tables")
    for found in book.findings:
        files[f"{found.study.id}.md"] = render_page(book, found)
        for table in found.tables:
            files[table_path(found.study.id, table.name, "csv")] = tables.to_csv(table)
            files[table_path(found.study.id, table.name, "parquet")] = tables.to_parquet(table)
            files[table_path(found.study.id, table.name, "tex")] = to_latex(table)
    files["statements.json"] = json.dumps(book.to_json(), indent=1, ensure_ascii=False) + "\n"
    listed = list_statements(book)
    files["tables/statements.csv"] = tables.to_csv(listed)
    files["tables/statements.parquet"] = tables.to_parquet(listed)
    begin("draw pictures")
    for found in book.findings:
        for picture in found.pictures:
            for suffix, content in pictures.draw(picture).items():
                files[picture_path(found.study.id, picture.name, suffix)] = content
    return files


def list_statements(book: Book) -> StudyTable:
    """Return all statements as a table."""
    names = ("id", "kind", "value", "formula", "domain", "known", "sentence")
    return StudyTable(
        name="statements", title="All statements", columns=tuple(Column(name=name) for name in names),
        rows=tuple(
            (
                each.id, each.kind, None if each.value is None else str(each.value),
                None if each.statement.formula is None else str(each.statement.formula), each.where,
                each.statement.known, each.sentence,
            )
            for each in book.statements
        ),
    )  # fmt: skip


def write_studies(target: str | os.PathLike[str], files: dict[str, str | bytes]) -> None:
    """Write the files of studies into a folder; what an earlier run wrote there and this one does not, goes.

    Raises
    ------
    OutputError
        If a file of others is in the way, or something cannot be written.
    """
    write_folder(Path(target), files, command="study")
