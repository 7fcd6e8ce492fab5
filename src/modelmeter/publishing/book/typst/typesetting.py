"""From Typst to a PDF, by the compiler that is a package of Python: the same bytes for the same text."""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from modelmeter.support.errors import OutputError

INSTALL: Final = "pip install 'modelmeter[book]'"

_PACKAGE: Final = "typst"


def is_installed() -> bool:
    """Return whether there is a Typst."""
    return importlib.util.find_spec(_PACKAGE) is not None


def typeset(source: str, pictures: Mapping[str, bytes]) -> bytes:
    """Return the PDF of a text in Typst.

    Nothing is read but the text and the pictures; the fonts are those that Typst brings with it, and the date is fixed.

    Parameters
    ----------
    source
        The text.
    pictures
        PDFs by the names of their files.

    Raises
    ------
    OutputError
        If Typst is missing or fails, something is too wide for its place, or a reference leads nowhere.
    """
    try:
        import typst
    except ModuleNotFoundError as error:
        raise OutputError("the book needs Typst", found=str(error), remedy=INSTALL) from None
    with tempfile.TemporaryDirectory(prefix="modelmeter-book-") as name:
        folder = Path(name)
        (main := folder / "book.typ").write_text(source, encoding="utf-8")
        for picture, content in pictures.items():
            (folder / picture).write_bytes(content)
        try:
            made = typst.compile(main, root=folder, format="pdf", ignore_system_fonts=True, timestamp=0)
        except typst.TypstError as error:
            raise OutputError("Typst cannot set the book", place="book.typ", found=_describe(error.message)) from None
    if not isinstance(made, bytes):
        raise OutputError("Typst cannot set the book", expected="one file", found=type(made).__name__)
    return made


def _describe(message: str) -> str:
    """Return what is wrong in one line; what the book itself refuses is said by its own words."""
    return " ".join(message.removeprefix("panicked with: ").split())
