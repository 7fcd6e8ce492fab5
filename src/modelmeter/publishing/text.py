"""Words and numbers on the pages: digits in groups, shares, magnitudes, and docstrings as Markdown and LaTeX.

What comes in is plain text, or text with code in double backquotes as in docstrings and formulas in dollar signs;
what goes out is escaped for where it goes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Final

from modelmeter.backends.latex.printer import group_digits
from modelmeter.support.errors import FormulaError
from modelmeter.support.markdown import escape_markdown

NARROW_SPACE: Final = "\u202f"
"""The no-break space between groups of digits."""

_SPECIAL_IN_LATEX: Final = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "_": r"\_", "%": r"\%",
    "^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", NARROW_SPACE: r"\,",
}  # fmt: skip
_INLINE = re.compile(r"``(?P<code>.+?)``|\$(?P<math>[^$]+)\$|\barXiv:(?P<arxiv>\d{4}\.\d{4,5})")
_SECTION = re.compile(r"\n\n[A-Z][a-z]+\n-{3,}\n")
_PREFIXES = ("", "k", "M", "G", "T", "P", "E", "Z", "Y")


_PLAIN: Final[Mapping[str, str]] = {
    r"\lfloor ": "⌊",
    r" \rfloor": "⌋",
    r"\lceil ": "⌈",
    r" \rceil": "⌉",
    r"\left": "",
    r"\right": "",
    r"\min": "min",
    r"\ne": "≠",
}
"""LaTeX commands in our texts, as plain characters."""


def format_number(value: int | Fraction) -> str:
    """Return an exact number: ``1 139 967``, or ``85 19/32`` where it is not whole."""
    whole, rest = divmod(value, 1)
    digits = group_digits(int(whole), NARROW_SPACE)
    if not rest:
        return digits
    fraction = f"{rest.numerator}/{rest.denominator}"
    return f"{digits} {fraction}" if whole else fraction


def format_magnitude(value: int, unit: str) -> str:
    """Return ``value`` to three digits with a decimal prefix (``1.14 TFLOP``), or nothing where it is below 1000."""
    if value < 1000:
        return ""
    rounded = Decimal(f"{Decimal(value):.2e}")
    step = min(rounded.adjusted() // 3, len(_PREFIXES) - 1)
    scaled = rounded.scaleb(-3 * step)
    return f"{scaled:f} {_PREFIXES[step]}{unit}" if scaled.adjusted() < 3 else f"{scaled:.2e} {_PREFIXES[step]}{unit}"


def format_share(part: int | Fraction, whole: int | Fraction) -> str:
    """Return ``part`` of ``whole`` in percent, to a hundredth; a dash where there is nothing to share."""
    if whole == 0:
        return "\u2013"
    if part == 0:
        return "0 %"
    hundredths = round(Fraction(part) / Fraction(whole) * 10000)
    if hundredths == 0:
        return "< 0.01 %"
    return f"{hundredths // 100}.{hundredths % 100:02d} %"


def describe(documented: type) -> list[str]:
    """Return the paragraphs of a class's docstring, without its sections.

    Raises
    ------
    FormulaError
        If there is no docstring: Python was started with ``-OO``.
    """
    if not documented.__doc__:
        raise FormulaError("a layer class has no docstring", place=documented.__name__, remedy="run python without -OO")
    prose = _SECTION.split("\n".join(line.strip() for line in documented.__doc__.strip().splitlines()))[0]
    return [" ".join(paragraph.split()) for paragraph in prose.split("\n\n")]


def escape_latex(text: str) -> str:
    """Return ``text`` so that LaTeX shows it as it is."""
    return "".join(_SPECIAL_IN_LATEX.get(character, character) for character in text)


def to_markdown(text: str) -> str:
    """Return text with code, formulas and arXiv numbers as Markdown."""
    arxiv = "[arXiv:{0}](https://arxiv.org/abs/{0})".format
    return convert(text, escape_markdown, code="`{}`".format, math="$`{}`$".format, arxiv=arxiv)


def to_latex(text: str, write_code: Callable[[str], str] | None = None) -> str:
    """Return text with code, formulas and arXiv numbers as LaTeX; code as a function writes it, which escapes it."""
    arxiv = r"\href{{https://arxiv.org/abs/{0}}}{{arXiv:{0}}}".format
    return convert(text, escape_latex, code=write_code or _write_code, math="${}$".format, arxiv=arxiv)


def _write_code(code: str) -> str:
    return rf"\texttt{{{escape_latex(code)}}}"


def to_plain(text: str) -> str:
    """Return text with code and formulas as plain characters, for docstrings."""
    plain = _INLINE.sub(lambda match: match[0] if match.lastgroup == "arxiv" else match[str(match.lastgroup)], text)
    for latex, characters in _PLAIN.items():
        plain = plain.replace(latex, characters)
    return plain


def convert(text: str, escape: Callable[[str], str], **writers: Callable[[str], str]) -> str:
    """Return text in a language: ``code``, ``math`` and ``arxiv`` as their ``writers`` write them, all else escaped."""
    pieces, end = [], 0
    for match in _INLINE.finditer(text):
        pieces.append(escape(text[end : match.start()]))
        kind = str(match.lastgroup)
        pieces.append(writers[kind](match[kind]))
        end = match.end()
    return "".join([*pieces, escape(text[end:])])
