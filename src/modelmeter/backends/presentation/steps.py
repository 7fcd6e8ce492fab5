"""Steps of programs as people see them: the names and the order of the program, brackets where they are needed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from modelmeter.algebra.program import PRODUCT, SUM, Node
from modelmeter.backends.presentation.tree import (
    ONE,
    Call,
    Fraction,
    Group,
    Negative,
    Number,
    Product,
    Sum,
    Symbol,
    Tree,
)
from modelmeter.dimensions.functions import Triangular


def read_step(node: Node, letters: Mapping[str, str]) -> Tree:
    """Return a node of a program as it is shown.

    Parameters
    ----------
    letters
        The LaTeX of each name, where it has one; the names of steps stand as they are.
    """
    if isinstance(node, int):
        return Negative(Number(-node)) if node < 0 else Number(node)
    if isinstance(node, str):
        return Symbol(node, letters.get(node, _write_name(node)))
    operands = [read_step(operand, letters) for operand in node.operands]
    return _READERS.get(node.function, _read_call(node.function))(operands)


def _write_name(name: str) -> str:
    """Return the LaTeX of a step: ``x12`` is the twelfth."""
    letter, digits = name.rstrip("0123456789"), name[len(name.rstrip("0123456789")) :]
    return f"{letter}_{{{digits}}}" if digits else rf"\mathrm{{{letter}}}".replace("_", r"\_")


def _read_call(function: str) -> Callable[[list[Tree]], Tree]:
    return lambda operands: Call(function, tuple(operands))


def _read_sum(operands: list[Tree]) -> Tree:
    return Sum(tuple(operands))


def _read_product(operands: list[Tree]) -> Tree:
    first, *others = operands
    is_negative = isinstance(first, Negative)
    size = first.operand if isinstance(first, Negative) else first
    factors = others if is_negative and size == ONE else [size, *others]
    grouped = tuple(Group(each) if isinstance(each, Sum | Negative) else each for each in factors)
    tree = grouped[0] if len(grouped) == 1 else Product(grouped)
    return Negative(tree) if is_negative else tree


def _read_triangular(operands: list[Tree]) -> Tree:
    """Return the closed form; what is added up may be a sum that ends in a number."""
    (last,) = operands
    next_ = Group(Sum((*(last.terms if isinstance(last, Sum) else (last,)), Number(1))))
    return Fraction(Product((Group(last) if isinstance(last, Sum) else last, next_)), Number(2))


_READERS: Final[Mapping[str, Callable[[list[Tree]], Tree]]] = {
    SUM: _read_sum,
    PRODUCT: _read_product,
    Triangular.__name__: _read_triangular,
}
