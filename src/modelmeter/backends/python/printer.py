"""Integer programs as Python source: exact, with few parentheses, the same text on every run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from attrs import field, frozen

from modelmeter.algebra.program import MAXIMUM, PRODUCT, SUM, Node, Operation, find_weights
from modelmeter.dimensions.functions import (
    BRACKETS,
    CeilDiv,
    Differs,
    Equals,
    Exceeds,
    FloorDiv,
    RoutedReads,
    Triangular,
    enough_tokens,
)

LINE_LENGTH = 120

_BRACKETS = {function.__name__ for function in BRACKETS}

Form = Callable[..., str]
"""From the printed operands, each an atom or in parentheses, to the printed call, an atom too."""


def _print_maximum(*operands: str) -> str:
    return f"max({', '.join(map(strip_parentheses, operands))})"


FORMS: Mapping[str, Form] = {
    CeilDiv.__name__: "(-(-{0} // {1}))".format,
    FloorDiv.__name__: "({0} // {1})".format,
    Differs.__name__: "(1 if {0} != {1} else 0)".format,
    Equals.__name__: "(1 if {0} == {1} else 0)".format,
    Exceeds.__name__: "(1 if {0} > {1} else 0)".format,
    Triangular.__name__: "({0} * ({0} + 1) // 2)".format,
    RoutedReads.__name__: "routed_reads({0}, {1}, {2}, {3}, expert_routing)".format,
    MAXIMUM: _print_maximum,
}
"""What each function of programs is in Python."""


def print_node(node: Node) -> str:
    """Return the Python expression of a node."""
    return _Expressions().print(node)


def print_quotient(numerator: str, denominator: int) -> str:
    """Return the text of ``numerator / denominator`` rounded up; ``numerator`` is a printed expression."""
    if denominator == 1:
        return numerator
    is_atom = numerator.isidentifier() or numerator.isdecimal()
    return f"-(-{numerator if is_atom else f'({numerator})'} // {denominator})"


def fill_lines(words: Iterable[str], indent: str) -> list[str]:
    """Return words in as few lines as they fit into, each behind ``indent``."""
    lines: list[str] = []
    for word in words:
        if lines and len(lines[-1]) + 1 + len(word) <= LINE_LENGTH:
            lines[-1] += f" {word}"
        else:
            lines.append(f"{indent}{word}")
    return lines


def write_signature(name: str, arguments: Sequence[str], result: str) -> list[str]:
    """Return the first lines of a function that takes its arguments by name, if it takes any: a star needs some."""
    if not arguments:
        return [f"def {name}() -> {result}:"]
    return [f"def {name}(", *fill_lines(["*,", *arguments], "    "), f") -> {result}:"]


def strip_parentheses(text: str) -> str:
    """Return ``text`` without the parentheses around all of it."""
    depth = 0
    for place, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if depth == 0:
            is_enclosed = place == len(text) - 1 and place > 0 and text[0] == "("
            return text[1:-1] if is_enclosed else text
    return text


@frozen
class _Expressions:
    """Prints nodes; ``brackets`` are the names of steps that are 0 or 1, known before they are used."""

    brackets: set[str] = field(factory=set)
    _printed: dict[Node, str] = field(factory=dict)

    def print(self, node: Node) -> str:
        if node not in self._printed:
            self._printed[node] = strip_parentheses(self._print(node))
        return self._printed[node]

    def _print(self, node: Node) -> str:
        """Return a node as an atom, or in parentheses."""
        if not isinstance(node, Operation):
            return str(node) if isinstance(node, str) or node >= 0 else f"({node})"
        if node.function == SUM:
            return f"({' '.join(self.print_terms(node))})"
        if node.function == PRODUCT:
            return self._print_product(node)
        text = FORMS[node.function](*map(self._print, node.operands))
        return self._choose_reads(node, text) if node.function == RoutedReads.__name__ else text

    def _choose_reads(self, node: Operation, call: str) -> str:
        """Return the call; where enough tokens read every expert for sure, a comparison comes before it."""
        experts, per_token, tokens, weights = node.operands
        found = find_weights(weights, tokens)
        if not (isinstance(experts, int) and isinstance(per_token, int)) or found is None:
            return call
        each, grows = found
        enough = enough_tokens(experts, per_token, 0 if grows else each, each if grows else 0)
        text = self._print(tokens)
        return f"({experts * each}{f' * {text}' if grows else ''} if {text} > {enough} else {call})"

    def print_terms(self, node: Operation) -> list[str]:
        """Return the terms of a sum, each but the first with its sign before it."""
        first, *others = map(self._print_summand, node.operands)
        return [first, *(f"- {summand[1:]}" if summand.startswith("-") else f"+ {summand}" for summand in others)]

    def _print_summand(self, node: Node) -> str:
        """Return a summand: sums and products need no parentheses in a sum; choices, which bind looser, keep theirs."""
        is_open = not isinstance(node, Operation) or node.function == SUM or self._is_plain_product(node)
        return self.print(node) if is_open else self._print(node)

    def _is_plain_product(self, node: Operation) -> bool:
        return node.function == PRODUCT and not any(map(self.is_bracket, node.operands))

    def _print_product(self, node: Operation) -> str:
        if not self._is_plain_product(node):
            place = next(place for place, operand in enumerate(node.operands) if self.is_bracket(operand))
            rest = (*node.operands[:place], *node.operands[place + 1 :])
            chosen = rest[0] if len(rest) == 1 else Operation(PRODUCT, rest)
            return f"({self._print_summand(chosen)} if {self._print_condition(node.operands[place])} else 0)"
        first, *others = node.operands
        text = " * ".join(map(self._print, others))
        if first == -1:
            return f"(-{text})"
        return f"({first if isinstance(first, int) else self._print(first)} * {text})"

    def is_bracket(self, node: Node) -> bool:
        """Tell whether a node is 0 or 1."""
        return node in self.brackets or (isinstance(node, Operation) and node.function in _BRACKETS)

    def _print_condition(self, bracket: Node) -> str:
        if not isinstance(bracket, Operation):
            return str(bracket)
        return self._print(bracket).removeprefix("(1 if ").removesuffix(" else 0)")


class StatementPrinter:
    """Prints assignments, one a line; an expression that is too long for a line is broken into several.

    Parameters
    ----------
    step
        The letter that steps are named by, with a number.
    """

    def __init__(self, step: str = "x") -> None:
        self.lines: list[str] = []
        self._expressions = _Expressions()
        # The steps of a program are renamed, so that the names stay in order whatever is broken up.
        self._names: dict[str, str] = {}
        self._count = 0
        self._step = step

    def assign_steps(self, steps: Iterable[tuple[str, Node]]) -> None:
        """Print the steps of a program, in order."""
        for name, node in steps:
            self._names[name] = self._assign_next(self._rename(node))

    def assign(self, name: str, node: Node, denominator: int = 1) -> None:
        """Print the assignment of ``node / denominator``, rounded up, to ``name``."""
        self._write(f"{name} = ", self._rename(node), denominator)

    def write_return(self, node: Node, denominator: int = 1, *, rounds: bool = False) -> None:
        """Print the return of ``node / denominator``, rounded up; of what may be a fraction, where it ``rounds``."""
        if rounds and denominator == 1 and isinstance(node, Operation):
            self.assign("total", node)
            self.lines.append("    return -(-total // 1)")
        else:
            self._write("return ", self._rename(node), denominator)

    def write_guard(self, node: Node, comparison: str, then: str) -> None:
        """Print a condition on ``node`` and what happens where it holds."""
        self.lines += [f"    if {self._text(self._rename(node))} {comparison}:", f"        {then}"]

    def print_cell(self, node: Node, denominator: int = 1) -> str:
        """Return ``node / denominator``, rounded up, as an item of a row, after the steps that make it short."""
        if denominator != 1 and isinstance(node, Operation):
            node = self._assign_next(self._rename(node))
        room = LINE_LENGTH // 2
        return print_quotient(self._text(self._shorten(self._rename(node), room)), denominator)

    def _assign_next(self, node: Node) -> str:
        """Print the assignment of ``node`` to the next free name, and return that name."""
        fitted = self._fit(node, _room("x999 = "))
        self._count += 1
        name = f"{self._step}{self._count}"
        self._write(f"{name} = ", fitted)
        if self._expressions.is_bracket(fitted):
            self._expressions.brackets.add(name)
        return name

    def _write(self, start: str, node: Node, denominator: int = 1) -> None:
        if denominator != 1 and len(print_quotient(f"({self._text(node)})", denominator)) > _room(start):
            node = self._assign_next(node)
        node = self._fit(node, _room(start))
        text = print_quotient(self._text(node), denominator)
        if len(text) <= _room(start):
            self.lines.append(f"    {start}{text}")
            return
        assert isinstance(node, Operation)
        self.lines += [f"    {start}(", *fill_lines(self._expressions.print_terms(node), " " * 8), "    )"]

    def _fit(self, node: Node, room: int) -> Node:
        """Return ``node`` so that it fits into ``room`` columns, or is a sum of terms that each fit into a line."""
        if len(self._text(node)) <= room:
            return node
        if isinstance(node, Operation) and node.function == SUM:
            return node._replace(operands=tuple(self._shorten(term, _room("    + ")) for term in node.operands))
        return self._shorten(node, room)

    def _shorten(self, node: Node, room: int) -> Node:
        """Return ``node`` with its longest operands replaced by names, until it fits into ``room`` columns."""
        while isinstance(node, Operation) and len(self._text(node)) > room:
            operands = list(node.operands)
            longest = max(range(len(operands)), key=lambda place: len(self._text(operands[place])))
            if isinstance(operands[longest], Operation):
                operands[longest] = self._assign_next(operands[longest])
            else:  # names only: the first half of them gets a line
                half = node._replace(operands=tuple(operands[: len(operands) // 2]))
                operands = [self._assign_next(half), *operands[len(operands) // 2 :]]
            node = node._replace(operands=tuple(operands))
        return node

    def _rename(self, node: Node) -> Node:
        if isinstance(node, str):
            return self._names.get(node, node)
        if isinstance(node, Operation):
            return node._replace(operands=tuple(map(self._rename, node.operands)))
        return node

    def _text(self, node: Node) -> str:
        return self._expressions.print(node)


def _room(start: str) -> int:
    """Return the columns that a statement leaves after its indent and ``start``."""
    return LINE_LENGTH - len(f"    {start}")
