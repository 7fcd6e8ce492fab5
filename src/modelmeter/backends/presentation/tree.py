"""What a formula looks like, before it is written in a language.

A :data:`Tree` has the order, the brackets and the names that a reader sees, and no text of any language. What a page
displays is a :data:`Display`: lines of trees and of the signs between them, where a formula is too long for one line.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum, auto
from typing import TypeAlias

from attrs import frozen


@frozen(cache_hash=True)
class Number:
    """A whole number that is not negative."""

    value: int


@frozen(cache_hash=True)
class Symbol:
    """A size: its name, and the LaTeX of its letter."""

    name: str
    letter: str


@frozen(cache_hash=True)
class Named:
    """A part of a formula that stands there by a name of its own.

    Parameters
    ----------
    letter
        The LaTeX of the name.
    inner
        What it stands for.
    """

    letter: str
    inner: Tree


@frozen(cache_hash=True)
class Negative:
    """What is subtracted."""

    operand: Tree


@frozen(cache_hash=True)
class Sum:
    """Terms in the order in which they are written; those that are subtracted are :class:`Negative`."""

    terms: tuple[Tree, ...]


@frozen(cache_hash=True)
class Product:
    """Factors in the order in which they are written."""

    factors: tuple[Tree, ...]


@frozen(cache_hash=True)
class Fraction:
    """A quotient; ``is_small`` if it is a rational number, which stands in a line like a digit."""

    above: Tree
    below: Tree
    is_small: bool = False


@frozen(cache_hash=True)
class Power:
    """A base, already in brackets where it needs them, to a whole exponent."""

    base: Tree
    exponent: Tree


@frozen(cache_hash=True)
class Root:
    """A square root."""

    operand: Tree


@frozen(cache_hash=True)
class Group:
    """What stands in brackets."""

    inner: Tree


@frozen(cache_hash=True)
class Call:
    """A function by its name: an integer function, ``max``, ``min``, ``floor`` or ``ceiling``.

    How it is written stands in the table of each language.
    """

    function: str
    arguments: tuple[Tree, ...]


@frozen(cache_hash=True)
class Application:
    """A function that the page defines: what it is of, which quantity, and its arguments."""

    of: str
    quantity: str
    arguments: tuple[Tree, ...]


@frozen(cache_hash=True)
class Relation:
    """A condition: two sides, and ``<=``, ``<``, ``>=`` or ``>`` between them."""

    left: Tree
    comparison: str
    right: Tree


@frozen(cache_hash=True)
class Cases:
    """What holds where: values with their conditions, the first of which that is true counts; None is always true."""

    branches: tuple[tuple[Tree, Relation | None], ...]


@frozen(cache_hash=True)
class Word:
    """A name as programs have it, such as that of a metric."""

    text: str


Tree: TypeAlias = (
    Number
    | Symbol
    | Named
    | Negative
    | Sum
    | Product
    | Fraction
    | Power
    | Root
    | Group
    | Call
    | Application
    | Relation
    | Cases
    | Word
)
"""A formula in one line."""

ONE = Number(1)

COMPARISONS = ("<=", "<", ">=", ">")
"""Of a :class:`Relation`."""


class Sign(Enum):
    """What stands between the trees of a line."""

    PLUS = auto()
    MINUS = auto()
    NEGATION = auto()
    """Of what follows; nothing stands before it."""
    TIMES = auto()
    """Seen as a space."""
    DOT = auto()
    """Between two numbers."""
    EQUALS = auto()
    COMMA = auto()
    MAXIMUM = auto()
    """The name of the function whose arguments follow in brackets."""
    OPEN = auto()
    CLOSE = auto()
    INDENT = auto()
    """At the start of a line: it stands inside what an earlier line opened."""


Piece: TypeAlias = "Tree | Sign"


@frozen
class Line:
    """A line of a displayed formula, and the label on its right, if it has one."""

    pieces: tuple[Piece, ...]
    label: str = ""


Display: TypeAlias = tuple[Line, ...]
"""A displayed formula."""


def list_parts(tree: Tree) -> tuple[Tree, ...]:
    """Return the trees right below a tree; a name has none, since what it stands for is not shown there."""
    match tree:
        case Negative(operand) | Root(operand) | Group(operand):
            return (operand,)
        case Sum(parts) | Product(parts) | Call(_, parts) | Application(_, _, parts):
            return parts
        case Fraction(above, below) | Power(above, below) | Relation(above, _, below):
            return above, below
        case Cases(branches):
            return tuple(part for branch in branches for part in branch if part is not None)
        case _:
            return ()


def walk(tree: Tree) -> Iterator[Tree]:
    """Yield a tree and everything that is shown of it."""
    yield tree
    for part in list_parts(tree):
        yield from walk(part)
