r"""Presentation trees as the mathematics of Typst.

Names and words stand in strings and signs are called by their names, so that nothing of a model is read as a command.
Where a line may go on in the next is said apart: :func:`split_line` gives the same line in pieces, and who sets it
measures them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Final

from modelmeter.backends.latex.printer import group_digits
from modelmeter.backends.presentation.tree import (
    Application,
    Call,
    Cases,
    Display,
    Fraction,
    Group,
    Line,
    Named,
    Negative,
    Number,
    Piece,
    Power,
    Product,
    Relation,
    Root,
    Sign,
    Sum,
    Symbol,
    Tree,
    Word,
)
from modelmeter.backends.typst.latex_reader import convert_latex, quote
from modelmeter.dimensions.functions import CeilDiv, Differs, Equals, Exceeds, FloorDiv, RoutedReads
from modelmeter.support.errors import FormulaError

Form = Callable[..., str]
"""From the printed arguments to the printed call."""

_TIMES: Final = " thin "


def _fence(left: str, inside: str, right: str) -> str:
    """Return something in brackets, which grow with it."""
    return f"lr({left} {inside} {right})"


def _divide(left: str, right: str) -> Form:
    return lambda above, below: _fence(left, f"frac({above}, {below})", right)


def _compare(sign: str) -> Form:
    return lambda left, right: _fence("bracket.l", f"{left} {sign} {right}", "bracket.r")


def _list_arguments(arguments: Iterable[str]) -> str:
    return _fence("paren.l", " comma ".join(arguments), "paren.r")


def _apply(name: str) -> Form:
    return lambda *arguments: f"{name} {_list_arguments(arguments)}"


def _expect_reads(experts: str, per_token: str, tokens: str, weights: str) -> str:
    missed = _fence("paren.l", f"1 minus frac({per_token}, {experts})", "paren.r")
    hit = _fence("paren.l", f"1 minus {missed}^({tokens})", "paren.r")
    return _fence("floor.l", f"{experts} {hit} dot.op {_fence('paren.l', weights, 'paren.r')}", "ceil.r")


FORMS: Final[Mapping[str, Form]] = {
    CeilDiv.__name__: _divide("ceil.l", "ceil.r"),
    FloorDiv.__name__: _divide("floor.l", "floor.r"),
    Differs.__name__: _compare("eq.not"),
    Equals.__name__: _compare("eq"),
    Exceeds.__name__: _compare("gt"),
    RoutedReads.__name__: _expect_reads,
    "max": _apply("max"),
    "min": _apply("min"),
    "floor": lambda inside: _fence("floor.l", inside, "floor.r"),
    "ceiling": lambda inside: _fence("ceil.l", inside, "ceil.r"),
}
"""What each function is in Typst."""

_COMPARISONS: Final[Mapping[str, str]] = {"<=": "lt.eq", "<": "lt", ">=": "gt.eq", ">": "gt"}

_SIGNS: Final[Mapping[Sign, str]] = {
    Sign.PLUS: " plus ",
    Sign.MINUS: " minus ",
    Sign.NEGATION: "minus ",
    Sign.TIMES: _TIMES,
    Sign.DOT: " dot.op ",
    Sign.EQUALS: " eq ",
    Sign.COMMA: " comma ",
    Sign.MAXIMUM: "max ",
    Sign.OPEN: "lr(paren.l, size: #1.2em) ",
    Sign.CLOSE: " lr(paren.r, size: #1.2em)",
    Sign.INDENT: "",
}
"""The signs; how far a line is indented is a number of its own."""

_JOINING: Final = (Sign.PLUS, Sign.MINUS)
_EMPTY: Final = '""'
"""Between nothing and a term, a sign keeps the spaces of one that joins two."""


@lru_cache(maxsize=2**16)  # pages show the same parts again and again
def print_typst(tree: Tree) -> str:
    """Return a tree as Typst in one line.

    Raises
    ------
    FormulaError
        If the tree has a function that the table does not have, or a letter in LaTeX that is not known.
    """
    match tree:
        case Number(value):
            return group_digits(value, _TIMES)
        case Symbol(_, letter) | Named(letter, _):
            return convert_latex(letter)
        case Product(factors):
            return _TIMES.join(map(print_typst, factors))
        case Sum((first, *others)):
            return "".join([print_typst(first), *map(_join, others)])
        case Negative(operand):
            return f"minus {print_typst(operand)}"
        case Group(inner):
            return _fence("paren.l", print_typst(inner), "paren.r")
        case Power(base, exponent):
            return f"{print_typst(base)}^({print_typst(exponent)})"
        case Fraction(above, below, is_small):
            fraction = f"frac({print_typst(above)}, {print_typst(below)})"
            return f"inline({fraction})" if is_small else fraction
        case Root(operand):
            return f"sqrt({print_typst(operand)})"
        case Application(of, quantity, arguments):
            return f"F^({quote(of)})_({quote(quantity)}) {_list_arguments(map(print_typst, arguments))}"
        case Relation(left, comparison, right):
            return f"{print_typst(left)} {_COMPARISONS[comparison]} {print_typst(right)}"
        case Cases(branches):
            return f"cases({', '.join(map(_write_branch, branches))})"
        case Word(text):
            return f"#raw({quote(text)})"
        case Call(function, arguments) if function in FORMS:
            return FORMS[function](*map(print_typst, arguments))
    raise FormulaError("there is no Typst for this part of a formula", found=tree)


def _write_branch(branch: tuple[Tree, Relation | None]) -> str:
    value, condition = branch
    words = '"otherwise"' if condition is None else f'"for " {print_typst(condition)}'
    return f"{print_typst(value)} & {words}"


def _join(term: Tree) -> str:
    return f" minus {print_typst(term.operand)}" if isinstance(term, Negative) else f" plus {print_typst(term)}"


def print_pieces(pieces: Iterable[Piece]) -> str:
    """Return trees and the signs between them, in one line."""
    return "".join(_SIGNS[piece] if isinstance(piece, Sign) else print_typst(piece) for piece in pieces).strip()


def print_inline(*pieces: Piece) -> str:
    """Return a formula in a line of text."""
    return f"${print_pieces(pieces)}$"


def print_block(display: Display) -> str:
    """Return a displayed formula: a call of ``formula``, a function of the template, which sets its lines."""
    return "".join(["#formula(\n", *map(_write_line, display), ")\n"])


def _write_line(line: Line) -> str:
    """Return a line as an argument: how far it is indented, what it is of, all of it, and the pieces of it."""
    pieces = [piece for piece in line.pieces if piece is not Sign.INDENT]
    sign = f"{_EMPTY} " if pieces and pieces[0] in _JOINING else ""
    whole = f"${sign}{print_pieces(pieces)}$"
    chunks = " ".join(f"${chunk}$," for chunk in split_line(pieces))
    label = quote(f"({line.label})") if line.label else "none"
    return f"  (indent: {line.pieces.count(Sign.INDENT)}, label: {label}, body: {whole}, chunks: ({chunks})),\n"


def split_line(pieces: Iterable[Piece]) -> list[str]:
    """Return a line in pieces, before each of which it may go on in the next: before the signs of terms.

    Brackets around a sum that may be broken do not grow.
    """
    chunks = [""]
    for piece in pieces:
        if piece in _JOINING:
            chunks.append(_EMPTY)
        if isinstance(piece, Sign):
            chunks[-1] += _SIGNS[piece]
        else:
            head, *rest = _split(piece)
            chunks[-1] += head
            chunks += rest
    return [chunk.strip() for chunk in chunks if chunk.strip()]


def _split(tree: Tree) -> list[str]:
    """Return a tree in pieces that a line may be broken between."""
    match tree:
        case Sum((first, *others)):
            pieces = _split(first)
            for term in others:
                sign, operand = (" minus ", term.operand) if isinstance(term, Negative) else (" plus ", term)
                pieces += _enclose(f"{_EMPTY}{sign}", _split(operand), "")
            return pieces
        case Negative(operand):
            return _enclose("minus ", _split(operand), "")
        case Product(factors):
            pieces = [""]
            for place, factor in enumerate(factors):
                head, *rest = _split(factor)
                pieces[-1] += f"{_TIMES}{head}" if place else head
                pieces += rest
            return pieces
        case Group(inner):
            return _enclose(_SIGNS[Sign.OPEN], _split(inner), _SIGNS[Sign.CLOSE])
        case Call("max" | "min" as function, (*before, last)):
            pieces = [piece for argument in before for piece in _enclose("", _split(argument), _SIGNS[Sign.COMMA])]
            return _enclose(f"{function} {_SIGNS[Sign.OPEN]}", pieces + _split(last), _SIGNS[Sign.CLOSE])
        case _:
            return [print_typst(tree)]


def _enclose(before: str, pieces: list[str], after: str) -> list[str]:
    """Return pieces with something before the first and after the last."""
    pieces[0] = before + pieces[0]
    pieces[-1] += after
    return pieces
