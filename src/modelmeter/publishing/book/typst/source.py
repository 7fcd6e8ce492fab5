"""The Typst of the book."""

from __future__ import annotations

from modelmeter.backends.presentation.tree import Piece
from modelmeter.backends.typst.latex_reader import quote
from modelmeter.backends.typst.printer import print_block, print_inline, split_line
from modelmeter.publishing.book.contents import BookInput, describe_book
from modelmeter.publishing.book.typst.prose import escape_typst, write_code, write_prose
from modelmeter.publishing.pages import open_typesetting_templates, tidy


def write_source(book: BookInput) -> str:
    """Return the Typst of a book; its studies are in Typst."""
    environment = open_typesetting_templates(escape_typst)
    environment.filters.update(code=write_code, prose=write_prose, string=quote)
    environment.globals = {**environment.globals, "inline": print_inline, "block": print_block, "equation": _equate}
    return tidy(environment.get_template("book.typ.jinja").render(describe_book(book)))


def _equate(*pieces: Piece) -> str:
    """Return a formula that stands before text, as two arguments: all of it, and in pieces."""
    return f"{print_inline(*pieces)}, ({' '.join(f'${chunk}$,' for chunk in split_line(pieces))})"
