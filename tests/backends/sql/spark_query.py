"""Queries of common table expressions for Spark, computed row by row; see ``spark_semantics``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from spark_semantics import MOST_DIGITS, Expression, Number, Parser

_VIEW = re.compile(r"(\w+) AS \(\n  SELECT (.*?)\n  FROM (\w+)\n\)", re.DOTALL)


class Query:
    """A query of common table expressions, each of which selects from the one before it."""

    def __init__(self, text: str, *, ansi: bool) -> None:
        code = re.sub(r"--.*", "", text)
        head, _, tail = code.rpartition("\nSELECT ")
        self._views = [(found[1], _split(found[2]), found[3]) for found in _VIEW.finditer(head)]
        last = re.fullmatch(r"(.*)\nFROM (\w+);\s*", tail, re.DOTALL)
        assert last
        self._views.append(("result", _split(last[1]), last[2]))
        for (name, *_), (*_, source) in zip(self._views, self._views[1:], strict=False):
            assert source == name, "a chain"
        self._items = [[self._read(item, ansi) for item in items] for _, items, _ in self._views]

    @staticmethod
    def _read(item: str, ansi: bool) -> tuple[str, Expression | None]:
        if item in ("*", "_row.*") or item.startswith("struct("):
            return item, None
        expression, _, name = item.rpartition(" AS ")
        if not expression:
            return item, Parser(item, ansi=ansi).parse()
        return name, Parser(expression, ansi=ansi).parse()

    def run(self, row: Mapping[str, Any]) -> dict[str, int]:
        """Return the columns that the query adds to a row of ``pages``; each step is computed, wanted or not."""
        known: dict[str, Any] = {
            name: Number(Decimal(size), MOST_DIGITS, 0) if isinstance(size, int) else size for name, size in row.items()
        }
        for items in self._items:
            added = {name: expression(known) for name, expression in items if expression is not None}
            added |= {"_row": None} if any(name.startswith("struct(") for name, _ in items) else {}
            known = {**(known if any(name == "*" for name, _ in items) else {}), **added}
        return {name: int(found.value) for name, found in known.items()}


def _split(text: str) -> list[str]:
    """Return the items of a list, between commas outside of parentheses."""
    items, depth, begin = [], 0, 0
    for place, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if character == "," and depth == 0:
            items.append(text[begin:place].strip())
            begin = place + 1
    return [item for item in (*items, text[begin:].strip()) if item]
