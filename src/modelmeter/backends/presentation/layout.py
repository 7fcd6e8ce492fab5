"""Line breaks where a formula is long. Nothing here changes a formula."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from attrs import evolve

from modelmeter.backends.latex.printer import measure
from modelmeter.backends.presentation.tree import (
    ONE,
    Display,
    Fraction,
    Group,
    Line,
    Negative,
    Piece,
    Product,
    Sign,
    Sum,
    Tree,
)

WIDTH: Final = 80
"""Letters in the widest line: what fits between the margins of A4 and of a GitHub page."""

Pieces = tuple[Piece, ...]


def break_lines(tree: Tree, width: int = WIDTH) -> list[Pieces]:
    """Return a formula in lines of about ``width`` letters, broken at sums only."""
    if measure((tree,)) <= width:
        return [(tree,)]
    if isinstance(tree, Sum):
        return _break_sum(tree, width)
    groups = list_groups(tree)
    if not groups:
        return [(tree,)]
    widest = max(groups, key=lambda group: measure((group.inner,)))
    head = write_head(take_out(tree, widest))
    lines = break_lines(widest.inner, width - 3)
    if measure((*head, *lines[0])) > width:
        lines = [(), *lines]
    return bracket(head, lines)


def list_groups(tree: Tree) -> list[Group]:
    """Return the sums among the factors of a formula."""
    match tree:
        case Group():
            return [tree]
        case Product(factors):
            return [factor for factor in factors if isinstance(factor, Group)]
        case Negative(operand):
            return list_groups(operand)
        case Fraction(above, _, False):
            return [Group(above)] if isinstance(above, Sum) else list_groups(above)
        case _:
            return []


def take_out(tree: Tree, group: Group) -> Tree:
    """Return what is left of a formula without one of its factors, of :func:`list_groups`."""
    match tree:
        case Product(factors):
            place = factors.index(group)
            kept = (*factors[:place], *factors[place + 1 :])
            return kept[0] if len(kept) == 1 else Product(kept)
        case Negative(operand):
            return Negative(take_out(operand, group))
        case Fraction(above, below, False):
            return Fraction(take_out(above, group), below)
        case _:
            return ONE


def write_head(factors: Tree) -> Pieces:
    """Return what stands before the bracket that ``factors`` multiply."""
    if factors == ONE:
        return ()
    if factors == Negative(ONE):
        return (Sign.NEGATION,)
    return (factors, Sign.TIMES)


def bracket(head: Pieces, lines: Sequence[Pieces]) -> list[Pieces]:
    """Return ``lines`` in a bracket that opens after ``head``."""
    return end([(*head, Sign.OPEN, *lines[0]), *indent(lines[1:])], Sign.CLOSE)


def indent(lines: Sequence[Pieces]) -> list[Pieces]:
    """Return ``lines`` further to the right."""
    return [(Sign.INDENT, *line) for line in lines]


def end(lines: Sequence[Pieces], *pieces: Piece) -> list[Pieces]:
    """Return ``lines`` with something after the last."""
    return [*lines[:-1], (*lines[-1], *pieces)]


def equate(left: Tree, lines: Sequence[Pieces]) -> Display:
    """Return an equation."""
    if len(lines) == 1:
        only = (left, Sign.EQUALS, *lines[0])
        if measure((left, *lines[0])) <= WIDTH:
            return (Line(only),)
    return (Line((left, Sign.EQUALS)), *map(Line, indent(lines)))


def join_term(pieces: Pieces) -> Pieces:
    """Return a term with the sign that joins it to the terms before it."""
    first, *rest = pieces
    if isinstance(first, Negative):
        return (Sign.MINUS, first.operand, *rest)
    if first is Sign.NEGATION:
        return (Sign.MINUS, *rest)
    return (Sign.PLUS, *pieces)


def label_lines(lines: Sequence[Pieces], label: str) -> list[Line]:
    """Return lines of which the first has a label."""
    first, *rest = map(Line, lines)
    return [evolve(first, label=label), *rest]


def _break_sum(total: Sum, width: int) -> list[Pieces]:
    """Return a sum in lines: short terms side by side, a term that needs several lines alone."""
    lines: list[Pieces] = []
    is_open = False  # whether the last line takes another term
    for index, term in enumerate(total.terms):
        first, *rest = break_lines(term, width - 2)
        joined = join_term(first) if index else first
        if is_open and not rest and measure((*lines[-1], *joined)) <= width:
            lines[-1] = (*lines[-1], *joined)
        else:
            lines += [joined, *rest]
        is_open = not rest
    return lines
