r"""LaTeX of letters and of prose: the commands that we print, and no others, for languages that do not read LaTeX.

Formulas are printed from presentation trees. What comes here is the name of a size, such as ``d_{\mathrm{in}}``, and a
formula in a sentence of a convention or a study. A :class:`Notation` says what each part is in a language.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final, Protocol

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
_GROWING: Final[Mapping[str, int]] = {r"\left": 1, r"\right": -1}
"""The commands before a bracket that grows, and on which side of what is inside it stands."""

_BIG: Final = {r"\bigl", r"\bigr"}


class Notation(Protocol):
    """What the parts of a formula are in a language; each method returns one element from elements."""

    language: str

    def row(self, elements: Sequence[str]) -> str:
        """Return elements side by side, which are not one."""

    def attach(self, base: str, below: str | None, above: str | None) -> str:
        """Return an element with at least one script."""

    def number(self, groups: Sequence[str]) -> str:
        """Return a number from its groups of digits; the last may have a point."""

    def letter(self, character: str, *, is_upright: bool) -> str:
        """Return a variable."""

    def function(self, name: str) -> str:
        """Return the name of a function."""

    def operator(self, sign: str, *, side: int) -> str:
        """Return a sign; ``side`` is 1 for a bracket that grows and opens, -1 where it closes, 0 for all others."""

    def big(self, bracket: str) -> str:
        """Return a bracket that is a little larger than letters."""

    def space(self, width: str) -> str:
        """Return a space of so many em."""

    def text(self, words: str) -> str:
        """Return text in upright letters."""

    def code(self, name: str) -> str:
        """Return text in letters of a typewriter."""

    def fraction(self, above: str, below: str, *, is_small: bool) -> str:
        """Return a quotient; ``is_small`` if it stands in a line like a digit."""

    def root(self, operand: str) -> str:
        """Return a square root."""

    def cases(self, rows: Sequence[Sequence[str]]) -> str:
        """Return rows of cells behind a brace."""


class LatexReader:
    """Reads one formula.

    Parameters
    ----------
    latex
        The formula.
    notation
        The language that it is written in.
    """

    def __init__(self, latex: str, notation: Notation) -> None:
        self._latex = latex
        self._notation = notation
        self._tokens = _TOKEN.findall(latex)
        self._place = 0
        self._open = 0  # brackets that grow, in the innermost braces

    def read(self) -> str:
        """Return the formula as one element.

        Raises
        ------
        FormulaError
            If there is a command that this reader does not know, or a brace that is not closed.
        """
        return self._join(self.read_elements())

    def read_elements(self) -> list[str]:
        """Return the elements of the formula; the errors are those of :meth:`read`."""
        return self._read_until("")

    def _join(self, elements: Sequence[str]) -> str:
        return elements[0] if len(elements) == 1 else self._notation.row(elements)

    def _read_until(self, end: str) -> list[str]:
        elements: list[str] = []
        outside, self._open = self._open, 0
        while (token := self._peek()) != end:
            if not token:
                raise FormulaError("a brace of LaTeX is not closed", found=self._latex)
            elements.append(self._read_scripted())
            if self._open < 0:
                break
        if self._open:
            raise FormulaError("a bracket of LaTeX that grows has no other side", found=self._latex)
        self._open = outside
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
        if not scripts:
            return base
        return self._notation.attach(base, scripts.get("_"), scripts.get("^"))

    def _read_argument(self) -> str:
        """Return a group in braces, or one token, as one element."""
        if self._peek() == "{":
            self._take()
            elements = self._read_until("}")
            return self._join(elements)
        if self._peek() == "[" or (len(self._peek()) > 1 and self._peek()[0].isdigit()):
            raise FormulaError(
                "an argument of LaTeX without braces is one letter or digit", place=self._latex, found=self._peek()
            )
        return self._read_atom()

    def _read_cases(self) -> str:
        """Return the rows of an environment, which has no other name than cases."""
        if self._read_text() != "cases":
            raise FormulaError(
                f"there is no {self._notation.language} for this environment of LaTeX", found=self._latex
            )
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
        return self._notation.cases([[self._notation.row(cell) for cell in row] for row in rows])

    def _read_text(self, space: str = "") -> str:
        """Return what stands in braces as plain text, with ``space`` where spaces are."""
        if self._take() != "{":
            raise FormulaError("LaTeX text does not stand in braces", found=self._latex)
        if "}" not in self._tokens[self._place :]:
            raise FormulaError("a brace of LaTeX is not closed", found=self._latex)
        end = self._tokens.index("}", self._place)
        words = [token.removeprefix("\\") for token in self._tokens[self._place : end]]
        self._place = end + 1
        return "".join(space if word.isspace() else word for word in words)

    def _read_atom(self) -> str:
        token, notation = self._take(), self._notation
        if token in _GROWING and self._peek() in _OPERATORS:
            self._open += _GROWING[token]
            return notation.operator(_OPERATORS[self._take()], side=_GROWING[token])
        if token in _BIG and self._peek() in _OPERATORS:
            return notation.big(_OPERATORS[self._take()])
        if token[:1].isdigit():
            return notation.number(re.split(r"(?:,|[^0-9.])+", token))
        if len(token) == 1 and token.isalpha():
            return notation.letter(token, is_upright=False)
        if token in _LETTERS:
            # LaTeX sets Greek capitals upright.
            return notation.letter(_LETTERS[token], is_upright=token in GREEK and token[1].isupper())
        if token in _NAMES:
            return notation.function(_NAMES[token])
        if token in _OPERATORS:
            return notation.operator(_OPERATORS[token], side=0)
        if token in _SPACES:
            return notation.space(_SPACES[token])
        if token == r"\text":
            return notation.text(self._read_text(_NO_BREAK_SPACE))
        if token == r"\mathrm":
            return notation.text(self._read_text())
        if token == r"\mathtt":
            return notation.code(self._read_text())
        if token in (r"\frac", r"\tfrac"):
            above = self._read_argument()
            return notation.fraction(above, self._read_argument(), is_small=token == r"\tfrac")
        if token == r"\sqrt":
            return notation.root(self._read_argument())
        if token == r"\begin":
            return self._read_cases()
        if token == "{":
            self._place -= 1
            return self._read_argument()
        raise FormulaError(
            f"there is no {notation.language} for this LaTeX", place=self._latex, found=token or "its end",
            remedy="add it to the tables of the reader",
        )  # fmt: skip
