"""Text in the Typst of the book."""

from __future__ import annotations

import re
from typing import Final

from modelmeter.backends.typst.latex_reader import convert_latex, quote
from modelmeter.publishing import text

LONGEST_WORD: Final = 24
"""Letters of a word or of a name that stay together; the next line may take the rest."""

_BREAK: Final = "\u200b"
"""A space of no width, where a line may end; it is no part of the text of a PDF."""

_LONG_RUN = re.compile(rf"\S{{{LONGEST_WORD}}}(?=\S)")

_SPECIAL = re.compile(r"[!-&(-+\--/:-@\[-`{-~]")
"""Signs of ASCII but the comma and the apostrophe: any of them may be a command somewhere."""

_PIECE = re.compile(rf"[^_.\-/]{{1,{LONGEST_WORD}}}[_.\-/]*|[_.\-/]+")


def escape_typst(plain: str) -> str:
    """Return text so that Typst shows it as it is, whatever stands beside it; words that are too long may break."""
    broken = _LONG_RUN.sub(rf"\g<0>{_BREAK}", re.sub(r"\s*[\n\r]\s*", " ", plain))
    return _SPECIAL.sub(lambda sign: f"\\{sign[0]}", broken).replace(text.NARROW_SPACE, "#thin;")


def write_code(code: str) -> str:
    """Return a name in typewriter letters that may break behind underscores, points, hyphens and slashes."""
    return f"#code({', '.join(map(quote, _PIECE.findall(code)))});"


def write_formula(latex: str) -> str:
    """Return a formula, which is LaTeX, in a line of text."""
    return f"${convert_latex(latex)}$"


def write_prose(plain: str) -> str:
    """Return text with code, formulas and arXiv numbers as Typst."""
    return text.convert(plain, escape_typst, code=write_code, math=write_formula, arxiv=_write_arxiv)


def _write_arxiv(number: str) -> str:
    return f'#link("https://arxiv.org/abs/{number}")[arXiv\\:{escape_typst(number)}];'
