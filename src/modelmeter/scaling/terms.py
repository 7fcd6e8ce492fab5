"""Formulas as plain data, with exact values: what certificates hold, and what is computed with without sympy.

A term is an integer, the name of a size, or a tuple that begins with an operation: ``("/", 2, 3)`` is two thirds,
``("+", a, b)`` a sum, ``("*", a, b)`` a product, ``("^", a, 2)`` a power, and ``("ceil_div", a, b)`` a call of an
integer function; ``max`` and ``min`` take any number of terms.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from fractions import Fraction
from math import prod
from typing import Any, Final, TypeAlias

import sympy

from modelmeter.dimensions.functions import INTEGER_FUNCTIONS, IntegerFunction
from modelmeter.support.errors import CertificateError, FormulaError

Number: TypeAlias = int | Fraction
Term: TypeAlias = int | str | tuple[Any, ...]


def snake_case(name: str) -> str:
    """Return the name of a class as functions are named."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


CALLS: Final[Mapping[str, type[IntegerFunction]]] = {snake_case(each.__name__): each for each in INTEGER_FUNCTIONS}
"""The integer functions by their names in terms."""

ROUNDINGS: Final = ("ceil_div", "floor_div")
BRACKETS: Final = ("differs", "equals", "exceeds")
CHOICES: Final = ("max", "min")

_LARGEST_EXPONENT: Final = 64
"""A larger one in a file is no formula of a cost, and would take for ever."""

_CALL_NAMES: Final = {function: name for name, function in CALLS.items()}


def is_call(term: Term) -> bool:
    """Tell whether a term is a call of an integer function, a maximum or a minimum."""
    return isinstance(term, tuple) and (term[0] in CALLS or term[0] in CHOICES)


def simplest(value: Number) -> Number:
    """Return a fraction with denominator 1 as an integer."""
    return value.numerator if value.denominator == 1 else value


def to_term(number: Number) -> Term:
    """Return the term of a number."""
    return number.numerator if number.denominator == 1 else ("/", number.numerator, number.denominator)


def from_sympy(expression: sympy.Expr) -> Term:
    """Return a formula as a term, as it is written.

    Raises
    ------
    FormulaError
        If it has anything but exact sums, products, integer powers, integer functions, maxima and minima.
    """
    expression = sympy.sympify(expression)
    if expression.is_Integer:
        return int(expression)
    if expression.is_Rational:
        return ("/", int(expression.p), int(expression.q))
    if expression.is_Symbol:
        return str(expression.name)
    if expression.is_Pow and expression.exp.is_Integer:
        return ("^", from_sympy(expression.base), int(expression.exp))
    heads = {sympy.Add: "+", sympy.Mul: "*", sympy.Max: "max", sympy.Min: "min", **_CALL_NAMES}
    if expression.func not in heads:
        raise FormulaError("this part of a formula has no exact value", found=expression)
    return (heads[expression.func], *map(from_sympy, expression.args))


def to_sympy(term: Term, symbols: Mapping[str, sympy.Symbol]) -> sympy.Expr:
    """Return a term as a formula, with the symbol of each name."""
    if isinstance(term, int):
        return sympy.Integer(term)
    if isinstance(term, str):
        return symbols[term]
    head, *rest = term
    if head == "/":
        return sympy.Rational(*rest)
    arguments = [to_sympy(argument, symbols) for argument in (rest[:1] if head == "^" else rest)]
    if head == "^":
        return arguments[0] ** rest[1]
    functions: dict[str, Any] = {"+": sympy.Add, "*": sympy.Mul, "max": sympy.Max, "min": sympy.Min, **CALLS}
    return functions[head](*arguments)


def evaluate(term: Term, values: Mapping[str, Number]) -> Number:
    """Return the exact value of a term.

    Raises
    ------
    FormulaError
        If a size has no value, a rounding gets a fraction, or the term divides by zero.
    """
    if isinstance(term, int):
        return term
    if isinstance(term, str):
        if term not in values:
            raise FormulaError("a size of the formula has no value", place=term)
        return values[term]
    head, *rest = term
    if head == "/":
        return Fraction(*rest)
    if head == "^":
        return raise_to(evaluate(rest[0], values), rest[1])
    found = [evaluate(argument, values) for argument in rest]
    return apply(head, found)


def raise_to(base: Number, exponent: int) -> Number:
    """Return a power of a number; the exponent may be negative."""
    if exponent >= 0:
        return base**exponent
    if base == 0:
        raise FormulaError("a formula divides by zero")
    return simplest(Fraction(1) / base**-exponent)


def apply(head: str, arguments: list[Number]) -> Number:
    """Return the value of an operation on numbers."""
    if head == "+":
        return simplest(sum(arguments, start=0))
    if head == "*":
        return simplest(prod(arguments, start=1))
    if head == "max":
        return max(arguments)
    if head == "min":
        return min(arguments)
    whole = [simplest(argument) for argument in arguments]
    if head in BRACKETS:
        # A bracket compares fractions, too, as those of a quotient.
        first, second = whole
        scale = first.denominator * second.denominator
        return CALLS[head].compute(int(first * scale), int(second * scale))
    if any(isinstance(argument, Fraction) for argument in whole):
        raise FormulaError("an integer function got a fraction", place=head, found=whole)
    return CALLS[head].compute(*(int(argument) for argument in whole))


def names_of(term: Term) -> frozenset[str]:
    """Return the names of the sizes in a term."""
    if isinstance(term, str):
        return frozenset({term})
    if isinstance(term, int) or term[0] == "/":
        return frozenset()
    return frozenset().union(*(names_of(part) for part in (term[1:2] if term[0] == "^" else term[1:])))


def to_text(term: Term) -> str:
    """Return a term as people write it."""
    if isinstance(term, int | str):
        return str(term)
    head, *rest = term
    if head == "/":
        return f"{rest[0]}/{rest[1]}"
    if head == "^":
        return f"{_in_parentheses(rest[0])}^{rest[1]}"
    if head == "+":
        return " + ".join(map(to_text, rest)).replace("+ -", "- ") or "0"
    if head == "*":
        return "*".join(map(_in_parentheses, rest)) or "1"
    return f"{head}({', '.join(map(to_text, rest))})"


def _in_parentheses(term: Term) -> str:
    is_sum = isinstance(term, tuple) and term[0] in ("+", "/", "*")
    return f"({to_text(term)})" if is_sum else to_text(term)


def to_json(term: Term) -> Any:
    """Return a term as JSON has it: tuples are lists."""
    return [term[0], *map(to_json, term[1:])] if isinstance(term, tuple) else term


def from_json(value: object) -> Term:
    """Return the term of a JSON value.

    Raises
    ------
    CertificateError
        If it is none.
    """
    if type(value) is int or (isinstance(value, str) and value.isidentifier()):
        return value
    if isinstance(value, list) and value and isinstance(value[0], str):
        head, rest = value[0], value[1:]
        if head == "/" and len(rest) == 2 and all(type(part) is int for part in rest) and rest[1] > 1:
            return ("/", *rest)
        if head == "^" and len(rest) == 2 and type(rest[1]) is int and abs(rest[1]) <= _LARGEST_EXPONENT:
            return ("^", from_json(rest[0]), rest[1])
        has_fitting_arity = head in CALLS and len(rest) == CALLS[head].arity
        if head in ("+", "*") or (head in CHOICES and rest) or has_fitting_arity:
            return (head, *map(from_json, rest))
    raise CertificateError("this is no formula", found=value)


def fingerprint(term: Term) -> str:
    """Return what tells a formula from any other: equal terms have equal ones, on every machine."""
    text = json.dumps(to_json(term), separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]
