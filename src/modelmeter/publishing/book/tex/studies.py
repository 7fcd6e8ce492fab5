"""Pages of studies in LaTeX."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from modelmeter.publishing.book.study_pages import StudyLanguage
from modelmeter.publishing.book.tex.prose import write_code
from modelmeter.publishing.text import escape_latex


class _LatexStudies:
    name = "LaTeX"
    strong = (r"\textbf{", "}")
    emphasis = (r"\emph{", "}")
    bullets = (r"\begin{itemize}", r"\end{itemize}")
    item = (r"\item", "")

    def text(self, plain: str) -> str:
        return escape_latex(plain)

    def code(self, plain: str) -> str:
        return write_code(plain)

    def formula(self, latex: str) -> str:
        return f"${latex}$"

    def display(self, latex: str) -> str:
        return rf"\fit{{{latex}}}"

    def paragraph(self, written: str) -> str:
        return written

    def heading(self, written: str) -> str:
        return rf"\subsection*{{{written}}}"

    def picture(self, name: str) -> str:
        return rf"\includegraphics[width=\textwidth]{{{name}.pdf}}"

    def table(self, rows: Sequence[Sequence[str]], numeric: Sequence[bool]) -> Iterator[str]:
        head, *body = rows
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

    def point_to(self, what: str, where: str) -> str:
        return rf"\emph{{In the files of the studies: {what}, in}} \texttt{{{escape_latex(where)}}}."


def _show(cell: str) -> str:
    """Return about what a cell looks like, to measure it."""
    return re.sub(r"\\[a-z]+(?:\{\})?|[{}$\\]", "", cell)


LATEX_STUDIES: Final[StudyLanguage] = _LatexStudies()
"""The parts of a page."""
