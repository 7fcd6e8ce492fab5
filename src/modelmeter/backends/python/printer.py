"""Integer programs as Python source: exact, with few parentheses, the same text on every run."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

from attrs import field, frozen

from modelmeter.algebra.program import MAXIMUM, PRODUCT, SUM, Node, Operation
from modelmeter.core.functions import BRACKETS, INTEGER_FUNCTIONS, RoutedReads

LINE_LENGTH = 120

_BRACKETS = {function.__name__ for function in BRACKETS}

Form = Callable[..., str]
"""From the printed operands, each an atom or in parentheses, to the printed call, an atom too."""


@frozen(kw_only=True)
class Dialect:
    """How functions are printed.

    Parameters
    ----------
    forms
        The form of each function.
    quotient
        The form of a printed expression divided by an integer, rounded up.
    chooses
        Whether a product with a bracket is printed as a choice, ``(x if a > b else 0)``, which is faster.
    """

    forms: Mapping[str, Form]
    quotient: Callable[[str, int], str]
    chooses: bool


def _print_routed_reads(*operands: str) -> str:
    """Return the call; where enough tokens read every expert for sure, a comparison comes before it."""
    experts, per_token, tokens, weights = operands
    call = RoutedReads.python(*operands)
    if not (experts.isdecimal() and per_token.isdecimal() and weights.isdecimal()):
        return call
    everything = int(experts) * int(weights)
    # The condition of functions.expected_routed_reads, solved for the tokens.
    enough = int(experts) * (2 * everything).bit_length() // int(per_token)
    return f"({everything} if {tokens} > {enough} else {call})"


def _print_call(name: str, *arguments: str) -> Form:
    """Return the form of a call by name, with further arguments."""
    return lambda *operands: f"{name}({', '.join([*map(strip_parentheses, operands), *arguments])})"


def _snake(name: str) -> str:
    """Return the name of a class as the name of a function."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


def _print_quotient(numerator: str, denominator: int) -> str:
    is_atom = numerator.isidentifier() or numerator.isdecimal()
    return f"-(-{numerator if is_atom else f'({numerator})'} // {denominator})"


SCALARS = Dialect(
    forms={
        **{function.__name__: function.python for function in INTEGER_FUNCTIONS},
        RoutedReads.__name__: _print_routed_reads,
        MAXIMUM: _print_call("max"),
    },
    quotient=_print_quotient,
    chooses=True,
)
"""On Python integers."""

FORMULAS = Dialect(
    forms={
        **{function.__name__: _print_call(_snake(function.__name__)) for function in INTEGER_FUNCTIONS},
        RoutedReads.__name__: _print_call("routed_reads", "expert_routing"),
        MAXIMUM: _print_call("largest"),
    },
    quotient=lambda numerator, denominator: f"ceil_div({numerator}, {denominator})",
    chooses=False,
)
"""On integers and on polynomials of sizes; the functions are those of the generated package."""


def print_node(node: Node, dialect: Dialect = SCALARS) -> str:
    """Return the Python expression of a node."""
    return _Expressions(dialect).print(node)


def print_quotient(numerator: str, denominator: int, dialect: Dialect = SCALARS) -> str:
    """Return the text of ``numerator / denominator`` rounded up; ``numerator`` is a printed expression."""
    return numerator if denominator == 1 else dialect.quotient(numerator, denominator)


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

    dialect: Dialect
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
            return f"({self.print_sum(node, ' ')})"
        if node.function == PRODUCT:
            return self._print_product(node)
        return self.dialect.forms[node.function](*map(self._print, node.operands))

    def print_sum(self, node: Operation, separator: str) -> str:
        """Return a sum with ``separator`` before each sign."""
        first, *others = map(self._print_summand, node.operands)
        signed = [f"- {summand[1:]}" if summand.startswith("-") else f"+ {summand}" for summand in others]
        return separator.join([first, *signed])

    def _print_summand(self, node: Node) -> str:
        """Return a summand: sums and products need no parentheses in a sum; choices, which bind looser, keep theirs."""
        is_open = not isinstance(node, Operation) or node.function == SUM or self._is_plain_product(node)
        return self.print(node) if is_open else self._print(node)

    def _is_plain_product(self, node: Operation) -> bool:
        is_choice = self.dialect.chooses and any(map(self.is_bracket, node.operands))
        return node.function == PRODUCT and not is_choice

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
    dialect
        How functions are printed.
    """

    def __init__(self, dialect: Dialect = SCALARS) -> None:
        self.lines: list[str] = []
        self._expressions = _Expressions(dialect)
        # The steps of a program are renamed, so that the names stay in order whatever is broken up.
        self._names: dict[str, str] = {}
        self._count = 0

    def assign_steps(self, steps: Iterable[tuple[str, Node]]) -> None:
        """Print the steps of a program, in order."""
        for name, node in steps:
            self._names[name] = self._assign_next(self._rename(node))

    def assign(self, name: str, node: Node, denominator: int = 1) -> None:
        """Print the assignment of ``node / denominator``, rounded up, to ``name``."""
        self._write(f"{name} = ", self._rename(node), denominator)

    def write_return(self, node: Node, denominator: int = 1) -> None:
        """Print the return of ``node / denominator``, rounded up."""
        self._write("return ", self._rename(node), denominator)

    def test(self, node: Node, comparison: str, then: str) -> None:
        """Print a condition on ``node`` and what happens where it holds."""
        self.lines += [f"    if {self._text(self._rename(node))} {comparison}:", f"        {then}"]

    def call(self, function: str, name: str, node: Node) -> None:
        """Print the call of ``function`` with a name and with ``node``."""
        self.lines.append(f'    {function}("{name}", {self._text(self._rename(node))})')

    def _assign_next(self, node: Node) -> str:
        """Print the assignment of ``node`` to the next free name, and return that name."""
        fitted = self._fit(node, _room("x999 = "))
        self._count += 1
        name = f"x{self._count}"
        self._write(f"{name} = ", fitted)
        if self._expressions.is_bracket(fitted):
            self._expressions.brackets.add(name)
        return name

    def _write(self, start: str, node: Node, denominator: int = 1) -> None:
        if denominator != 1 and len(self._quotient(f"({self._text(node)})", denominator)) > _room(start):
            node = self._assign_next(node)
        node = self._fit(node, _room(start))
        text = self._quotient(self._text(node), denominator)
        if len(text) <= _room(start):
            self.lines.append(f"    {start}{text}")
            return
        assert isinstance(node, Operation)
        if len(text) > _room("    "):
            text = self._expressions.print_sum(node, "\n")
        self.lines += [f"    {start}(", *(f"        {line}" for line in text.split("\n")), "    )"]

    def _fit(self, node: Node, room: int) -> Node:
        """Return ``node`` so that it fits into ``room`` columns, or is a sum of terms that each fit into a line.

        A sum of two terms has to fit: the formatter would break it inside its brackets.
        """
        if len(self._text(node)) <= room:
            return node
        if isinstance(node, Operation) and node.function == SUM and len(node.operands) > 2:
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

    def _quotient(self, numerator: str, denominator: int) -> str:
        return print_quotient(numerator, denominator, self._expressions.dialect)

    def _text(self, node: Node) -> str:
        return self._expressions.print(node)


def _room(start: str) -> int:
    """Return the columns that a statement leaves after its indent and ``start``."""
    return LINE_LENGTH - len(f"    {start}")
