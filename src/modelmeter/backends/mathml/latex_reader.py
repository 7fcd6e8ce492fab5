r"""LaTeX of letters and of prose as MathML Core: the commands that we print, and no others.

Formulas are printed from presentation trees. What comes here is the name of a size, such as ``d_{\mathrm{in}}``, and a
formula in a sentence of a convention or a study.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from html import escape
from typing import Final

from modelmeter.support.errors import FormulaError

_TOKEN = re.compile(r"\\[a-zA-Z]+|\\.|\d+(?:\.\d+)?(?:(?:\\,|,)\d{3}(?!\d))*|\s+|.")

GREEK: Final[Mapping[str, str]] = {
    r"\alpha": "\u03b1", r"\beta": "β", r"\gamma": "\u03b3", r"\delta": "δ", r"\epsilon": "\u03f5", r"\varepsilon": "ε",
    r"\zeta": "ζ", r"\eta": "η", r"\theta": "θ", r"\vartheta": "\u03d1", r"\iota": "\u03b9", r"\kappa": "κ",
    r"\lambda": "λ", r"\mu": "μ", r"\nu": "\u03bd", r"\xi": "ξ", r"\pi": "π", r"\varpi": "\u03d6",
    r"\rho": "\u03c1", r"\varrho": "\u03f1", r"\sigma": "\u03c3", r"\varsigma": "ς", r"\tau": "τ",
    r"\upsilon": "\u03c5", r"\phi": "\u03d5", r"\varphi": "φ", r"\chi": "χ", r"\psi": "ψ", r"\omega": "ω",
    r"\Gamma": "Γ", r"\Delta": "Δ", r"\Theta": "Θ", r"\Lambda": "Λ", r"\Xi": "Ξ", r"\Pi": "Π", r"\Sigma": "Σ",
    r"\Upsilon": "\u03a5", r"\Phi": "Φ", r"\Psi": "Ψ", r"\Omega": "Ω",
}  # fmt: skip
"""All Greek letters that LaTeX has a command for; the others, such as omicron, look as Latin ones and have none."""

_LETTERS: Final[Mapping[str, str]] = {**GREEK, r"\ell": "\u2113", r"\infty": "∞"}
_NAMES: Final = {r"\min": "min", r"\max": "max"}
_OPERATORS: Final[Mapping[str, str]] = {
    "+": "+", "-": "\u2212", "=": "=", "<": "<", ">": ">", ",": ",", "/": "/", ":": ":", ";": ";", "!": "!",
    r"\ne": "≠", r"\le": "≤", r"\ge": "≥", r"\cdot": "⋅", r"\times": "\u00d7", r"\approx": "≈", r"\to": "→", r"\%": "%",
    r"\lfloor": "⌊", r"\rfloor": "⌋", r"\lceil": "⌈", r"\rceil": "⌉", "(": "(", ")": ")", "[": "[", "]": "]", "|": "|",
}  # fmt: skip
_SPACES: Final[Mapping[str, str]] = {r"\,": "0.17em", r"\ ": "0.25em", r"\quad": "1em"}
_NO_BREAK_SPACE: Final = "\u00a0"
_STRETCHED: Final = {r"\left", r"\right", r"\bigl", r"\bigr"}


@lru_cache(maxsize=4096)
def convert_latex(latex: str) -> str:
    """Return LaTeX as one element of MathML.

    Raises
    ------
    FormulaError
        If there is a command that this reader does not know, or a brace that is not closed.
    """
    return _Reader(latex).read()


class _Reader:
    def __init__(self, latex: str) -> None:
        self._latex = latex
        self._tokens = _TOKEN.findall(latex)
        self._place = 0

    def read(self) -> str:
        elements = self._read_until("")
        return elements[0] if len(elements) == 1 else f"<mrow>{''.join(elements)}</mrow>"

    def _read_until(self, end: str) -> list[str]:
        elements: list[str] = []
        while (token := self._peek()) != end:
            if not token:
                raise FormulaError("a brace of LaTeX is not closed", found=self._latex)
            elements.append(self._read_scripted())
        self._place += 1
        return [element for element in elements if element]

    def _peek(self) -> str:
        """Return the next token that is no space."""
        while (token := self._tokens[self._place] if self._place < len(self._tokens) else "").isspace():
            self._place += 1
        return token

    def _take(self) -> str:
        token = self._peek()
        self._place += 1
        return token

    def _read_scripted(self) -> str:
        base = self._read_atom()
        scripts: dict[str, str] = {}
        while self._peek() in ("_", "^"):
            sign = self._take()
            if sign in scripts:
                raise FormulaError("LaTeX has two scripts of a kind at one place", found=self._latex)
            scripts[sign] = self._read_argument()
        match scripts:
            case {"_": below, "^": above}:
                return f"<msubsup>{base}{below}{above}</msubsup>"
            case {"_": below}:
                return f"<msub>{base}{below}</msub>"
            case {"^": above}:
                return f"<msup>{base}{above}</msup>"
            case _:
                return base

    def _read_argument(self) -> str:
        """Return a group in braces, or one token, as one element."""
        if self._peek() == "{":
            self._take()
            elements = self._read_until("}")
            return elements[0] if len(elements) == 1 else f"<mrow>{''.join(elements)}</mrow>"
        if self._peek() == "[" or (len(self._peek()) > 1 and self._peek()[0].isdigit()):
            raise FormulaError(
                "an argument of LaTeX without braces is one letter or digit", place=self._latex, found=self._peek()
            )
        return self._read_atom()

    def _read_cases(self) -> str:
        """Return the rows of an environment, which has no other name than cases."""
        if self._read_text() != "cases":
            raise FormulaError("there is no MathML for this environment of LaTeX", found=self._latex)
        rows: list[list[list[str]]] = [[[]]]
        while (token := self._peek()) != r"\end":
            if not token:
                raise FormulaError("an environment of LaTeX is not closed", found=self._latex)
            if token == "&":
                rows[-1].append([])
            elif token == r"\\":
                rows.append([[]])
            else:
                rows[-1][-1].append(self._read_scripted())
                continue
            self._take()
        self._take()
        self._read_text()
        cells = ("".join(f"<mtd><mrow>{''.join(cell)}</mrow></mtd>" for cell in row) for row in rows)
        body = "".join(f"<mtr>{row}</mtr>" for row in cells)
        return f'<mrow><mo form="prefix">{{</mo><mtable class="cases">{body}</mtable></mrow>'

    def _read_text(self, space: str = "") -> str:
        """Return what stands in braces as plain text, with ``space`` where spaces are."""
        if self._take() != "{":
            raise FormulaError("LaTeX text does not stand in braces", found=self._latex)
        if "}" not in self._tokens[self._place :]:
            raise FormulaError("a brace of LaTeX is not closed", found=self._latex)
        end = self._tokens.index("}", self._place)
        words = [token.removeprefix("\\") for token in self._tokens[self._place : end]]
        self._place = end + 1
        return escape("".join(space if word.isspace() else word for word in words))

    def _read_atom(self) -> str:
        token = self._take()
        if token in _STRETCHED and self._peek() in _OPERATORS:
            return f"<mo>{escape(_OPERATORS[self._take()])}</mo>"
        if token[:1].isdigit():
            return f"<mn>{re.sub(r'(?:,|[^0-9.])+', chr(0x202F), token)}</mn>"
        if len(token) == 1 and token.isalpha():
            return f"<mi>{token}</mi>"
        if token in _LETTERS:
            # Browsers slant a single letter; LaTeX sets Greek capitals upright.
            upright = ' mathvariant="normal"' if token in GREEK and token[1].isupper() else ""
            return f"<mi{upright}>{_LETTERS[token]}</mi>"
        if token in _NAMES:
            return f"<mi>{_NAMES[token]}</mi>"
        if token in _OPERATORS:
            stretchy = ' stretchy="false"' if token in "()[]|" or "floor" in token or "ceil" in token else ""
            return f"<mo{stretchy}>{escape(_OPERATORS[token])}</mo>"
        if token in _SPACES:
            return f'<mspace width="{_SPACES[token]}"/>'
        if token == r"\text":
            return f"<mtext>{self._read_text(_NO_BREAK_SPACE)}</mtext>"
        if token == r"\mathrm":
            return f"<mtext>{self._read_text()}</mtext>"
        if token == r"\mathtt":
            return f'<mtext class="name">{self._read_text()}</mtext>'
        if token in (r"\frac", r"\tfrac"):
            return f"<mfrac>{self._read_argument()}{self._read_argument()}</mfrac>"
        if token == r"\sqrt":
            return f"<msqrt>{self._read_argument()}</msqrt>"
        if token == r"\begin":
            return self._read_cases()
        if token == "{":
            self._place -= 1
            return self._read_argument()
        raise FormulaError(
            "there is no MathML for this LaTeX", place=self._latex, found=token or "its end",
            remedy="add it to the tables of the reader",
        )  # fmt: skip
