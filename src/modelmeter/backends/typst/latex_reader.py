r"""LaTeX of letters and of prose as the mathematics of Typst.

Every sign is a name or stands in a string, so that nothing that is shown is read as a command of Typst.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final

from modelmeter.backends.presentation.latex_reader import LatexReader
from modelmeter.support.errors import FormulaError

SIGNS: Final[Mapping[str, str]] = {
    "+": "plus", "\u2212": "minus", "=": "eq", "<": "lt", ">": "gt", ",": "comma", "/": "slash", ":": "colon",
    ";": "semi", "!": "excl", "≠": "eq.not", "≤": "lt.eq", "≥": "gt.eq", "⋅": "dot.op", "\u00d7": "times",
    "≈": "approx", "→": "arrow.r", "%": "percent", "⌊": "floor.l", "⌋": "floor.r", "⌈": "ceil.l", "⌉": "ceil.r",
    "(": "paren.l", ")": "paren.r", "[": "bracket.l", "]": "bracket.r", "|": "bar.v",
}  # fmt: skip
"""What signs are called."""

BREAKS: Final = ("plus", "minus", "eq", "lt", "gt", "lt.eq", "gt.eq", "approx")
"""Before these a formula may go on in the next line."""


def quote(text: str) -> str:
    """Return text as a string of Typst."""
    return '"' + text.replace("\\", r"\\").replace('"', r"\"") + '"'


@lru_cache(maxsize=4096)
def convert_latex(latex: str) -> str:
    """Return LaTeX as Typst.

    Raises
    ------
    FormulaError
        If there is a command that the reader does not know, or a brace that is not closed.
    """
    return LatexReader(latex, _Typst()).read()


def list_chunks(latex: str) -> list[str]:
    """Return LaTeX as Typst in pieces, before each of which a line may end; the errors are those of the other."""
    chunks: list[list[str]] = [[]]
    depth = 0
    for element in LatexReader(latex, _Typst()).read_elements():
        if element in BREAKS and chunks[-1] and depth == 0:
            chunks.append([])
        depth += element.startswith("lr(") and not element.endswith(")")
        depth -= element.startswith(_CLOSING)
        chunks[-1].append(element)
    return [" ".join(chunk) for chunk in chunks]


_CLOSING: Final = tuple(f"{SIGNS[sign]})" for sign in ")]⌋⌉|")


class _Typst:
    """The notation; an element is one or more tokens, of which scripts take the last."""

    language = "Typst"

    def row(self, elements: Sequence[str]) -> str:
        return " ".join(elements) if elements else '""'

    def attach(self, base: str, below: str | None, above: str | None) -> str:
        scripts = "" if below is None else f"_({below})"
        return f"{base}{scripts}" if above is None else f"{base}{scripts}^({above})"

    def number(self, groups: Sequence[str]) -> str:
        return " thin ".join(groups)

    def letter(self, character: str, *, is_upright: bool) -> str:
        return f"upright({character})" if is_upright else character

    def function(self, name: str) -> str:
        return f"op({quote(name)})"

    def operator(self, sign: str, *, side: int) -> str:
        if sign not in SIGNS:
            raise FormulaError("there is no Typst for this sign", found=sign)
        return {1: f"lr({SIGNS[sign]}", 0: SIGNS[sign], -1: f"{SIGNS[sign]})"}[side]

    def big(self, bracket: str) -> str:
        return f"lr({self.operator(bracket, side=0)}, size: #1.4em)"

    def space(self, width: str) -> str:
        return f"#h({width})"

    def text(self, words: str) -> str:
        return quote(words)

    def code(self, name: str) -> str:
        return f"#raw({quote(name)})"

    def fraction(self, above: str, below: str, *, is_small: bool) -> str:
        return f"inline(frac({above}, {below}))" if is_small else f"frac({above}, {below})"

    def root(self, operand: str) -> str:
        return f"sqrt({operand})"

    def cases(self, rows: Sequence[Sequence[str]]) -> str:
        return f"cases({', '.join(' & '.join(row) for row in rows)})"
