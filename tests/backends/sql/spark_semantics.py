"""The queries for Spark, read and computed by the rules that Spark documents for decimals. Spark does not run here.

Only what the queries use is understood; anything else fails. A decimal has a precision and a scale, as in Spark:

* A literal ``12BD`` has as many digits as it is written with; a column is DECIMAL(38, 0).
* Of types (p1, s1) and (p2, s2) a sum has scale max(s1, s2) and precision max(p1 - s1, p2 - s2) + scale + 1; a product
  has (p1 + p2 + 1, s1 + s2); a quotient has scale max(6, s1 + p2 + 1) and precision p1 - s1 + s2 + scale; a remainder
  has (min(p1 - s1, p2 - s2) + scale, max(s1, s2)).
* A type of more than 38 digits becomes (38, max(38 - (p - s), min(s, 6))), and results are rounded half up to its
  scale.
* A result that does not fit is an error in ANSI mode, else NULL. NULL is an operand of NULL; CASE and IF take a
  condition that is NULL for false; ``greatest`` and ``least`` leave NULL out; ``coalesce`` takes the first that is not
  NULL.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import ROUND_HALF_UP, Decimal, localcontext
from typing import Any, NamedTuple

MOST_DIGITS = 38


class DigitsError(ArithmeticError):
    """A result does not fit, in ANSI mode."""


class RaisedError(ArithmeticError):
    """The query called ``raise_error``."""


class Number(NamedTuple):
    """A decimal with its type."""

    value: Decimal
    precision: int
    scale: int


_TOKEN = re.compile(r"\s*(?:(\d+)BD|(\d+)|('(?:[^']*)')|([A-Za-z_]\w*)|(<>|<=|>=|[-+*/%(),=<>.]))")
Expression = Callable[[Mapping[str, Any]], Any]


class Parser:
    """Reads expressions into functions of a row."""

    def __init__(self, text: str, *, ansi: bool) -> None:
        self._ansi = ansi
        self._tokens: list[tuple[str, str]] = []
        place = 0
        text = text.strip()
        while place < len(text):
            found = _TOKEN.match(text, place)
            assert found, text[place : place + 60]
            kind = ("literal", "int", "text", "name", "sign")[(found.lastindex or 0) - 1]
            self._tokens.append((kind, found[found.lastindex or 0]))
            place = found.end()
        self._place = 0

    def parse(self) -> Expression:
        """Return the one expression of the text."""
        found = self._condition()
        assert self._place == len(self._tokens), self._tokens[self._place :][:8]
        return found

    def _peek(self) -> str:
        return self._tokens[self._place][1] if self._place < len(self._tokens) else ""

    def _take(self, wanted: str = "") -> str:
        found = self._peek()
        assert not wanted or found.upper() == wanted, (wanted, self._tokens[self._place :][:8])
        self._place += 1
        return found

    def _is_next(self, *words: str) -> bool:
        return self._peek().upper() in words

    def _condition(self) -> Expression:
        left = self._negation()
        while self._is_next("OR", "AND"):
            word, right = self._take().upper(), self._negation()
            left = self._logic(word, left, right)
        return left

    def _logic(self, word: str, left: Expression, right: Expression) -> Expression:
        if word == "OR":
            return lambda row: bool(left(row)) or bool(right(row))
        return lambda row: bool(left(row)) and bool(right(row))

    def _negation(self) -> Expression:
        if self._is_next("NOT"):
            self._take()
            inner = self._negation()
            return lambda row: None if (found := inner(row)) is None else not found
        return self._comparison()

    def _comparison(self) -> Expression:
        left = self._sum()
        if self._is_next("IS"):
            self._take()
            wants_null = not self._is_next("NOT")
            if not wants_null:
                self._take()
            self._take("NULL")
            return lambda row: (left(row) is None) is wants_null
        if self._is_next("IN"):
            self._take()
            choices = self._arguments()
            return lambda row: None if (found := left(row)) is None else found in [each(row) for each in choices]
        if self._is_next("LIKE"):
            self._take()
            pattern = re.escape(self._take().strip("'")).replace("%", ".*")
            return lambda row: re.fullmatch(pattern, left(row)) is not None
        if self._is_next("=", "<>", "<", "<=", ">", ">="):
            sign, right = self._take(), self._sum()
            return lambda row: _compare(sign, left(row), right(row))
        return left

    def _sum(self) -> Expression:
        left = self._product()
        while self._is_next("+", "-"):
            left = self._binary(self._take(), left, self._product())
        return left

    def _product(self) -> Expression:
        left = self._unary()
        while self._is_next("*", "/", "%"):
            left = self._binary(self._take(), left, self._unary())
        return left

    def _binary(self, sign: str, left: Expression, right: Expression) -> Expression:
        return lambda row: self._compute(sign, left(row), right(row))

    def _unary(self) -> Expression:
        if self._is_next("-"):
            self._take()
            inner = self._unary()
            return lambda row: (
                None if (found := inner(row)) is None else found._replace(value=found.value.copy_negate())
            )
        return self._atom()

    def _atom(self) -> Expression:
        kind, text = self._tokens[self._place]
        self._place += 1
        if kind == "literal":
            number = Number(Decimal(text), len(text), 0)
            return lambda _: number
        if kind == "int":
            return lambda _: int(text)
        if kind == "text":
            return lambda _: text[1:-1]
        if text == "(":
            inner = self._condition()
            self._take(")")
            return inner
        assert kind == "name", text
        match text.upper():
            case "CASE":
                return self._case()
            case "CAST":
                return self._cast()
            case "TRUE":
                return lambda _: True
        if self._is_next("("):
            return self._call(text, self._arguments())
        return lambda row: row[text]

    def _arguments(self) -> list[Expression]:
        self._take("(")
        found = [self._condition()]
        while self._is_next(","):
            self._take()
            found.append(self._condition())
        self._take(")")
        return found

    def _case(self) -> Expression:
        branches: list[tuple[Expression, Expression]] = []
        otherwise: Expression = lambda _: None  # noqa: E731  # what CASE is without ELSE
        assert self._is_next("WHEN"), "a CASE of ELSE alone is a syntax error"
        while not self._is_next("END"):
            if self._take().upper() == "ELSE":
                otherwise = self._condition()
                continue
            condition = self._condition()
            self._take("THEN")
            branches.append((condition, self._condition()))
        self._take("END")
        return lambda row: next((value for condition, value in branches if condition(row)), otherwise)(row)

    def _cast(self) -> Expression:
        self._take("(")
        inner = self._condition()
        self._take("AS")
        if self._take().upper() == "INT":
            self._take(")")
            return lambda row: _to_int(inner(row))
        for wanted in ("(", "38", ",", "0", ")", ")"):
            self._take(wanted)
        return lambda row: self._to_decimal(inner(row))

    def _to_decimal(self, found: Any) -> Number | None:
        return None if found is None else self._fit(found.value, MOST_DIGITS, 0)

    def _call(self, name: str, arguments: list[Expression]) -> Expression:
        match name:
            case "coalesce":
                return lambda row: next((found for each in arguments if (found := each(row)) is not None), None)
            case "greatest" | "least":
                choose = max if name == "greatest" else min
                return lambda row: choose(
                    (found for each in arguments if (found := each(row)) is not None),
                    key=lambda found: found.value, default=None,
                )  # fmt: skip
            case "IF":
                condition, yes, no = arguments
                return lambda row: yes(row) if condition(row) else no(row)
            case "raise_error":
                return lambda row: _raise(arguments[0](row))
            case "typeof":
                return lambda row: "void" if arguments[0](row) is None else "decimal(38,0)"
            case "pmod":
                return lambda row: self._compute("pmod", arguments[0](row), arguments[1](row))
            case "array":
                return lambda row: [each(row) for each in arguments]
            case "element_at":
                return lambda row: arguments[0](row)[arguments[1](row) - 1]
        raise AssertionError(f"the queries do not use {name}")

    def _compute(self, sign: str, a: Any, b: Any) -> Any:
        if a is None or b is None:
            return None
        if isinstance(a, int):
            assert isinstance(b, int)
            assert sign == "+", "places in arrays only"
            return a + b
        assert isinstance(b, Number), (sign, a, b)
        whole, scale = max(a.precision - a.scale, b.precision - b.scale), max(a.scale, b.scale)
        with localcontext(prec=200):
            match sign:
                case "+" | "-":
                    value = a.value + b.value if sign == "+" else a.value - b.value
                    return self._fit(value, whole + scale + 1, scale)
                case "*":
                    return self._fit(a.value * b.value, a.precision + b.precision + 1, a.scale + b.scale)
                case "/":
                    scale = max(6, a.scale + b.precision + 1)
                    return self._fit(a.value / b.value, a.precision - a.scale + b.scale + scale, scale)
                case _:
                    rest = a.value % b.value  # of the sign of the dividend, as in Spark
                    if sign == "pmod" and rest < 0:
                        rest += b.value
                    return self._fit(rest, min(a.precision - a.scale, b.precision - b.scale) + scale, scale)

    def _fit(self, value: Decimal, precision: int, scale: int) -> Number | None:
        if precision > MOST_DIGITS:
            scale = max(MOST_DIGITS - (precision - scale), min(scale, 6))
            precision = MOST_DIGITS
        with localcontext(prec=200):
            rounded = value.quantize(Decimal(1).scaleb(-scale), rounding=ROUND_HALF_UP)
            if abs(rounded) >= Decimal(10) ** (precision - scale):
                if self._ansi:
                    raise DigitsError(str(value))
                return None
        return Number(rounded, precision, scale)


def _compare(sign: str, a: Any, b: Any) -> bool | None:
    if a is None or b is None:
        return None
    one, other = (found.value if isinstance(found, Number) else found for found in (a, b))
    return {
        "=": one == other, "<>": one != other, "<": one < other, "<=": one <= other, ">": one > other,
        ">=": one >= other,
    }[sign]  # fmt: skip


def _to_int(found: Any) -> int:
    assert abs(found.value) < 2**31
    return int(found.value)


def _raise(message: str) -> None:
    raise RaisedError(message)
