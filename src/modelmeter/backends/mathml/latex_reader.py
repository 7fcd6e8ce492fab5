r"""LaTeX of letters and of prose as MathML Core."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from html import escape

from modelmeter.backends.presentation.latex_reader import LatexReader


@lru_cache(maxsize=4096)
def convert_latex(latex: str) -> str:
    """Return LaTeX as one element of MathML.

    Raises
    ------
    FormulaError
        If there is a command that the reader does not know, or a brace that is not closed.
    """
    return LatexReader(latex, _MathML()).read()


class _MathML:
    """The elements; browsers slant a single letter by themselves."""

    language = "MathML"

    def row(self, elements: Sequence[str]) -> str:
        return f"<mrow>{''.join(elements)}</mrow>"

    def attach(self, base: str, below: str | None, above: str | None) -> str:
        if below is None:
            return f"<msup>{base}{above}</msup>"
        return f"<msub>{base}{below}</msub>" if above is None else f"<msubsup>{base}{below}{above}</msubsup>"

    def number(self, groups: Sequence[str]) -> str:
        return f"<mn>{chr(0x202F).join(groups)}</mn>"

    def letter(self, character: str, *, is_upright: bool) -> str:
        upright = ' mathvariant="normal"' if is_upright else ""
        return f"<mi{upright}>{character}</mi>"

    def function(self, name: str) -> str:
        return f"<mi>{name}</mi>"

    def operator(self, sign: str, *, side: int) -> str:
        grows = side or sign not in "()[]|⌊⌋⌈⌉"
        return f"<mo>{escape(sign)}</mo>" if grows else f'<mo stretchy="false">{sign}</mo>'

    def big(self, bracket: str) -> str:
        return f"<mo>{escape(bracket)}</mo>"

    def space(self, width: str) -> str:
        return f'<mspace width="{width}"/>'

    def text(self, words: str) -> str:
        return f"<mtext>{escape(words)}</mtext>"

    def code(self, name: str) -> str:
        return f'<mtext class="name">{escape(name)}</mtext>'

    def fraction(self, above: str, below: str, *, is_small: bool) -> str:
        return f"<mfrac>{above}{below}</mfrac>"

    def root(self, operand: str) -> str:
        return f"<msqrt>{operand}</msqrt>"

    def cases(self, rows: Sequence[Sequence[str]]) -> str:
        body = "".join(f"<mtr>{''.join(f'<mtd>{cell}</mtd>' for cell in row)}</mtr>" for row in rows)
        return f'<mrow><mo form="prefix">{{</mo><mtable class="cases">{body}</mtable></mrow>'
