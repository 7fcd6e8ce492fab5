"""The calculator of the site: the JavaScript evaluators as one classic script, which a page from a disk may load."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Final

from attrs import frozen

from modelmeter.model.stages import TRAINING_STEP
from modelmeter.support.errors import FormulaError

MODULES: Final = ("runtime", "facts", "model", "programs", "stages")
"""In the order in which they need each other."""

MOST_BYTES: Final = 60_000
"""Of all scripts of the page."""

_COMMENT = re.compile(r"^\s*/\*\*.*?\*/\n|^\s*//[^\n]*\n", re.DOTALL | re.MULTILINE)
_IMPORT_ALL = re.compile(r'^import \* as (\w+) from "\./(\w+)\.mjs";$', re.MULTILINE)
_IMPORT = re.compile(r'^import \{([^}]*)\} from "\./(\w+)\.mjs";$', re.MULTILINE)
_EXPORT = re.compile(r"^export ((?:const|function|class) (?:(\w+)|\{([^}]*)\}))", re.MULTILINE)
_UNUSED = (
    re.compile(r"^export const (?:CONVENTIONS|PROVENANCE) = Object\.freeze\(.*?^\S*\);\n", re.DOTALL | re.MULTILINE),
    re.compile(r"^export const \{[^}]*\} = metricsOf\(COSTS\);\n", re.MULTILINE),
    # A training step is no part of a request.
    re.compile(rf"^export const {TRAINING_STEP} = program\(.*?^\S*\);\n", re.DOTALL | re.MULTILINE),
    re.compile(rf"^(?:export const {TRAINING_STEP} = |  {TRAINING_STEP}: )[^\n]*\n", re.MULTILINE),
)
"""What no request needs."""


@frozen(kw_only=True)
class CalculatorCard:
    """A card of the list: peak rates as exact integers, and the bytes that are there for a model."""

    id: str
    name: str
    tensor_flops_per_second: int
    vector_flops_per_second: int
    memory_bytes_per_second: int
    memory_bytes: int


@frozen(kw_only=True)
class Calculator:
    """What the page of the calculator is made of.

    Parameters
    ----------
    modules
        The JavaScript evaluators, by the name of the module.
    arguments
        The sizes of a request with their defaults; None where a size follows from others.
    derived
        The sizes that are no arguments, each with those that it follows from.
    presets
        Sizes of well-known workloads, by name.
    cards
        To choose from.
    package
        The name of the Python package.
    """

    modules: Mapping[str, str]
    arguments: Mapping[str, int | None]
    derived: Mapping[str, tuple[str, ...]]
    presets: Mapping[str, Mapping[str, int]]
    cards: tuple[CalculatorCard, ...]
    package: str

    def write_script(self) -> str:
        """Return the evaluators as one script that defines ``COSTS``, and the data of the page.

        Raises
        ------
        FormulaError
            If a module has an import or an export of another form.
        """
        parts = [f"M.{name} = (() => {{\n{_wrap(name, self.modules[name])}}})();\n" for name in MODULES]
        data = {
            "arguments": {name: None if value is None else str(value) for name, value in self.arguments.items()},
            "derived": {name: list(taken) for name, taken in self.derived.items()},
            "package": self.package,
            "presets": {
                name: {size: str(value) for size, value in sizes.items()} for name, sizes in self.presets.items()
            },
            "cards": [
                {
                    "id": card.id, "name": card.name, "tensor": str(card.tensor_flops_per_second),
                    "vector": str(card.vector_flops_per_second), "traffic": str(card.memory_bytes_per_second),
                    "memory": str(card.memory_bytes),
                }
                for card in self.cards
            ],
        }  # fmt: skip
        written = json.dumps(data, separators=(",", ":"))
        return f'"use strict";\nconst M = {{}};\n{"".join(parts)}const COSTS = M.stages, DATA = {written};\n'


def _wrap(name: str, module: str) -> str:
    """Return the body of a function that returns what a module exports."""
    text = _COMMENT.sub("", module)
    for unused in _UNUSED:
        text = unused.sub("", text)
    text = _IMPORT_ALL.sub(r"const \1 = M.\2;", text)
    text = _IMPORT.sub(lambda match: f"const {{{match[1].replace(' as ', ': ')}}} = M.{match[2]};", text)
    exported: list[str] = []

    def take(match: re.Match[str]) -> str:
        names = [match[2]] if match[2] else [each.strip() for each in match[3].split(",") if each.strip()]
        exported.extend(names)
        return match[1]

    text = _EXPORT.sub(take, text)
    if re.search(r"^(?:import|export)\b", text, re.MULTILINE):
        raise FormulaError("a module of JavaScript cannot be put into one script", place=name)
    lines = (line.strip() for line in text.splitlines())
    return "\n".join(line for line in lines if line) + f"\nreturn {{ {', '.join(exported)} }};\n"
