"""Integer programs as SQL expressions."""

from __future__ import annotations

import textwrap
from functools import cache
from typing import Final

from attrs import frozen

from modelmeter.algebra.program import MAXIMUM, PRODUCT, SUM, Node, Operation, find_weights
from modelmeter.backends.sql.dialects import Dialect, check_literal
from modelmeter.dimensions.functions import (
    CeilDiv,
    Differs,
    Equals,
    Exceeds,
    FloorDiv,
    RoutedReads,
    Triangular,
    expected_routed_reads,
)
from modelmeter.evaluators.signature import ROUTING
from modelmeter.support.errors import FormulaError

COMPARISONS: Final = {Differs.__name__: "<>", Equals.__name__: "=", Exceeds.__name__: ">"}

MOST_READS: Final = 10_000
"""The longest table of expected reads; models of today have some hundreds of rows."""


def step_name(name: str) -> str:
    """Return what a step of a program is called, which no column of a table of workloads is."""
    return f"_{name}"


@frozen
class ExpressionPrinter:
    """Prints nodes for a database.

    Parameters
    ----------
    dialect
        The database.
    steps
        The names in programs that are steps; all others are columns.
    """

    dialect: Dialect
    steps: frozenset[str] = frozenset()

    def print(self, node: Node) -> str:
        """Return a node as an expression that is an exact integer.

        Raises
        ------
        FormulaError
            If it cannot be one in this database.
        """
        if isinstance(node, int):
            return self.dialect.write_literal(check_literal(node, self.dialect))
        if isinstance(node, str):
            return step_name(node) if node in self.steps else node
        if node.function == SUM:
            return self._print_sum(node)
        if node.function == PRODUCT:
            return "*".join(self._print_factor(operand) for operand in node.operands)
        if node.function == MAXIMUM:
            return f"greatest({', '.join(map(self._print_guarded, node.operands))})"
        if node.function in COMPARISONS:
            a, b = map(self._print_guarded, node.operands)
            return self.dialect.write_condition(f"{a} {COMPARISONS[node.function]} {b}")
        return self._print_call(node)

    def print_quotient(self, node: Node, denominator: int) -> str:
        """Return ``node / denominator``, rounded up."""
        return self.print(node if denominator == 1 else Operation(CeilDiv.__name__, (node, denominator)))

    def _print_call(self, node: Operation) -> str:
        if node.function in (CeilDiv.__name__, FloorDiv.__name__):
            a, b = node.operands
            is_up = node.function == CeilDiv.__name__
            return self.dialect.divide(self.print(a), self._print_factor(b), up=is_up)
        if node.function == Triangular.__name__:
            (last,) = node.operands
            product = Operation(PRODUCT, (last, Operation(SUM, (last, 1))))
            return self.dialect.divide(self.print(product), self.dialect.write_literal(2), up=False)
        if node.function == RoutedReads.__name__:
            return self._print_routed_reads(node)
        raise FormulaError("there is no such function in SQL", found=node.function)

    def _print_sum(self, node: Operation) -> str:
        first, *others = map(self.print, node.operands)
        return " ".join([first, *(f"- {term[1:]}" if term.startswith("-") else f"+ {term}" for term in others)])

    def _print_factor(self, node: Node) -> str:
        text = self.print(node)
        return f"({text})" if (isinstance(node, Operation) and node.function == SUM) or text.startswith("-") else text

    def _print_guarded(self, node: Node) -> str:
        return self.dialect.guard(self.print(node))

    def _print_routed_reads(self, node: Operation) -> str:
        """Return a choice by the routing: the expected reads by the number of tokens are a table of few rows."""
        experts, per_token, tokens, weights = node.operands
        share = find_weights(weights, tokens)
        if not (isinstance(experts, int) and isinstance(per_token, int)) or share is None:
            raise FormulaError("the reads of experts are a table only where their sizes are known", found=node)
        reads = list_expected_reads(experts, per_token, *share)
        everything = self.print(_multiply(experts, weights))
        place, values = self._print_guarded(tokens), ", ".join(map(self.print, reads))
        assigned = self.print(Operation(PRODUCT, (per_token, tokens)))
        even = f"least({self.print(experts)}, {self.dialect.guard(assigned)})*{self._print_factor(weights)}"
        return textwrap.dedent(f"""\
            CASE WHEN {ROUTING} = 'even' THEN {even}
              WHEN {place} >= {self.print(len(reads))} THEN {everything}
              ELSE {self.dialect.look_up(place, values)} END""")


def _multiply(number: int, node: Node) -> Node:
    return number * node if isinstance(node, int) else Operation(PRODUCT, (number, node))


@cache
def list_expected_reads(experts: int, per_token: int, weights: int, is_per_token: bool = False) -> tuple[int, ...]:
    """Return the expected reads of 0, 1, 2 ... tokens, as long as they are less than all; see ``RoutedReads``.

    What is missing of all is ``E (1 - k/E)^N W``. It shrinks with each token; where ``W`` grows as ``N`` does, from
    ``N = E`` on, since ``(N + 1)/N (1 - k/E)`` is at most 1 from ``N = (E - k)/k``.

    Parameters
    ----------
    experts, per_token, weights
        As in ``RoutedReads``.
    is_per_token
        Whether so much is read of an expert for each token of the call.

    Raises
    ------
    FormulaError
        If the table is too long.
    """
    reads: list[int] = []
    while True:
        tokens = len(reads)
        of_expert = weights * tokens if is_per_token else weights
        found = expected_routed_reads(experts, per_token, tokens, of_expert)
        if found == experts * of_expert and (tokens >= experts or not is_per_token):
            return tuple(reads)
        reads.append(found)
        if len(reads) > MOST_READS:
            raise FormulaError(
                "the table of expected reads is too long", expected=MOST_READS, found=(experts, per_token)
            )
