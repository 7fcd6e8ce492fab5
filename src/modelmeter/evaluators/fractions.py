"""Fractions of a bit without fractions: all widths are counted in parts of a bit, whose number is one more input.

Where ``scale`` is a common denominator, ``weight_bits`` stands for ``weight_bits * scale``, an integer. A node that is
linear in the widths is then ``scale`` times what it was, one that does not depend on them is what it was, and numbers
that are added, compared or divided are brought to the same degree. With a scale of 1 the program is what it was.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from attrs import evolve, field, frozen

from modelmeter.algebra.program import MAXIMUM, PRODUCT, SUM, Node, Operation, Output, Program, arrange
from modelmeter.dimensions.functions import BRACKETS, CeilDiv, FloorDiv
from modelmeter.support.errors import FormulaError

SCALE = "scale"

_BRACKETS = {function.__name__ for function in BRACKETS}


def scale_widths(program: Program, widths: Collection[str]) -> Program:
    """Return the program of ``widths`` that are counted in parts of a bit; the input ``scale`` is how many make a bit.

    Raises
    ------
    FormulaError
        If a function that rounds or routes otherwise than by division depends on a width.
    """
    scaling = _Scaling(dict.fromkeys(widths, 1))
    steps = []
    for name, node in program.steps:
        scaled, scaling.degrees[name] = scaling.scale(node)
        steps.append((name, scaled))
    outputs = tuple(_round_up(scaling, output) for output in program.outputs)
    return evolve(program, inputs=(*program.inputs, SCALE), steps=tuple(steps), outputs=outputs)


def _round_up(scaling: _Scaling, output: Output) -> Output:
    """Return an output in whole units: divided by the scale as often as it holds it, and rounded up."""
    numerator, degree = scaling.scale(output.numerator)
    for _ in range(degree):
        numerator = Operation(CeilDiv.__name__, (numerator, SCALE))
    return output._replace(numerator=numerator)


@frozen
class _Scaling:
    """Scales nodes; ``degrees`` says of every name how often it holds the scale, where it does."""

    degrees: dict[str, int] = field()

    def scale(self, node: Node) -> tuple[Node, int]:
        """Return the scaled node, and its degree in the scale."""
        if not isinstance(node, Operation):
            return node, self.degrees.get(node, 0) if isinstance(node, str) else 0
        scaled = [self.scale(operand) for operand in node.operands]
        return self._find_rule(node.function)(node.function, scaled)

    def _find_rule(self, function: str) -> Callable[[str, list[tuple[Node, int]]], tuple[Node, int]]:
        if function == PRODUCT:
            return _multiply
        if function in (SUM, MAXIMUM):
            return _raise_all
        if function in _BRACKETS or function in (CeilDiv.__name__, FloorDiv.__name__):
            return _compare
        return _refuse


def _multiply(function: str, operands: list[tuple[Node, int]]) -> tuple[Node, int]:
    return arrange(function, [node for node, _ in operands]), sum(degree for _, degree in operands)


def _raise_all(function: str, operands: list[tuple[Node, int]]) -> tuple[Node, int]:
    """Bring all operands to the largest degree."""
    degree = max(degree for _, degree in operands)
    if function != SUM:
        return arrange(function, [_times(node, degree - own) for node, own in operands]), degree
    # Terms that lack the scale equally often get it together.
    lacking: dict[int, list[Node]] = {}
    for node, own in operands:
        lacking.setdefault(degree - own, []).append(node)
    kept = lacking.pop(0)
    raised = [_times(nodes[0] if len(nodes) == 1 else arrange(SUM, nodes), count) for count, nodes in lacking.items()]
    return arrange(SUM, [*kept, *raised]), degree


def _compare(function: str, operands: list[tuple[Node, int]]) -> tuple[Node, int]:
    """Bring both operands to one degree: then their order and their ratio are what they were."""
    raised, _ = _raise_all(function, operands)
    assert isinstance(raised, Operation)
    return raised, 0


def _refuse(function: str, operands: list[tuple[Node, int]]) -> tuple[Node, int]:
    if any(degree for _, degree in operands):
        raise FormulaError("a function of storage widths cannot be evaluated at fractions of a bit", found=function)
    return Operation(function, tuple(node for node, _ in operands)), 0


def _times(node: Node, count: int) -> Node:
    """Return a node, or each term of a sum, multiplied by the scale so many times."""
    if count == 0 or node == 0:
        return node
    if node == 1:
        return SCALE if count == 1 else Operation(PRODUCT, (SCALE,) * count)
    return arrange(PRODUCT, [node, *(SCALE,) * count])
