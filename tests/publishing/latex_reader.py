"""Reads printed formulas back into numbers, knowing nothing but LaTeX: a reader of the pages, as a program."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from fractions import Fraction
from math import ceil, floor

Number = int | Fraction
Function = Callable[..., Number]

_BRACKETS = re.compile(r"\\(?:left|right|[bB]igl|[bB]igr)(?=[^a-zA-Z])|\\(?:left|right)(?=\\)")
_LABEL = re.compile(r"&& \\text\{\(\w+\)\}")
_LAYOUT = re.compile(r"\\begin\{aligned\}|\\end\{aligned\}|\\\\\n|\\quad|&|\{\}")
_RELATIONS: Mapping[str, Callable[[Number, Number], bool]] = {
    r"\ne": lambda a, b: a != b,
    "=": lambda a, b: a == b,
    ">": lambda a, b: a > b,
}


def clean(latex: str) -> str:
    """Return displayed LaTeX in one line, without what only arranges it."""
    text = _LAYOUT.sub(" ", _LABEL.sub("", latex))
    text = re.sub(r"(?<=\d)\\,(?=\d)", "", _BRACKETS.sub("", text))  # groups of digits are one number
    return " ".join(text.replace(r"\,", " ").replace(r"\cdot", " ").split())


def split_equation(latex: str) -> tuple[str, str]:
    """Return the two sides of a displayed equation."""
    left, _, right = clean(latex).partition("=")
    return left.strip(), right.strip()


class Reader:
    """Evaluates LaTeX.

    Parameters
    ----------
    values
        What the symbols stand for, by their LaTeX: numbers, or functions of numbers.
    """

    def __init__(self, values: Mapping[str, Number | Function]) -> None:
        self.values = dict(values)

    def read(self, latex: str) -> Number:
        """Return the value of one expression."""
        self.rest = clean(latex)
        value = self._sum()
        assert not self.rest, f"not read: {self.rest}"
        return value

    def _sum(self) -> Number:
        sign = -1 if self._take("-") else 1
        value = sign * self._product()
        while True:
            if self._take("+"):
                value += self._product()
            elif self._take("-"):
                value -= self._product()
            else:
                return value

    def _product(self) -> Number:
        value = self._power()
        while self.rest and not re.match(r"[-+=>,)\]}]|\\(?:ne\b|rceil|rfloor)", self.rest):
            value *= self._power()
        return value

    def _power(self) -> Number:
        base = self._atom()
        if self._take("^{"):
            exponent = self._sum()
            self._expect("}")
            assert exponent == int(exponent)
            return base ** int(exponent)
        return base

    def _atom(self) -> Number:
        if match := re.match(r"\d+", self.rest):
            self._expect(match[0])
            return int(match[0])
        if self._take("("):
            return self._close(self._sum(), ")")
        if self._take("["):
            left = self._sum()
            relation = next(name for name in _RELATIONS if self._take(name))
            return self._close(int(_RELATIONS[relation](left, self._sum())), "]")
        if self._take(r"\lceil"):
            return self._close(ceil(self._sum()), r"\rceil")
        if self._take(r"\lfloor"):
            value = self._sum()
            if self._take(r"\rceil"):
                return floor(value + Fraction(1, 2))
            return self._close(floor(value), r"\rfloor")
        if self._take(r"\max("):
            largest = self._sum()
            while self._take(","):
                largest = max(largest, self._sum())
            return self._close(largest, ")")
        if self._take(r"\tfrac{") or self._take(r"\frac{"):
            above = self._close(self._sum(), "}")
            self._expect("{")
            return Fraction(above) / self._close(self._sum(), "}")
        return self._symbol()

    def _symbol(self) -> Number:
        fitting = [name for name in self.values if self.rest.startswith(name)]
        assert fitting, f"the page does not say what this is: {self.rest[:60]}"
        name = max(fitting, key=len)
        self._expect(name)
        value = self.values[name]
        if not callable(value):
            return value
        self._expect("(")
        first = self._sum()
        self._expect(",")
        second = self._close(self._sum(), ")")
        rest = self.rest  # the function reads its own definition
        result = value(first, second)
        self.rest = rest
        return result

    def _take(self, token: str) -> bool:
        if not self.rest.startswith(token) or (token[-1].isalpha() and self.rest[len(token) :][:1].isalpha()):
            return False
        self.rest = self.rest[len(token) :].lstrip()
        return True

    def _expect(self, token: str) -> None:
        assert self.rest.startswith(token), f"expected {token}: {self.rest[:60]}"
        self.rest = self.rest[len(token) :].lstrip()

    def _close(self, value: Number, token: str) -> Number:
        self._expect(token)
        return value
