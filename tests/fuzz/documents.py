"""Documents with a few things wrong: JSON and YAML, as data, as text and as files."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, Final

from attrs import frozen
from tests.fuzz.case import Content, Folder, Link
from tests.fuzz.values import Draw, Raw


@frozen
class Pairs:
    """An object that may have a key twice."""

    items: tuple[tuple[str, Any], ...]


def _write_bombs(line: str) -> str:
    """Return lines of which each refers to the one before it a few times."""
    names = ["a", *(f"a{level}" for level in range(12))]
    return "a: &a {x: 1}\n" + "".join(f"{b}: {line.format(f'*{a}', b)}\n" for a, b in pairwise(names))


_BOMB: Final = (
    "".join(f"{{!!merge <<: [&x{level} " for level in range(40))
    + "{b: 1}"
    + "".join(f", *x{level}, *x{level}]}}" for level in reversed(range(40)))
)
"""The same with the first line on the outside."""

YAML_TEXTS: Final = (
    _write_bombs("&{1} [{0},{0},{0},{0},{0},{0},{0},{0},{0}]"), _write_bombs("&{1} {{!!merge <<: [{0},{0},{0}]}}"),
    "a: " + _BOMB, "- 1\n" * 600_000, "a: {b: 1}\n" * 100_000, "&a [*a]", "&a {x: *a}", "? &a [*a]\n: 1", "*a",
    "a: &a\n  b: *a\n", "!!python/object/apply:os.system [id]", "!!binary aGk=", "!!set {a}", "!!omap [a: 1]",
    "!!timestamp 2024-02-29", "!!int x", "!!float x", "!!bool maybe", "!!null x", "!!str {a: 1}", "!!map [a]",
    "!!seq {a: 1}", "!<tag:yaml.org,2002:int> '1'", "!x y", "%YAML 9.9\n---\na: 1", "%TAG ! !!\n---\n!x 1",
    "---\n---\n", "a: 1\n---\nb: 2", "a: 1\n...\nb", "\ta: 1", "a:\n\t- b", "a: b: c", "- a\nb: c", "{a: 1, a: 2}",
    "a: 1\na: 2", "{[a]: 1}", "? {a: 1}\n: 2", "? [a]\n: 1", "[", "]", "{", "'", '"\\x"', '"\\ud800"', "|\n x",
    ">-\n x", "a: |9\n x", "@a", "`a", "<<: {a: 1}", "!!merge <<: 1", "{!!merge <<: {a: 1}}", "=", "!!value =",
    "1" * 5000, "[" * 500, "[" * 20_000, "{a: " * 900, "- " * 2_000 + "a",
    "".join(f"{' ' * n}a:\n" for n in range(400)), "#", "null", "~", "- 1\n" * 3_000, "&" + "a" * 3_000 + " 1",
    "!" + "a" * 3_000 + " 1", "a" * 40_000, "? " * 500, "&a " * 500, "\x00", "\x1b", "\ufeff", "\ufeff\ufeff",
    "a: \x07", "\u2028", "\x85a",
)  # fmt: skip
"""Whole files that are hard on a reader of YAML."""

JSON_TEXTS: Final = (
    "", " ", "null", "[]", "{}", "0", '""', "NaN", "Infinity", "[" * 500, "[" * 100_000, '{"a":' * 900,
    '{"a":' * 90_000, '{"a":1,"a":2}', "{'a': 1}", '{"a": 1,}', "{a: 1}", '{"a" 1}', '{"a": 01}', '{"a": +1}',
    '{"a": .5}', '{"a": 1}{}', '{"a": "\\ud800"}', '{"\\udfff": 1}', '{"a": "\n"}', '{"a": "\\x"}', "1" * 5000,
    '{"a": ' + "9" * 5000 + "}", "// x\n{}", "\x00", "\ufeff{}", '{"a": 1e400}', '{"a": "' + "x" * 200_000 + '"}',
    "[" + "0," * 50_000 + "0]", "tru", "{" * 3_000,
)  # fmt: skip
"""The same for JSON."""

_Steps = tuple[str | int, ...]


def spoil(draw: Draw, document: Any, times: int | None = None) -> Any:
    """Return a copy of a document with one to three changes."""
    document = copy.deepcopy(document)
    for _ in range(times or draw.choice((1, 1, 1, 2, 3))):
        places = [steps for steps in _walk(document) if steps]
        if not places:
            return draw.value()
        document = _change(draw, document, draw.choice(places))
    return document


def write_json(value: Any, indent: bool = False) -> str:
    """Return a document as JSON text; what JSON has not is written as Python's own writer would, or as it is."""
    if isinstance(value, Raw):
        return value.text
    if isinstance(value, dict | Pairs):
        items = value.items if isinstance(value, Pairs) else value.items()
        gap = ",\n " if indent else ", "
        return "{" + gap.join(f"{json.dumps(key)}: {write_json(inner)}" for key, inner in items) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(write_json, value)) + "]"
    return json.dumps(value)


