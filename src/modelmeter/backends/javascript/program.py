"""Programs in JavaScript: functions of positional BigInts that return their outputs before these are rounded."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Mapping
from itertools import count
from typing import Final

from attrs import frozen

from modelmeter.algebra.program import SUM, Node, Operation, Program, names_in
from modelmeter.backends.javascript.printer import ExpressionPrinter
from modelmeter.dimensions.functions import CeilDiv, RoutedReads
from modelmeter.evaluators.fractions import SCALE, scale_widths
from modelmeter.evaluators.signature import ROUTING, Parameter
from modelmeter.support.errors import FormulaError

LINE_LENGTH: Final = 120

_ROOM: Final = LINE_LENGTH - 8

_RESERVED: Final = frozenset(
    (
        *("arguments", "await", "break", "case", "catch", "class", "const", "continue", "debugger", "default"),
        *("delete", "do", "else", "enum", "eval", "export", "extends", "false", "finally", "for", "function", "given"),
        *("if", "implements", "import", "in", "instanceof", "interface", "let", "new", "null", "package", "private"),
        *("protected", "public", "return", "static", "super", "switch", "this", "throw", "true", "try", "typeof"),
        *("undefined", "var", "void", "while", "with", "yield"),
    )
)
"""Words that no function and no size may be called."""


@frozen(kw_only=True)
class ProgramText:
    """A program as text.

    Parameters
    ----------
    inputs
        The names of what it takes, in order: sizes, the parts of a bit, the routing of experts.
    lines
        An arrow function of them.
    """

    inputs: tuple[str, ...]
    lines: tuple[str, ...]


def check_name(name: str) -> str:
    """Return a name that is no word of the language.

    Raises
    ------
    FormulaError
        If it is one.
    """
    if name in _RESERVED:
        raise FormulaError("a name is a word of JavaScript", found=name)
    return name


def print_program(
    program: Program, sizes: Iterable[Parameter], outputs: Iterable[str], guards: Mapping[str, str]
) -> ProgramText:
    """Return a program that returns an array of ``outputs``.

    An output that is rounded up is a pair, of what is divided and of what it is divided by.

    Parameters
    ----------
    sizes
        Its inputs; storage widths among them are counted in parts of a bit.
    guards
        Outputs that must not be negative, each with its formula.

    Raises
    ------
    FormulaError
        If a function of the program is not one of the runtime.
    """
    widths = [size.name for size in sizes if size.may_be_fraction]
    scaled = scale_widths(program, widths) if widths else program
    nodes = [node for _, node in scaled.steps] + [output.numerator for output in scaled.outputs]
    used = {name for node in nodes for name in names_in(node)}
    inputs = [name for name in scaled.inputs if name in used]
    inputs += [ROUTING] if program.calls(RoutedReads.__name__) else []
    printer = _Printer(_abbreviate(map(check_name, inputs)))
    for name, node in scaled.steps:
        printer.assign(name, node)
    found = {output.name: output for output in scaled.outputs}
    checks = [(printer.fit(found[guard].numerator, _ROOM - 50 - len(text)), text) for guard, text in guards.items()]
    results = [printer.print_result(found[name].numerator, found[name].denominator) for name in outputs]
    return ProgramText(inputs=tuple(inputs), lines=tuple(printer.close(checks, results)))


def _abbreviate(names: Iterable[str]) -> dict[str, str]:
    """Return a short name for each size, made of the first letters of its words."""
    short: dict[str, str] = {}
    taken: set[str] = set(_RESERVED)
    for name in names:
        letters = "".join(word[0] for word in name.split("_") if word)
        numbered = (letters if number == 1 else f"{letters}{number}" for number in count(1))
        short[name] = next(each for each in numbered if each not in taken)
        taken.add(short[name])
    return short


class _Printer:
    """Prints the assignments of one program."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self._names = names
        self._expressions = ExpressionPrinter(names=names)
        self._assignments: list[str] = []
        self._numbers = count(1)

    def assign(self, name: str, node: Node) -> None:
        """Print an assignment; a long sum is broken between its terms."""
        room = _ROOM - len(f"{name} = ,") - 1
        if isinstance(node, Operation) and node.function == SUM and len(self._expressions.print(node)) > room:
            terms = tuple(self.fit(term, _ROOM - len("  + ,")) for term in node.operands)
            words = self._expressions.print_terms(node._replace(operands=terms))
            self._assignments.append("\n".join(_fill([f"  {name} =", *words], "")).lstrip())
        else:
            self._assignments.append(f"{name} = {self._expressions.print_step(name, self.fit(node, room))}")

    def fit(self, node: Node, room: int) -> Node:
        """Return a node with its longest operands replaced by names, until it fits into so many columns."""
        while isinstance(node, Operation) and len(self._expressions.print(node)) > room:
            operands = list(node.operands)
            longest = max(range(len(operands)), key=lambda place: len(self._expressions.print(operands[place])))
            if not isinstance(operands[longest], Operation):  # names only: the first half of them gets a line
                half = node._replace(operands=tuple(operands[: len(operands) // 2]))
                operands, longest = [half, *operands[len(operands) // 2 :]], 0
            name = f"y{next(self._numbers)}"
            self.assign(name, operands[longest])
            operands[longest] = name
            node = node._replace(operands=tuple(operands))
        return node

    def print_result(self, node: Node, denominator: int) -> str:
        """Return an output: a number, or a pair of what is divided and by what."""
        divisors: list[Node] = [denominator] if denominator != 1 else []
        while isinstance(node, Operation) and node.function == CeilDiv.__name__ and node.operands[1] == SCALE:
            divisors.append(SCALE)
            node = node.operands[0]
        text = self._expressions.print(self.fit(node, _ROOM // 2))
        return f"[{text}, {'*'.join(map(self._expressions.print, divisors))}]" if divisors else text

    def close(self, guards: Iterable[tuple[Node, str]], results: list[str]) -> list[str]:
        """Return the lines of the function."""
        arguments = f"({', '.join(self._names.values())}) =>"
        if len(arguments) > _ROOM:
            arguments = "\n".join(fill_words(arguments, ""))
        returned = _join(["[", *(f"{result}," for result in results), "]"])
        checks = [
            f'if ({self._expressions.print_operand(node)} < 0n) throw new CostError("the sizes make {text} negative");'
            for node, text in guards
        ]
        if not (self._assignments or checks):
            return _fill([arguments, *returned], "")
        *assignments, last = self._assignments or [""]
        steps = _fill(["const", *(f"{step}," for step in assignments), f"{last};"], "") if last else []
        return [
            *f"{arguments} {{".split("\n"),
            *steps,
            *checks,
            *_fill(["return", *returned[:-1], f"{returned[-1]};"], ""),
            "}",
        ]


def _join(words: list[str]) -> list[str]:
    """Return words with the brackets around them joined to the first and the last."""
    first, *inner, last = words
    if not inner:
        return [f"{first}{last}"]
    inner[-1] = f"{inner[-1].removesuffix(',')}{last}"
    inner[0] = f"{first}{inner[0]}"
    return inner


def _fill(words: Iterable[str], indent: str) -> list[str]:
    """Return words in as few lines as they fit into; all but the first are indented by two more columns."""
    lines: list[str] = []
    for word in words:
        if lines and "\n" not in word and len(lines[-1]) + 1 + len(word) < LINE_LENGTH - 1:
            lines[-1] += f" {word}"
        else:
            lines += f"{indent}{'  ' if lines else ''}{word}".split("\n")
    return lines


def write_sizes(sizes: Mapping[str, int]) -> str:
    """Return sizes by name as an object."""
    return f"{{ {', '.join(f'{name}: {size}n' for name, size in sizes.items())} }}" if sizes else "{}"


def write_program(text: ProgramText) -> str:
    """Return the call that makes a program of its inputs and its function."""
    inputs = textwrap.wrap(" ".join(text.inputs), LINE_LENGTH - 8)
    # A program of no sizes has an empty text for its inputs.
    names = [json.dumps(f"{line} ") for line in inputs[:-1]] + [json.dumps(inputs[-1] if inputs else "")]
    return "\n".join(["program(", "  " + " +\n  ".join(names) + ",", *text.lines[:-1], f"{text.lines[-1]})"])


def fill_words(text: str, indent: str) -> list[str]:
    """Return text in lines that fit, each behind ``indent``."""
    return textwrap.wrap(text, LINE_LENGTH, initial_indent=indent, subsequent_indent=indent, break_long_words=False)
