"""Formulas of a run that was traced for several parts of its sizes.

Parts are a batch of one and one of more, and the regions on both sides of where a window of attention is full.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from difflib import SequenceMatcher
from itertools import groupby
from typing import Any

import sympy
from attrs import evolve, frozen

from modelmeter.dimensions.functions import Size
from modelmeter.frontend.records import EVERYWHERE, TracedForward
from modelmeter.frontend.substitution import Substitution, substitute
from modelmeter.metrics.cost import KINDS, Elements, Operator
from modelmeter.metrics.operator_table import EAGER_ATTENTION


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


def merge_regions(regions: Sequence[Sequence[TracedForward]]) -> tuple[TracedForward, ...]:
    """Return the forwards of regions that follow each other; two that say the very same are one."""
    kept: list[Sequence[TracedForward]] = []
    for forwards in regions:
        if kept and _without_region(kept[-1]) == _without_region(forwards):
            whole = evolve(kept[-1][0].region, most=forwards[0].region.most)
            whole = EVERYWHERE if whole.least is None and whole.most is None else whole
            kept[-1] = [evolve(forward, region=whole) for forward in kept[-1]]
        else:
            kept.append(forwards)
    return tuple(forward for forwards in kept for forward in forwards)


def _without_region(forwards: Sequence[TracedForward]) -> list[TracedForward]:
    return [evolve(forward, region=EVERYWHERE) for forward in forwards]


def _says_the_same(general: TracedForward, other: TracedForward) -> bool:
    there = Substitution(other.at).change_forward(general)
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
    names = [next(_name(operator) for operator in row if operator is not None) for row in rows]
    matcher = SequenceMatcher(None, names, list(map(_name, operators)), autojunk=False)
    aligned: list[list[Operator | None]] = []
    for tag, start, stop, other_start, other_stop in matcher.get_opcodes():
        if tag == "equal":
            aligned += [[*row, operators[other_start + step]] for step, row in enumerate(rows[start:stop])]
            continue
        left, right = rows[start:stop], list(operators[other_start:other_stop])
        for row in left:
            # A product that another kernel computes is the same operator to the formulas.
            same = next((each for each in right if _multiplies(row) and _is_product_like(each, row)), None)
            if same is not None:
                skipped = right[: right.index(same)]
                aligned += [[*[None] * number, operator] for operator in skipped]
                right = right[len(skipped) + 1 :]
            aligned.append([*row, same])
        aligned += [[*[None] * number, operator] for operator in right]
    return aligned


def _name(operator: Operator) -> tuple[str, bool, bool]:
    """Return what operators that are one row have in common: their name, and what they read in a backward, if any."""
    return operator.name, operator.is_linear, operator.gradients in (None, Elements())


def _is_product_like(operator: Operator, row: Sequence[Operator | None]) -> bool:
    """Tell whether an operator multiplies matrices as a row does: an attention of one kernel is no other product."""
    kernels = {each.name == EAGER_ATTENTION for each in row if each is not None}
    return operator.tensor_core_flops != 0 and kernels == {operator.name == EAGER_ATTENTION}


def _multiplies(row: Sequence[Operator | None]) -> bool:
    return any(operator is not None and operator.tensor_core_flops != 0 for operator in row)


def _combine(row: Sequence[Operator | None], parts: Sequence[Part]) -> Operator:
    present = next(operator for operator in row if operator is not None)

    def combine(*sizes: Size) -> Size:
        return combine_sizes(sizes, [part.forward for part in parts])

    def combine_elements(name: str) -> Elements:
        # What is in no part of a training step says nothing of gradients.
        found = [Elements() if operator is None else getattr(operator, name) or Elements() for operator in row]
        return Elements(**{kind: combine(*(getattr(elements, kind) for elements in found)) for kind in KINDS})

    return Operator(
        name=present.name,
        tensor_core_flops=combine(*(0 if operator is None else operator.tensor_core_flops for operator in row)),
        cuda_core_flops=combine(*(0 if operator is None else operator.cuda_core_flops for operator in row)),
        reads=combine_elements("reads"),
        writes=combine_elements("writes"),
        **_combine_backward(row, combine, combine_elements),
    )


def _combine_backward(
    row: Sequence[Operator | None], combine: Callable[..., Size], combine_elements: Callable[[str], Elements]
) -> dict[str, Any]:
    """Return what an operator of a training step says of its backward; nothing of one that is of none."""
    present = [operator for operator in row if operator is not None]
    if all(operator.gradients is None for operator in present):
        return {}
    return {
        "is_linear": present[0].is_linear,
        "gradients": combine_elements("gradients"),
        "differentiated": combine_elements("differentiated"),
        **{
            name: combine(*(0 if operator is None else getattr(operator, name) for operator in row))
            for name in ("backward_tensor_core_flops", "backward_cuda_core_flops")
        },
    }


def combine_sizes(sizes: Sequence[Size], forwards: Sequence[TracedForward]) -> Size:
    """Return a size that is one of ``sizes`` in each part.

    Each region but the first adds what differs there from the region before it.
    """
    total: Size = 0
    before: Size = 0
    pairs = zip(forwards, sizes, strict=True)
    for region, parts in groupby(pairs, key=lambda pair: pair[0].region):
        inside, there = zip(*parts, strict=True)
        size = _combine_conditions(there, inside)
        total += region.begun * (size - before)
        before = size
    return total if isinstance(total, int) else sympy.expand(total)


def _combine_conditions(sizes: Sequence[Size], forwards: Sequence[TracedForward]) -> Size:
    """Return a size of a region: the first where that says the same under all conditions."""
    general = sizes[0]
    if all(substitute(general, forward.at) == size for size, forward in zip(sizes[1:], forwards[1:], strict=True)):
        return general
    terms = (forward.condition * sympy.sympify(size) for size, forward in zip(sizes, forwards, strict=True))
    total: sympy.Expr = sympy.Add(*terms)
    return total
