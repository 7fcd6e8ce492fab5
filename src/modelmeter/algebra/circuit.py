"""Arithmetic circuits: operations on numbered nodes, every operation written once."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from functools import reduce
from math import lcm

from modelmeter.algebra.draft import Call, Draft, Monomial, Polynomial
from modelmeter.algebra.program import MAXIMUM, PRODUCT, SUM, Node, Output, Program, arrange, count_own_operations, tidy


class Circuit:
    """Numbered nodes, each an integer, an input or an operation on other nodes.

    Two equal operations are one node. Operands are lists, so that a rule can replace some of them; a sum or
    a product that is left with one operand is that operand.
    """

    def __init__(self) -> None:
        self._functions: list[str] = []
        self._operands: list[list[int]] = []
        self._values: dict[int, int | str] = {}
        self._numbers: dict[tuple[str, tuple[int, ...]] | int | str, int] = {}
        self.outputs: dict[str, tuple[int, int]] = {}

    def leaf(self, value: int | str) -> int:
        """Return the node of an integer, or of an input by its name."""
        if value not in self._numbers:
            self._numbers[value] = self._append("", [])
            self._values[self._numbers[value]] = value
        return self._numbers[value]

    def add(self, function: str, operands: Sequence[int]) -> int:
        """Return the node of an operation; of one operand, a sum, a product or a maximum is that operand."""
        if len(operands) == 1 and function in (SUM, PRODUCT, MAXIMUM):
            return operands[0]
        ordered = tuple(sorted(operands)) if function in (SUM, PRODUCT) else tuple(operands)
        key = (function, ordered)
        if key not in self._numbers:
            self._numbers[key] = self._append(function, list(ordered))
        return self._numbers[key]

    def add_duplicate(self, function: str, operands: Sequence[int]) -> int:
        """Return a new node even where an equal one exists, so that the old one can have the new as its operand."""
        return self._append(function, list(operands))

    def combine(self, name: str, function: str, names: Iterable[str]) -> None:
        """Make the sum or the maximum of outputs an output too."""
        parts = [self.outputs[part] for part in names]
        if function == SUM:
            parts = [part for part in parts if part[0] != self.leaf(0)] or parts[:1]
        common = lcm(*(denominator for _, denominator in parts))
        scaled = [
            numerator if denominator == common else self.add(PRODUCT, [self.leaf(common // denominator), numerator])
            for numerator, denominator in parts
        ]
        self.outputs[name] = (self.add(function, scaled), common)

    def groups(self) -> list[tuple[str, list[int]]]:
        """Return the sums and products with their operand lists, which may be changed in place."""
        return [
            (function, operands)
            for function, operands in zip(self._functions, self._operands, strict=True)
            if function in (SUM, PRODUCT)
        ]

    def count_operations(self, names: Iterable[str]) -> int:
        """Return the operations of the program for the outputs ``names``."""
        outputs = [self.outputs[name] for name in names]
        pending = [numerator for numerator, _ in outputs]
        needed: set[int] = set()
        while pending:
            number = pending.pop()
            if number not in needed:
                needed.add(number)
                pending += self._operands[number]
        operations = sum(
            count_own_operations(self._functions[number], len(self._operands[number]))
            for number in needed - self._values.keys()
        )
        return operations + sum(denominator != 1 for _, denominator in outputs)

    def program(self, names: Iterable[str]) -> Program:
        """Return the program that computes the outputs ``names``."""
        steps: dict[int, tuple[str, Node]] = {}
        outputs = []
        for name in names:
            numerator, denominator = self.outputs[name]
            outputs.append(Output(name, self._write(numerator, steps), denominator))
        inputs = [value for value in self._values.values() if isinstance(value, str)]
        return tidy(inputs, list(steps.values()), outputs)

    def _append(self, function: str, operands: list[int]) -> int:
        self._functions.append(function)
        self._operands.append(operands)
        return len(self._functions) - 1

    def _write(self, number: int, steps: dict[int, tuple[str, Node]]) -> Node:
        """Return the name or the integer of a node, after writing the steps that it needs."""
        while self._functions[number] in (SUM, PRODUCT) and len(self._operands[number]) == 1:
            (number,) = self._operands[number]
        if number in self._values:
            return self._values[number]
        if number not in steps:
            operands = [self._write(operand, steps) for operand in self._operands[number]]
            steps[number] = (f"node {number}", arrange(self._functions[number], operands))
        return steps[number][0]


def nest(draft: Draft) -> Circuit:
    """Return the circuit of a draft by Horner's scheme in many variables.

    Of a sum of monomials, the unknown that occurs in most of them is taken out, and again from what is left.
    """
    nesting = _Nesting(draft)
    for name, (numerator, denominator) in draft.outputs.items():
        nesting.circuit.outputs[name] = (nesting.sum(numerator), denominator)
    return nesting.circuit


class _Nesting:
    def __init__(self, draft: Draft) -> None:
        self.circuit = Circuit()
        self._unknowns = draft.unknowns
        self._nodes: dict[int, int] = {}

    def sum(self, polynomial: Polynomial) -> int:
        """Return the node of a polynomial."""
        return self.circuit.add(SUM, self._summands(polynomial)) if polynomial else self.circuit.leaf(0)

    def _summands(self, polynomial: Polynomial) -> list[int]:
        occurrences = Counter(number for monomial in polynomial for number in set(monomial))
        most = max(occurrences, key=lambda number: (occurrences[number], -number), default=None)
        if most is None or occurrences[most] == 1:
            by_coefficient: defaultdict[int, list[Monomial]] = defaultdict(list)
            for monomial, coefficient in polynomial.items():
                by_coefficient[coefficient].append(monomial)
            return [node for item in by_coefficient.items() for node in self._multiples(*item)]
        having = {monomial: coefficient for monomial, coefficient in polynomial.items() if most in monomial}
        others = {monomial: coefficient for monomial, coefficient in polynomial.items() if most not in monomial}
        return [self._factored(having), *self._summands(others)]

    def _factored(self, polynomial: Polynomial) -> int:
        """Return the node of at least two terms with a common factor."""
        common = reduce(_find_common, polynomial)
        inner = {_divide(monomial, common): coefficient for monomial, coefficient in polynomial.items()}
        return self.circuit.add(PRODUCT, [*map(self._node, common), self.sum(inner)])

    def _multiples(self, coefficient: int, monomials: list[Monomial]) -> list[int]:
        """Return summands that make ``coefficient`` times the sum of ``monomials``."""
        if coefficient == 1 or len(monomials) == 1:
            return [self._product(monomial, coefficient) for monomial in monomials]
        total = self.circuit.add(SUM, [self._product(monomial, 1) for monomial in monomials])
        return [self.circuit.add(PRODUCT, [total, self.circuit.leaf(coefficient)])]

    def _product(self, monomial: Monomial, coefficient: int) -> int:
        factors = [self._node(number) for number in monomial]
        if coefficient != 1 or not factors:
            factors.append(self.circuit.leaf(coefficient))
        return self.circuit.add(PRODUCT, factors)

    def _node(self, number: int) -> int:
        """Return the node of an unknown."""
        if number not in self._nodes:
            unknown = self._unknowns[number]
            if isinstance(unknown, str):
                self._nodes[number] = self.circuit.leaf(unknown)
            elif isinstance(unknown, Call):
                arguments = [self.sum(argument) for argument in unknown.arguments]
                self._nodes[number] = self.circuit.add(unknown.function, arguments)
            else:
                self._nodes[number] = self.sum(unknown)
        return self._nodes[number]


def _find_common(one: Monomial, other: Monomial) -> Monomial:
    """Return the factors that two monomials have in common."""
    left = list(other)
    common = []
    for number in one:
        if number in left:
            left.remove(number)
            common.append(number)
    return tuple(common)


def _divide(monomial: Monomial, common: Monomial) -> Monomial:
    left = list(monomial)
    for number in common:
        left.remove(number)
    return tuple(left)
