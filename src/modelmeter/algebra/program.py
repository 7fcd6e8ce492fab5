"""Straight-line integer programs: what a generated function computes, before it has a syntax."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeAlias

from attrs import frozen

from modelmeter.support.errors import FormulaError

SUM = "+"
PRODUCT = "*"
MAXIMUM = "max"

Node: TypeAlias = "int | str | Operation"
"""An integer, the name of an input or of an earlier step, or an operation on nodes."""


class Operation(NamedTuple):
    """An operation: ``+``, ``*`` or ``max`` of two or more operands, or a call of an integer function by name."""

    function: str
    operands: tuple[Node, ...]


class Output(NamedTuple):
    """A named result: the numerator divided by the denominator, rounded up."""

    name: str
    numerator: Node
    denominator: int


@frozen(kw_only=True)
class Program:
    """Steps in order, each using only inputs and earlier steps, and the outputs made of them.

    Parameters
    ----------
    inputs
        Names of the integers that come from outside, in the order of the documentation.
    steps
        Names and nodes of the intermediate results that are used more than once.
    outputs
        The results.
    """

    inputs: tuple[str, ...]
    steps: tuple[tuple[str, Node], ...]
    outputs: tuple[Output, ...]

    @property
    def operations(self) -> int:
        """Additions, multiplications, divisions, calls and maxima in one run."""
        divisions = sum(output.denominator != 1 for output in self.outputs)
        nodes = [node for _, node in self.steps] + [output.numerator for output in self.outputs]
        return divisions + sum(count_operations(node) for node in nodes)

    def calls(self, function: str) -> bool:
        """Return whether some operation is ``function``."""
        nodes = [node for _, node in self.steps] + [output.numerator for output in self.outputs]
        return any(operation.function == function for node in nodes for operation in _operations(node))


def arrange(function: str, operands: Iterable[Node]) -> Operation:
    """Return an operation as people write it.

    A sum in a sum is one sum, and integers come last; a product in a product is one product, and integers come first.
    """
    if function not in (SUM, PRODUCT):
        return Operation(function, tuple(operands))
    flat: list[Node] = []
    for operand in operands:
        if isinstance(operand, Operation) and operand.function == function:
            flat += operand.operands
        else:
            flat.append(operand)
    return Operation(function, tuple(sorted(flat, key=lambda node: isinstance(node, int) == (function == SUM))))


def count_operations(node: Node) -> int:
    """Return the operations of one node."""
    return sum(count_own_operations(operation.function, len(operation.operands)) for operation in _operations(node))


def count_own_operations(function: str, operands: int) -> int:
    """Return the operations of one operation: a sum or product of n operands is n - 1 of them, a call is one."""
    return operands - 1 if function in (SUM, PRODUCT, MAXIMUM) else 1


def select(program: Program, *names: str) -> Program:
    """Return the part of ``program`` that computes the outputs ``names``, without dead steps and inputs.

    Raises
    ------
    FormulaError
        If the program has no such output.
    """
    by_name = {output.name: output for output in program.outputs}
    for name in names:
        if name not in by_name:
            raise FormulaError("the program has no such output", expected=sorted(by_name), found=name)
    return tidy(program.inputs, program.steps, [by_name[name] for name in names])


def tidy(inputs: Sequence[str], steps: Sequence[tuple[str, Node]], outputs: Sequence[Output]) -> Program:
    """Return the program without dead steps and inputs, and with steps that are used once put in their place.

    The steps that stay are named ``x1``, ``x2`` and so on.
    """
    uses = Counter(name for output in outputs for name in names_in(output.numerator))
    for name, node in reversed(steps):
        if uses[name]:
            uses.update(names_in(node))
    live = [(name, node) for name, node in steps if uses[name]]
    kept: list[tuple[str, Node]] = []
    stand_ins: dict[str, Node] = {}
    for name, node in live:
        node = _substitute(node, stand_ins)
        if uses[name] == 1:
            stand_ins[name] = node
        else:
            stand_ins[name] = f"x{len(kept) + 1}"
            kept.append((f"x{len(kept) + 1}", node))
    return Program(
        inputs=tuple(name for name in inputs if uses[name]),
        steps=tuple(kept),
        outputs=tuple(output._replace(numerator=_substitute(output.numerator, stand_ins)) for output in outputs),
    )


def split(program: Program, *names: str) -> tuple[tuple[tuple[str, Node], ...], tuple[tuple[str, Node], ...]]:
    """Return the steps that the outputs ``names`` need, and the others, each in order."""
    needed = {name for output in program.outputs if output.name in names for name in names_in(output.numerator)}
    for name, node in reversed(program.steps):
        if name in needed:
            needed.update(names_in(node))
    first = tuple(step for step in program.steps if step[0] in needed)
    return first, tuple(step for step in program.steps if step[0] not in needed)


def names_in(node: Node) -> list[str]:
    """Return the names in a node, as often as they occur."""
    found: list[str] = []
    pending = [node]
    while pending:
        part = pending.pop()
        if isinstance(part, str):
            found.append(part)
        elif isinstance(part, Operation):
            pending += part.operands
    return found


def _operations(node: Node) -> Iterator[Operation]:
    if isinstance(node, Operation):
        yield node
        for operand in node.operands:
            yield from _operations(operand)


def _substitute(node: Node, stand_ins: dict[str, Node]) -> Node:
    if isinstance(node, str):
        return stand_ins.get(node, node)
    if not isinstance(node, Operation):
        return node
    operands = tuple([_substitute(operand, stand_ins) for operand in node.operands])
    if all(type(new) is type(old) for new, old in zip(operands, node.operands, strict=True)):
        return Operation(node.function, operands)  # names for names: it is in order
    return arrange(node.function, operands)


def join_programs(one: Program, other: Program) -> Program:
    """Return one program that has the outputs of two; operations of the same value are one step."""
    steps: list[tuple[str, Node]] = []
    known: dict[tuple[str, tuple[Node, ...]], str] = {}

    def add(node: Node, names: Mapping[str, Node]) -> Node:
        """Return a name for a node; sums, products and maxima are the same in every order."""
        if not isinstance(node, Operation):
            return names.get(node, node) if isinstance(node, str) else node
        operands = tuple(add(operand, names) for operand in node.operands)
        ordered = sorted(operands, key=str) if node.function in (SUM, PRODUCT, MAXIMUM) else operands
        key = (node.function, tuple(ordered))
        if key not in known:
            known[key] = f"x{len(steps) + 1}"
            steps.append((known[key], Operation(node.function, operands)))
        return known[key]

    outputs: dict[str, Output] = {}
    for program in (one, other):
        names: dict[str, Node] = {}
        for name, node in program.steps:
            names[name] = add(node, names)
        for output in program.outputs:
            outputs.setdefault(output.name, output._replace(numerator=add(output.numerator, names)))
    inputs = tuple(dict.fromkeys((*one.inputs, *other.inputs)))
    return tidy(inputs, steps, list(outputs.values()))


def rename(node: Node, names: Mapping[str, str]) -> Node:
    """Return a node with some names in it replaced."""
    if isinstance(node, str):
        return names.get(node, node)
    if isinstance(node, Operation):
        return node._replace(operands=tuple(rename(operand, names) for operand in node.operands))
    return node


def find_weights(weights: Node, tokens: Node) -> tuple[int, bool] | None:
    """Return what is read of an expert as a number, and whether it is that number for each token of the call.

    A loop over experts reads a row of the mask of all tokens for each expert: there it grows with the tokens. None if
    it depends on anything else.
    """
    number, rest = _split(weights)
    if not rest:
        return number, False
    divisor, same = _split(tokens)
    return (number // divisor, True) if rest == same and number % divisor == 0 else None


def _split(node: Node) -> tuple[int, list[str]]:
    """Return the number in a product, and the texts of its other factors."""
    factors = node.operands if isinstance(node, Operation) and node.function == PRODUCT else (node,)
    number = math.prod(factor for factor in factors if isinstance(factor, int))
    return number, sorted(repr(factor) for factor in factors if not isinstance(factor, int))
