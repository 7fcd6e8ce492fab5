"""Text in the LaTeX of the book."""

from __future__ import annotations

from modelmeter.publishing import text


def write_code(code: str) -> str:
    r"""Return a name in typewriter letters that may break behind underscores, points, hyphens and slashes."""
    escaped = text.escape_latex(code)
    for place in (r"\_", ".", "-", "/"):
        escaped = escaped.replace(place, rf"{place}\allowbreak{{}}")
    return rf"\texttt{{{escaped}}}"


def write_prose(plain: str) -> str:
    """Return text with code and formulas as LaTeX that finds a place to break in long code."""
    return text.to_latex(plain, write_code)
