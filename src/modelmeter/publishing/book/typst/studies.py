"""Pages of studies in Typst."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from modelmeter.backends.typst.latex_reader import list_chunks, quote
from modelmeter.publishing.book.study_pages import StudyLanguage
from modelmeter.publishing.book.typst.prose import escape_typst, write_code, write_formula

_BOLD = re.compile(r"#strong\[(?:(?!#strong\[).)*\];", re.DOTALL)


class _TypstStudies:
    name = "Typst"
    strong = ("#strong[", "];")
    emphasis = ("#emph[", "];")
    bullets = ("", "")
    item = ("#list.item[", "]")

    def text(self, plain: str) -> str:
        return escape_typst(plain)

    def code(self, plain: str) -> str:
        return write_code(plain)

    def formula(self, latex: str) -> str:
        return write_formula(latex)

    def display(self, latex: str) -> str:
        chunks = list_chunks(latex)
        pieces = " ".join(f"${chunk}$," for chunk in chunks)
        return f"#formula((indent: 0, label: none, body: ${' '.join(chunks)}$, chunks: ({pieces})))"

    def paragraph(self, written: str) -> str:
        return f"#block(sticky: true)[{written}]" if _BOLD.fullmatch(written) else written

    def heading(self, written: str) -> str:
        return f"#part[{written}]"

    def picture(self, name: str) -> str:
        return f"#picture({quote(f'{name}.pdf')})"

    def table(self, rows: Sequence[Sequence[str]], numeric: Sequence[bool]) -> Iterator[str]:
        yield "#data-table("
        yield f"  ({' '.join('right,' if is_number else 'left,' for is_number in numeric)}),"
        for row in rows:
            yield f"  {' '.join(f'[{cell}],' for cell in row)}"
        yield ")"

    def point_to(self, what: str, where: str) -> str:
        return f"#emph[In the files of the studies: {escape_typst(what)}, in] {write_code(where)}."


TYPST_STUDIES: Final[StudyLanguage] = _TypstStudies()
"""The parts of a page."""
