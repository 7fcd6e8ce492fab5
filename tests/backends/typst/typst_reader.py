"""Evaluates formulas from the tree that Typst reads in them, which is not a tree of ours."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from math import ceil, floor, prod
from typing import Any

import pytest

Value = int | Fraction


def read_equations(equations: Sequence[str]) -> list[Mapping[str, Any]]:
    """Return the bodies of equations as Typst reads them."""
    typst = pytest.importorskip("typst", reason="typst is not installed: nothing reads what is printed")
    source = "\n\n".join(equations).encode()
    found = json.loads(typst.query(source, "math.equation", ignore_system_fonts=True))
    assert len(found) == len(equations)
    return [each["body"] for each in found]


def list_texts(tree: Any) -> list[str]:
    """Return what a tree shows, in the order of reading."""
    if isinstance(tree, list):
        return [text for each in tree for text in list_texts(each)]
    if not isinstance(tree, dict):
        return []
    return ([tree["text"]] if isinstance(tree.get("text"), str) else []) + [
        text for key, each in tree.items() if key != "text" for text in list_texts(each)
    ]


def name_letter(tree: Mapping[str, Any]) -> str:
    """Return a name for a letter with what stands below it."""
    return "|".join(list_texts(tree))


_RELATIONS = {"≠": lambda a, b: a != b, "=": lambda a, b: a == b, ">": lambda a, b: a > b}
_CLOSING = {"(": ")", "[": "]", "⌈": "⌉", "⌊": "⌋⌉"}


def evaluate(tree: Mapping[str, Any], values: Mapping[str, int]) -> Value:
    """Return the value of a tree of Typst, which is not a tree of ours."""
    tokens = list(flatten(tree))
    value = add_up(tokens, values)
    assert not tokens, f"not read: {tokens}"
    return value


def flatten(tree: Mapping[str, Any]) -> Iterator[Any]:
    """Yield signs as text, digits as numbers, and all else as trees."""
    match tree["func"]:
        case "sequence":
            for child in tree["children"]:
                yield from flatten(child)
        case "styled":
            yield from flatten(tree["child"])
        case "lr":
            yield from flatten(tree["body"])
        case "space" | "h":
            pass
        case "text" | "symbol":
            if tree["text"]:
                yield tree["text"]
        case "op":
            yield tree["text"]["text"]
        case _:
            yield tree


def add_up(tokens: list[Any], values: Mapping[str, int]) -> Value:
    total: Value = 0
    sign = 1
    while True:
        if tokens and tokens[0] in ("+", "\u2212"):
            sign = 1 if tokens.pop(0) == "+" else -1
        total += sign * multiply(tokens, values)
        if not tokens or tokens[0] not in ("+", "\u2212"):
            return total


def multiply(tokens: list[Any], values: Mapping[str, int]) -> Value:
    factors: list[Value] = []
    digits = ""
    while tokens and tokens[0] not in (*"+\u2212=≠>,)]⌉⌋",):
        token = tokens.pop(0)
        if isinstance(token, str) and token.isdigit():
            digits += token  # groups of digits are one number
            if tokens and isinstance(tokens[0], str) and tokens[0].isdigit():
                continue
            factors.append(int(digits))
            digits = ""
        elif token != "⋅":
            factors.append(read_atom(token, tokens, values))
    assert factors
    return prod(factors)


def read_atom(token: Any, tokens: list[Any], values: Mapping[str, int]) -> Value:
    if isinstance(token, str) and token in _CLOSING:
        return read_bracket(token, tokens, values)
    if token in ("max", "min"):
        assert tokens.pop(0) == "("
        arguments = [add_up(tokens, values)]
        while tokens[0] == ",":
            tokens.pop(0)
            arguments.append(add_up(tokens, values))
        assert tokens.pop(0) == ")"
        return max(arguments) if token == "max" else min(arguments)
    if isinstance(token, str):
        return values[token]
    if token["func"] == "frac":
        return Fraction(evaluate(token["num"], values)) / evaluate(token["denom"], values)
    assert token["func"] == "attach", token
    exponent = evaluate(token["t"], values) if "t" in token else 1
    base = token["base"]
    if isinstance(base, dict) and base.get("text") == ")":  # the bracket of a line in pieces carries the power
        raise AssertionError("a power of a bracket that may be broken")
    name = "|".join([*list_texts(base), *list_texts(token.get("b"))])
    found: Value = values[name] if name in values else evaluate(base, values)
    assert exponent == int(exponent)
    return found ** int(exponent)


def read_bracket(opening: str, tokens: list[Any], values: Mapping[str, int]) -> Value:
    value = add_up(tokens, values)
    if opening == "[":
        relation = _RELATIONS[tokens.pop(0)]
        value = int(relation(value, add_up(tokens, values)))
    closing = tokens.pop(0)
    assert closing in _CLOSING[opening]
    match opening, closing:
        case "⌈", _:
            return ceil(value)
        case "⌊", "⌉":
            return floor(value + Fraction(1, 2))
        case "⌊", _:
            return floor(value)
        case _:
            return value