def write_yaml(value: Any) -> str:
    """Return a document as YAML text, its outermost level in block style and the rest as JSON."""
    if not isinstance(value, dict | Pairs) or not value:
        return write_json(value)
    items = value.items if isinstance(value, Pairs) else value.items()
    return "".join(f"{json.dumps(key)}: {_yaml_scalar(inner)}\n" for key, inner in items)


def make_file(draw: Draw, document: Any, *, is_yaml: bool, share_valid: float = 0.15) -> Content:
    """Return what stands in the place of a file that should hold a document."""
    write = write_yaml if is_yaml else write_json
    kind = draw.random()
    if kind < share_valid:
        return write(document).encode()
    if kind < 0.8:
        return write(spoil(draw, document)).encode(errors="surrogatepass")
    if kind < 0.88:
        pool = YAML_TEXTS if is_yaml else JSON_TEXTS
        return draw.choice(draw.choice((pool, pool, YAML_TEXTS, JSON_TEXTS))).encode(errors="surrogatepass")
    if kind < 0.96:
        return _damage(draw, write(document).encode())
    return draw.choice(
        (
            Folder(), Folder(mode=0), Link(target="nowhere"), Link(target="notes.txt"), Link(target="empty"),
            Link(target="/dev/zero"), Link(target="/dev/null"), Link(target="/proc/self/mem"),
            Link(target="/proc/self/maps"),
            Link(target="."), Link(target="x" * 255),
        )
    )  # fmt: skip


def _yaml_scalar(value: Any) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return {"nan": ".nan", "inf": ".inf", "-inf": "-.inf"}[str(value)]
    return write_json(value)


def _damage(draw: Draw, data: bytes) -> bytes:
    place = draw.randrange(len(data) + 1)
    return draw.choice(
        (
            data[:place], b"", b"\n", data + data, data + b"x", b"x" + data, data[:place] + b"\x00" + data[place:],
            data[:place] + b"\xff" + data[place:], data[:place] + draw.randbytes(9) + data[place:], draw.randbytes(200),
            data.decode().encode("utf-16"), data.decode().encode("utf-8-sig"), data.replace(b"\n", b"\r\n"),
            b"\x1f\x8b" + data, b"\x80\x04" + data, b" " * 3_000_000 + data, data.swapcase(),
            data[place:] + data[:place],
        )
    )  # fmt: skip


def _walk(value: Any, steps: _Steps = ()) -> Iterator[_Steps]:
    yield steps
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _walk(inner, (*steps, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _walk(inner, (*steps, index))


def _change(draw: Draw, document: Any, steps: _Steps) -> Any:
    """Return the document with one change at a place below its root."""
    if len(steps) > 1 and draw.chance(0.5):  # places near the root are few and matter most
        steps = steps[: draw.randrange(1, len(steps) + 1)]
    holder = document
    for step in steps[:-1]:
        holder = holder[step]
    last = steps[-1]
    value = holder[last]
    kind = draw.randrange(11)
    if kind == 0:
        del holder[last]
    elif kind == 1 and isinstance(holder, dict):
        items = [(draw.scribble(str(key)) if key == last else key, inner) for key, inner in holder.items()]
        holder.clear()
        holder.update(items)
    elif kind == 2 and isinstance(holder, dict):
        items = [*holder.items(), (str(last), draw.choice((value, draw.value())))]
        return _put(document, steps[:-1], Pairs(tuple(items)))
    elif kind == 3 and isinstance(holder, dict):
        holder[draw.choice((draw.scribble(str(last)), draw.text()))] = draw.value()
    elif kind == 4:
        holder[last] = _nest(draw, value)
    elif kind == 5 and isinstance(value, list) and value:
        holder[last] = draw.choice(
            (value * 2, value[::-1], value[1:], value[:1] * 1000, [], dict.fromkeys("ab", value))
        )
    elif kind == 6 and type(value) is int:
        holder[last] = draw.choice((value + 1, value - 1, -value, 2 * value, float(value), str(value), value * 10**20))
    elif kind == 7 and isinstance(value, str):
        holder[last] = draw.scribble(value)
    elif kind == 8:
        holder[last] = draw.choice(list(holder.values() if isinstance(holder, dict) else holder))
    else:
        holder[last] = draw.value()
    return document


def _put(document: Any, steps: _Steps, value: Any) -> Any:
    if not steps:
        return value
    holder = document
    for step in steps[:-1]:
        holder = holder[step]
    holder[steps[-1]] = value
    return document


def _nest(draw: Draw, value: Any) -> Any:
    """Return a value in lists or objects, a few or hundreds of them."""
    depth = draw.choice((1, 1, 2, 400))
    text = write_json(value)
    if draw.chance(0.5):
        return Raw("[" * depth + text + "]" * depth)
    return Raw('{"a": ' * depth + text + "}" * depth)
