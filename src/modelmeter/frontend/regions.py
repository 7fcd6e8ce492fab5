"""Formulas of a run that was traced for several parts of its sizes, such as a batch of one and one of more."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher

import sympy
from attrs import evolve, frozen

from modelmeter.core.cost import KINDS, Elements, Operator
from modelmeter.core.functions import Size
from modelmeter.frontend.records import TracedForward, substitute, substitute_forward


@frozen(kw_only=True)
class Part:
    """What a module does in one of the parts: the forward that was traced there, and its operators."""

    forward: TracedForward
    operators: tuple[Operator, ...]


def merge_alike(forwards: Sequence[TracedForward]) -> tuple[TracedForward, ...]:
    """Return the forwards without one at a number for a size where the general one says the very same."""
    general, *others = forwards
    kept = [other for other in others if not _says_the_same(general, other)]
    return (general if kept else evolve(general, condition=1), *kept)


def _says_the_same(general: TracedForward, other: TracedForward) -> bool:
    there = substitute_forward(general, other.at)
    return evolve(there, condition=1, at={}) == evolve(other, condition=1, at={})


def combine_operators(parts: Sequence[Part]) -> tuple[Operator, ...]:
    """Return the operators of a module over all parts: one that some part lacks does nothing there."""
    rows: list[list[Operator | None]] = [[operator] for operator in parts[0].operators]
    for number, part in enumerate(parts[1:], 1):
        rows = _align(rows, part.operators, number)
    return tuple(_combine(row, parts) for row in rows)


def _align(
    rows: list[list[Operator | None]], operators: Sequence[Operator], number: int
) -> list[list[Operator | None]]:
    names = [next(operator.name for operator in row if operator is not None) for row in rows]
    matcher = SequenceMatcher(None, names, [operator.name for operator in operators], autojunk=False)
    aligned: list[list[Operator | None]] = []
    for tag, start, stop, other_start, other_stop in matcher.get_opcodes():
        if tag == "equal":
            aligned += [[*row, operators[other_start + step]] for step, row in enumerate(rows[start:stop])]
            continue
        left, right = rows[start:stop], list(operators[other_start:other_stop])
        for row in left:
            # A product that another kernel computes is the same operator to the formulas.
            same = next((each for each in right if _multiplies(row) and each.tensor_core_flops != 0), None)
            if same is not None:
                skipped = right[: right.index(same)]
                aligned += [[*[None] * number, operator] for operator in skipped]
                right = right[len(skipped) + 1 :]
            aligned.append([*row, same])
        aligned += [[*[None] * number, operator] for operator in right]
    return aligned


def _multiplies(row: Sequence[Operator | None]) -> bool:
    return any(operator is not None and operator.tensor_core_flops != 0 for operator in row)


def _combine(row: Sequence[Operator | None], parts: Sequence[Part]) -> Operator:
    present = next(operator for operator in row if operator is not None)

    def combine(*sizes: Size) -> Size:
        return combine_sizes(sizes, [part.forward for part in parts])

    def combine_elements(name: str) -> Elements:
        found = [Elements() if operator is None else getattr(operator, name) for operator in row]
        return Elements(**{kind: combine(*(getattr(elements, kind) for elements in found)) for kind in KINDS})

    return Operator(
        name=present.name,
        tensor_core_flops=combine(*(0 if operator is None else operator.tensor_core_flops for operator in row)),
        cuda_core_flops=combine(*(0 if operator is None else operator.cuda_core_flops for operator in row)),
        reads=combine_elements("reads"),
        writes=combine_elements("writes"),
    )


def combine_sizes(sizes: Sequence[Size], forwards: Sequence[TracedForward]) -> Size:
    """Return a size that is one of ``sizes`` in each part: the first where that says the same everywhere."""
    general = sizes[0]
    if all(substitute(general, forward.at) == size for size, forward in zip(sizes[1:], forwards[1:], strict=True)):
        return general
    terms = (forward.condition * sympy.sympify(size) for size, forward in zip(sizes, forwards, strict=True))
    total: sympy.Expr = sympy.Add(*terms)
    return total
