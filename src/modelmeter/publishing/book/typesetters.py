"""What makes a PDF of the book: TeX, or where it is missing, Typst."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from attrs import frozen

from modelmeter.publishing.book.contents import BookInput
from modelmeter.publishing.book.study_pages import StudyLanguage
from modelmeter.publishing.book.tex import source as tex_source
from modelmeter.publishing.book.tex import typesetting as tex_typesetting
from modelmeter.publishing.book.tex.studies import LATEX_STUDIES
from modelmeter.publishing.book.typst import source as typst_source
from modelmeter.publishing.book.typst import typesetting as typst_typesetting
from modelmeter.publishing.book.typst.studies import TYPST_STUDIES
from modelmeter.support.errors import OutputError


@frozen(kw_only=True)
class Typesetter:
    """A program that sets books, and the language that it reads.

    Parameters
    ----------
    name
        What it is called.
    install
        How it is installed.
    is_installed
        Says whether it is there.
    studies
        How pages of studies are written in its language.
    write_source
        Writes a book in its language.
    typeset
        Makes a PDF of a text, and of pictures by the names of their files; raises OutputError.
    """

    name: str
    install: str
    is_installed: Callable[[], bool]
    studies: StudyLanguage
    write_source: Callable[[BookInput], str]
    typeset: Callable[[str, Mapping[str, bytes]], bytes]


TYPESETTERS: Final[Mapping[str, Typesetter]] = {
    "tex": Typesetter(
        name="TeX", install=tex_typesetting.INSTALL, is_installed=tex_typesetting.is_installed, studies=LATEX_STUDIES,
        write_source=tex_source.write_source, typeset=tex_typesetting.typeset,
    ),
    "typst": Typesetter(
        name="Typst", install=typst_typesetting.INSTALL, is_installed=typst_typesetting.is_installed,
        studies=TYPST_STUDIES, write_source=typst_source.write_source, typeset=typst_typesetting.typeset,
    ),
}  # fmt: skip
"""By how the command line calls them; the first that is installed is taken where none is asked for."""


def choose_typesetter(name: str | None = None) -> Typesetter:
    """Return a typesetter by name, or the first that is installed.

    Raises
    ------
    OutputError
        If it is not installed, or none is, or there is none of this name.
    """
    if name is None:
        for each in TYPESETTERS.values():
            if each.is_installed():
                return each
        ways = "; or ".join(f"{each.name}: {each.install}" for each in TYPESETTERS.values())
        raise OutputError("a book needs TeX or Typst", found="neither", remedy=ways)
    if name not in TYPESETTERS:
        raise OutputError("no such typesetter", expected=" or ".join(TYPESETTERS), found=name)
    chosen = TYPESETTERS[name]
    if not chosen.is_installed():
        raise OutputError(f"{chosen.name} is not installed", remedy=chosen.install)
    return chosen
