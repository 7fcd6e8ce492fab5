"""A Node process that calls functions of generated modules, and what they return or refuse as Python has it."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen

_SCRIPT = """
import { createInterface } from "node:readline";
const [folder] = process.argv.slice(1);
const costs = await import(`${folder}/index.mjs`);
const kinds = {
  int: BigInt, number: Number, same: (value) => value, list: (values) => values.map(read), none: () => null,
  fraction: ([top, bottom]) => new costs.Fraction(BigInt(top), BigInt(bottom)),
};
const read = ([kind, value]) => kinds[kind](value);
const call = (name, sizes) => {
  const called = name.split(".").reduce((found, part) => found[part], costs);
  return called(Object.fromEntries(Object.entries(sizes).map(([size, value]) => [size, read(value)])));
};
for await (const line of createInterface({ input: process.stdin })) {
  const found = JSON.parse(line).map(([name, sizes]) => {
    try {
      return { value: call(name, sizes) };
    } catch (error) {
      return { error: error.name, message: error.message };
    }
  });
  console.log(JSON.stringify(found, (_, value) => (typeof value === "bigint" ? `${value}` : value)));
}
"""


@frozen
class Refusal:
    """An error: its class, and what it says."""

    error: str
    message: str


def find_node() -> str:
    """Return the path of Node, or skip the test."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed: generated JavaScript cannot run")
    return node


class JavaScriptPackage:
    """A generated package in a Node process of its own."""

    def __init__(self, folder: Path) -> None:
        command = [find_node(), "--input-type=module", "--eval", _SCRIPT, folder.resolve().as_uri()]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def call(self, name: str, **sizes: Any) -> Any:
        """Return what one call returns, or its refusal."""
        (found,) = self.call_all([(name, sizes)])
        return found

    def call_all(self, calls: Iterable[tuple[str, Mapping[str, Any]]]) -> list[Any]:
        """Return what each call returns, or its refusal."""
        written = [[name, {size: _write(value) for size, value in sizes.items()}] for name, sizes in calls]
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(written) + "\n")
        self._process.stdin.flush()
        return [_read(found) for found in json.loads(self._process.stdout.readline())]

    def close(self) -> None:
        """End the process."""
        self._process.communicate(timeout=60)


def _write(value: Any) -> tuple[str, Any]:
    match value:
        case None:
            return "none", None
        case bool():
            return "same", value
        case float():
            return "number", value
        case int():
            return "int", str(value)
        case Fraction():
            return "fraction", [str(value.numerator), str(value.denominator)]
        case list():
            return "list", [_write(item) for item in value]
        case _:
            return "same", value


def _read(found: dict[str, Any]) -> Any:
    return Refusal(found["error"], found["message"]) if "error" in found else _read_numbers(found["value"])


def _read_numbers(value: Any) -> Any:
    return {name: _read_numbers(found) for name, found in value.items()} if isinstance(value, dict) else int(value)
