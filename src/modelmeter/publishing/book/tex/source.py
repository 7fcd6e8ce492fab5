"""The LaTeX of the book."""

from __future__ import annotations

from typing import Final

from modelmeter.backends.latex.printer import print_block, print_label, print_line, visible_width
from modelmeter.backends.presentation.tree import Display
from modelmeter.publishing.book.contents import BookInput, describe_book
from modelmeter.publishing.book.tex.prose import write_code, write_prose
from modelmeter.publishing.pages import open_latex_templates, tidy

_WIDTH: Final = 64
"""Letters of a line of formulas and of what it is of, side by side."""

_MOST_LETTERS: Final = 56
"""Letters of a line that surely fits."""

_NEXT: Final = "\n"


def write_source(book: BookInput) -> str:
    """Return the LaTeX of a book; its studies are in LaTeX."""
    environment = open_latex_templates()
    environment.filters.update(code=write_code, prose=write_prose)
    environment.globals = {**environment.globals, "block": write_block}
    return tidy(environment.get_template("book.tex.jinja").render(describe_book(book)))


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
