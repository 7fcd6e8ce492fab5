"""Pages of studies, which are Markdown, as sections of a book in the language of a typesetter."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final, Protocol

from attrs import field, frozen

from modelmeter.support.errors import OutputError

if TYPE_CHECKING:
    from markdown_it.token import Token

LONGEST_TABLE: Final = 40
"""Rows of a table that a book prints; of a longer one it says where it is."""

MOST_COLUMNS: Final = 8

_STATEMENTS: Final = "Statements"
"""The section of a page that lists every statement, which a book has no room for."""

_MATH = re.compile(r"\$`([^`]+)`\$")
_PICTURE = re.compile(r"pictures/([a-z0-9-]+)\.svg")


@frozen(kw_only=True)
class StudyChapter:
    """A study as a section of the book: its plain title, its body in a language, and the names of its pictures."""

    title: str
    body: str
    pictures: tuple[str, ...] = field(factory=tuple)


class StudyLanguage(Protocol):
    """How the parts of a page are written for a typesetter."""

    name: str
    strong: tuple[str, str]
    """What stands around important words."""
    emphasis: tuple[str, str]
    bullets: tuple[str, str]
    """What stands around a list."""
    item: tuple[str, str]

    def text(self, plain: str) -> str:
        """Return text that is shown as it is."""

    def code(self, plain: str) -> str:
        """Return a name in letters of a typewriter."""

    def formula(self, latex: str) -> str:
        """Return a formula in a line of text."""

    def display(self, latex: str) -> str:
        """Return a formula as a line of its own, which fits the page."""

    def paragraph(self, written: str) -> str:
        """Return a paragraph; one of bold words only says what the table below it is of."""

    def heading(self, written: str) -> str:
        """Return the heading of a part of a section."""

    def picture(self, name: str) -> str:
        """Return a picture, as wide as the page."""

    def table(self, rows: Sequence[Sequence[str]], numeric: Sequence[bool]) -> Iterator[str]:
        """Yield the lines of a table with its head in the first row; ``numeric`` columns stand on the right."""

    def point_to(self, what: str, where: str) -> str:
        """Return a sentence that says in which file of a study something is."""


def read_study(name: str, text: str, language: StudyLanguage) -> StudyChapter:
    """Return the section of a page of a study.

    Raises
    ------
    OutputError
        If markdown-it-py is missing, or the page has something that a book does not have.
    """
    try:
        from markdown_it import MarkdownIt
    except ModuleNotFoundError as error:
        raise OutputError(
            "studies in a book need markdown-it-py", found=str(error), remedy="pip install 'modelmeter[site]'"
        ) from None
    formulas: list[str] = []

    def keep(found: re.Match[str]) -> str:
        formulas.append(found[1])
        return f"`math{len(formulas) - 1}`"

    tokens = MarkdownIt("commonmark", {"html": True}).enable("table").parse(_MATH.sub(keep, text))
    writer = _Writer(name, formulas, language)
    body = "\n".join(writer.write(tokens))
    return StudyChapter(title=writer.title, body=body, pictures=tuple(writer.pictures))


class _Writer:
    def __init__(self, name: str, formulas: Sequence[str], language: StudyLanguage) -> None:
        self.title = name
        self.pictures: list[str] = []
        self._name = name
        self._formulas = formulas
        self._language = language

    def write(self, tokens: Sequence[Token]) -> Iterator[str]:
        """Yield the lines of a page, up to the list of all statements."""
        place, language = 0, self._language
        while place < len(tokens):
            token = tokens[place]
            match token.type:
                case "heading_open":
                    title = tokens[place + 1]
                    if title.content == _STATEMENTS:
                        yield language.point_to("all statements", f"{self._name}.md")
                        return
                    if token.tag == "h1":
                        self.title = title.content
                    else:
                        yield language.heading(self._inline(title))
                    place += 3
                    continue
                case "table_open":
                    end = next(at for at in range(place, len(tokens)) if tokens[at].type == "table_close")
                    yield from self._table(tokens[place:end])
                    place = end
                case "inline":
                    yield language.paragraph(self._inline(token))
                case "paragraph_close":
                    yield ""
                case "bullet_list_open":
                    yield language.bullets[0]
                case "bullet_list_close":
                    yield language.bullets[1]
                case "list_item_open":
                    yield language.item[0]
                case "list_item_close":
                    yield language.item[1]
                case "fence" if token.info == "math":
                    yield language.display(token.content.strip())
                case "html_block" if token.content.startswith("<!--"):
                    pass
                case "paragraph_open" | "table_close":
                    pass
                case _:
                    raise OutputError(f"a page of a study has no {language.name}", place=self._name, found=token.type)
            place += 1

    def _inline(self, token: Token) -> str:
        pieces: list[str] = []
        language = self._language
        is_link = has_dropped = False
        for child in token.children or ():
            match child.type:
                case "text":
                    pieces.append(language.text(child.content) if not is_link else "")
                case "code_inline":
                    pieces.append(self._code(child.content))
                case "softbreak" | "hardbreak":
                    pieces.append("\n")
                case "strong_open":
                    pieces.append(language.strong[0])
                case "em_open":
                    pieces.append(language.emphasis[0])
                case "strong_close":
                    pieces.append(language.strong[1])
                case "em_close":
                    pieces.append(language.emphasis[1])
                case "link_open":
                    is_link = str(child.attrGet("href") or "").endswith(
                        (".svg", ".png", ".pdf", ".csv", ".parquet", ".tex", "README.md")
                    )
                    has_dropped = has_dropped or is_link
                case "link_close":
                    is_link = False
                case "image":
                    pieces.append(self._picture(str(child.attrGet("src") or "")))
                case _:
                    raise OutputError(f"a page of a study has no {language.name}", place=self._name, found=child.type)
        written = "".join(pieces)
        return written.rstrip(" ,") if has_dropped else written  # links to files beside the page leave commas behind

    def _code(self, content: str) -> str:
        number = re.fullmatch(r"math(\d+)", content)
        if number:
            return self._language.formula(self._formulas[int(number[1])])
        return self._language.code(content)

    def _picture(self, source: str) -> str:
        found = _PICTURE.fullmatch(source)
        if found is None:
            raise OutputError("a picture of a study is not where they are", place=self._name, found=source)
        self.pictures.append(found[1])
        return self._language.picture(found[1])

    def _table(self, tokens: Sequence[Token]) -> Iterator[str]:
        rows: list[list[Token]] = []
        for place, token in enumerate(tokens):
            if token.type == "tr_open":
                rows.append([])
            elif token.type in ("th_open", "td_open"):
                rows[-1].append(tokens[place + 1])
        head, *body = rows
        if len(body) > LONGEST_TABLE or len(head) > MOST_COLUMNS:
            yield self._language.point_to(f"a table of {len(body)} rows and {len(head)} columns", f"{self._name}.md")
            yield ""
            return
        numeric = [all(_is_number(row[column].content) for row in body) for column in range(len(head))]
        yield from self._language.table([[self._inline(cell) for cell in row] for row in rows], numeric)


def _is_number(text: str) -> bool:
    return re.fullmatch(r"-?[\d,.e+]*|", text) is not None


def list_studies(index: str) -> list[str]:
    """Return the names of the pages that the index of studies links to, in its order."""
    found = re.findall(r"^\| \[[^\]]*\]\(([a-z0-9-]+)\.md\)", index, re.MULTILINE)
    return list(dict.fromkeys(found))
