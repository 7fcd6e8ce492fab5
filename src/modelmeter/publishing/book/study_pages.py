"""Pages of studies, which are Markdown, as chapters in LaTeX."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from attrs import field, frozen

from modelmeter.publishing.book.prose import write_code
from modelmeter.publishing.text import escape_latex
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
    """A study as a section of the book: its title, its body in LaTeX, and the names of its pictures."""

    title: str
    body: str
    pictures: tuple[str, ...] = field(factory=tuple)


def read_study(name: str, text: str) -> StudyChapter:
    """Return the section of a page of a study.

    Raises
    ------
    OutputError
        If markdown-it-py is missing, or the page has something that has no LaTeX here.
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
    writer = _Writer(name, formulas)
    body = "\n".join(writer.write(tokens))
    return StudyChapter(title=writer.title, body=body, pictures=tuple(writer.pictures))


class _Writer:
    def __init__(self, name: str, formulas: Sequence[str]) -> None:
        self.title = name
        self.pictures: list[str] = []
        self._name = name
        self._formulas = formulas

    def write(self, tokens: Sequence[Token]) -> Iterator[str]:
        """Yield the lines of a page, up to the list of all statements."""
        place = 0
        while place < len(tokens):
            token = tokens[place]
            match token.type:
                case "heading_open":
                    heading = self._inline(tokens[place + 1])
                    if heading == _STATEMENTS:
                        yield self._point_to("all statements", f"{self._name}.md")
                        return
                    if token.tag == "h1":
                        self.title = tokens[place + 1].content
                    else:
                        yield rf"\subsection*{{{heading}}}"
                    place += 3
                    continue
                case "table_open":
                    end = next(at for at in range(place, len(tokens)) if tokens[at].type == "table_close")
                    yield from self._table(tokens[place:end])
                    place = end
                case "inline":
                    yield self._inline(token)
                case "paragraph_close":
                    yield ""
                case "bullet_list_open":
                    yield r"\begin{itemize}"
                case "bullet_list_close":
                    yield r"\end{itemize}"
                case "list_item_open":
                    yield r"\item"
                case "fence" if token.info == "math":
                    yield rf"\fit{{{token.content.strip()}}}"
                case "html_block" if token.content.startswith("<!--"):
                    pass
                case "paragraph_open" | "list_item_close" | "table_close":
                    pass
                case _:
                    raise OutputError("a page of a study has no LaTeX", place=self._name, found=token.type)
            place += 1

    def _inline(self, token: Token) -> str:
        pieces: list[str] = []
        is_link = has_dropped = False
        for child in token.children or ():
            match child.type:
                case "text":
                    pieces.append(escape_latex(child.content) if not is_link else "")
                case "code_inline":
                    pieces.append(self._code(child.content))
                case "softbreak" | "hardbreak":
                    pieces.append("\n")
                case "strong_open":
                    pieces.append(r"\textbf{")
                case "em_open":
                    pieces.append(r"\emph{")
                case "strong_close" | "em_close":
                    pieces.append("}")
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
                    raise OutputError("a page of a study has no LaTeX", place=self._name, found=child.type)
        written = "".join(pieces)
        return written.rstrip(" ,") if has_dropped else written  # links to files beside the page leave commas behind

    def _code(self, content: str) -> str:
        number = re.fullmatch(r"math(\d+)", content)
        if number:
            return f"${self._formulas[int(number[1])]}$"
        return write_code(content)

    def _picture(self, source: str) -> str:
        found = _PICTURE.fullmatch(source)
        if found is None:
            raise OutputError("a picture of a study is not where they are", place=self._name, found=source)
        self.pictures.append(found[1])
        return rf"\includegraphics[width=\textwidth]{{{found[1]}.pdf}}"

    def _table(self, tokens: Sequence[Token]) -> Iterator[str]:
        rows: list[list[str]] = []
        for place, token in enumerate(tokens):
            if token.type == "tr_open":
                rows.append([])
            elif token.type in ("th_open", "td_open"):
                rows[-1].append(self._inline(tokens[place + 1]))
        head, *body = rows
        if len(body) > LONGEST_TABLE or len(head) > MOST_COLUMNS:
            yield self._point_to(f"a table of {len(body)} rows and {len(head)} columns", f"{self._name}.md")
            yield ""
            return
        numeric = [all(_is_number(row[column]) for row in body) for column in range(len(head))]
        columns = list(zip(*rows, strict=True))
        # A column has room for its longest word, and for more if its cells are longer.
        words = [max(len(word) for cell in cells for word in _show(cell).split(" ")) + 1 for cells in columns]
        texts = [min(max(len(_show(cell)) for cell in cells), 36) for cells in columns]
        weights = [max(word, 6, text // 2) for word, text in zip(words, texts, strict=True)]
        width = f"\\textwidth-{2 * (len(head) - 1)}\\tabcolsep"
        shape = "".join(
            rf">{{\{'raggedleft' if is_number else 'raggedright'}\arraybackslash}}"
            rf"p{{\dimexpr({width})*{weight}/{sum(weights)}\relax}}"
            for is_number, weight in zip(numeric, weights, strict=True)
        )
        yield r"{\scriptsize\setlength{\tabcolsep}{3pt}" if len(head) > 5 else r"{\footnotesize"
        yield rf"\begin{{longtable}}{{@{{}}{shape}@{{}}}}"
        yield r"\toprule"
        yield " & ".join(head) + r" \\"
        yield r"\midrule \endhead"
        yield from (" & ".join(row) + r" \\" for row in body)
        yield r"\bottomrule"
        yield r"\end{longtable}}"

    def _point_to(self, what: str, where: str) -> str:
        return rf"\emph{{In the files of the studies: {what}, in}} \texttt{{{escape_latex(where)}}}."


def _is_number(text: str) -> bool:
    return re.fullmatch(r"-?[\d,.e+]*|", text) is not None


def _show(cell: str) -> str:
    """Return about what a cell looks like, to measure it."""
    return re.sub(r"\\[a-z]+(?:\{\})?|[{}$\\]", "", cell)


def list_studies(index: str) -> list[str]:
    """Return the names of the pages that the index of studies links to, in its order."""
    found = re.findall(r"^\| \[[^\]]*\]\(([a-z0-9-]+)\.md\)", index, re.MULTILINE)
    return list(dict.fromkeys(found))
