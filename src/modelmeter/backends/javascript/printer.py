"""Integer programs as JavaScript expressions on BigInt: exact, with few parentheses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from attrs import field, frozen

from modelmeter.algebra.program import MAXIMUM, PRODUCT, SUM, Node, Operation, find_weights
from modelmeter.dimensions.functions import (
    CeilDiv,
    Differs,
    Equals,
    Exceeds,
    FloorDiv,
    RoutedReads,
    Triangular,
    enough_tokens,
)
from modelmeter.evaluators.signature import ROUTING
from modelmeter.support.errors import FormulaError

_COMPARISONS: Final = {Differs.__name__: "!==", Equals.__name__: "===", Exceeds.__name__: ">"}

CALLS: Final = {
    MAXIMUM: "largest",
    CeilDiv.__name__: "ceilDiv",
    FloorDiv.__name__: "floorDiv",
    Triangular.__name__: "triangular",
    RoutedReads.__name__: "routedReads",
}
"""The function of the runtime that computes each function of programs."""

# How tight an expression binds.
_CHOICE, _SUM, _PRODUCT, _ATOM = range(4)


class _Text(NamedTuple):
    """A printed expression, and how tight it binds."""

    text: str
    binding: int

    def inside(self, binding: int) -> str:
        """Return the expression as an operand of an operator that binds so tight."""
        return self.text if self.binding >= binding else f"({self.text})"


@frozen
class ExpressionPrinter:
    """Prints nodes.

    Parameters
    ----------
    conditions
        The names of steps that are true or false, known before they are used.
    names
        What sizes are called, where not by their own names.
    """

    conditions: set[str] = field(factory=set)
    names: Mapping[str, str] = field(factory=dict)

    def print(self, node: Node) -> str:
        """Return a node as an expression that is a BigInt."""
        return self._print(node).text

    def print_operand(self, node: Node) -> str:
        """Return a node as an operand of a comparison or of a remainder."""
        return self._print(node).inside(_ATOM)

    def print_terms(self, node: Operation) -> list[str]:
        """Return the terms of a sum, each but the first with its sign before it."""
        first, *others = (self._print(operand).inside(_SUM) for operand in node.operands)
        return [first, *(f"- {term[1:]}" if term.startswith("-") else f"+ {term}" for term in others)]

    def print_quotient(self, node: Node, denominator: int) -> str:
        """Return ``node / denominator``, rounded up; roundings of the same number are one."""
        if denominator == 1:
            return self.print(node)
        if isinstance(node, Operation) and node.function == CeilDiv.__name__:
            dividend, divisor = node.operands
            return f"ceilDiv({self.print(dividend)}, {denominator}n*{self._print(divisor).inside(_ATOM)})"
        return f"ceilDiv({self.print(node)}, {denominator}n)"

    def print_step(self, name: str, node: Node) -> str:
        """Return the value of a step; what is 0 or 1 is a condition from here on."""
        if isinstance(node, Operation) and node.function in _COMPARISONS:
            self.conditions.add(name)
            return self._print_condition(node)
        return self.print(node)

    def _print(self, node: Node) -> _Text:
        if isinstance(node, int):
            return _Text(f"{node}n", _ATOM if node >= 0 else _SUM)
        if isinstance(node, str):
            name = self.names.get(node, node)
            return _Text(f"{name} ? 1n : 0n", _CHOICE) if node in self.conditions else _Text(name, _ATOM)
        if node.function == SUM:
            return _Text(" ".join(self.print_terms(node)), _SUM)
        if node.function == PRODUCT:
            return self._print_product(node)
        if node.function in _COMPARISONS:
            return _Text(f"{self._print_condition(node)} ? 1n : 0n", _CHOICE)
        if node.function == RoutedReads.__name__:
            return self._print_routed_reads(node)
        if node.function in CALLS:
            return _Text(f"{CALLS[node.function]}({', '.join(map(self.print, node.operands))})", _ATOM)
        raise FormulaError("there is no such function in JavaScript", expected=sorted(CALLS), found=node.function)

    def _print_product(self, node: Operation) -> _Text:
        for place, operand in enumerate(node.operands):
            if self._is_condition(operand):
                rest = (*node.operands[:place], *node.operands[place + 1 :])
                chosen = self._print(rest[0] if len(rest) == 1 else Operation(PRODUCT, rest))
                return _Text(f"{self._print_condition(operand)} ? {chosen.inside(_SUM)} : 0n", _CHOICE)
        first, *others = node.operands
        text = "*".join(self._print(operand).inside(_PRODUCT) for operand in others)
        if first == -1:
            return _Text(f"-{text}", _SUM)
        if isinstance(first, int):
            return _Text(f"{first}n*{text}", _PRODUCT if first >= 0 else _SUM)
        return _Text(f"{self._print(first).inside(_PRODUCT)}*{text}", _PRODUCT)

    def _is_condition(self, node: Node) -> bool:
        return node in self.conditions or (isinstance(node, Operation) and node.function in _COMPARISONS)

    def _print_condition(self, node: Node) -> str:
        if not isinstance(node, Operation):
            return str(node)
        a, b = (self._print(operand).inside(_SUM) for operand in node.operands)
        return f"{a} {_COMPARISONS[node.function]} {b}"

    def _print_routed_reads(self, node: Operation) -> _Text:
        """Return the call; where enough tokens read every expert for sure, a comparison comes before it."""
        experts, per_token, tokens, weights = node.operands
        routing = self.names.get(ROUTING, ROUTING)
        call = f"{CALLS[node.function]}({', '.join([*map(self.print, node.operands), routing])})"
        found = find_weights(weights, tokens)
        if not (isinstance(experts, int) and isinstance(per_token, int)) or found is None:
            return _Text(call, _ATOM)
        each, grows = found
        enough = enough_tokens(experts, per_token, 0 if grows else each, each if grows else 0)
        everything = f"{experts * each}n{f'*{self._print(tokens).inside(_PRODUCT)}' if grows else ''}"
        return _Text(f"{self._print(tokens).inside(_SUM)} > {enough}n ? {everything} : {call}", _CHOICE)
