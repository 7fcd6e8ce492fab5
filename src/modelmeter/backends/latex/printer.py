r"""Presentation trees as LaTeX.

Only what GitHub's MathJax and plain ``amsmath`` both know is printed; ``\operatorname``, for one, GitHub refuses.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Final

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
from modelmeter.dimensions.functions import CeilDiv, Differs, Equals, Exceeds, FloorDiv, RoutedReads
from modelmeter.support.errors import FormulaError

Form = Callable[..., str]
"""From the printed arguments to the printed call."""


def _write_maximum(*arguments: str) -> str:
    return rf"\max\left({', '.join(arguments)}\right)"


def _write_minimum(*arguments: str) -> str:
    return rf"\min\left({', '.join(arguments)}\right)"


FORMS: Final[Mapping[str, Form]] = {
    CeilDiv.__name__: r"\left\lceil \frac{{{0}}}{{{1}}} \right\rceil".format,
    FloorDiv.__name__: r"\left\lfloor \frac{{{0}}}{{{1}}} \right\rfloor".format,
    Differs.__name__: r"\left[ {0} \ne {1} \right]".format,
    Equals.__name__: r"\left[ {0} = {1} \right]".format,
    Exceeds.__name__: r"\left[ {0} > {1} \right]".format,
    RoutedReads.__name__: (
        r"\left\lfloor {0} \left(1 - \left(1 - \frac{{{1}}}{{{0}}}\right)^{{{2}}}\right)"
        r" \cdot \left({3}\right) \right\rceil"
    ).format,
    "max": _write_maximum,
    "min": _write_minimum,
    "floor": r"\left\lfloor {0} \right\rfloor".format,
    "ceiling": r"\left\lceil {0} \right\rceil".format,
}
"""What each function is in LaTeX."""

_COMPARISONS: Final[Mapping[str, str]] = {"<=": r"\le", "<": "<", ">=": r"\ge", ">": ">"}

_NEXT_ROW: Final = r" \\ "

_END_OF_ROW: Final = "\\\\\n"

_LABELLED_WIDTH: Final = 72
"""Letters of a line and of the label beside it, with the space between them, that surely fit between the margins."""

_SIGNS: Final[Mapping[Sign, str]] = {
    Sign.PLUS: " + ",
    Sign.MINUS: " - ",
    Sign.NEGATION: "-",
    Sign.TIMES: r" \, ",
    Sign.DOT: r" \cdot ",
    Sign.EQUALS: " = ",
    Sign.COMMA: ",",
    Sign.MAXIMUM: r"\max",
    Sign.OPEN: r"\bigl(",
    Sign.CLOSE: r"\bigr)",
    Sign.INDENT: r"\quad ",
}

_WORDY_SUBSCRIPT = re.compile(r"[_^]\{\\mathrm\{([^}]*)\}\}")
_OPERATOR = re.compile(r" (?:[-+=>]|\\ne|\\cdot) ")
_INVISIBLE = re.compile(r"\\(?:mathrm|mathtt|text|left|right|[bB]igl|[bB]igr|tfrac|frac)(?![a-zA-Z])|\\,|[{}_^&\s]")
_COMMAND = re.compile(r"\\(?:[a-zA-Z]+|.)")


@lru_cache(maxsize=2**16)  # measuring a formula to break it prints its parts again and again
def print_latex(tree: Tree) -> str:
    """Return a tree as LaTeX in one line.

    Raises
    ------
    FormulaError
        If the tree has a function that the table does not have.
    """
    match tree:
        case Number(value):
            return group_digits(value, r"\,")
        case Symbol(_, letter) | Named(letter, _):
            return letter
        case Product(factors):
            return r" \, ".join(map(print_latex, factors))
        case Sum((first, *others)):
            return print_latex(first) + "".join(map(_join, others))
        case Negative(operand):
            return f"-{print_latex(operand)}"
        case Group(inner):
            return rf"\left({print_latex(inner)}\right)"
        case Power(base, exponent):
            return f"{print_latex(base)}^{{{print_latex(exponent)}}}"
        case Fraction(above, below, is_small):
            return rf"\{'tfrac' if is_small else 'frac'}{{{print_latex(above)}}}{{{print_latex(below)}}}"
        case Root(operand):
            return rf"\sqrt{{{print_latex(operand)}}}"
        case Application(of, quantity, arguments):
            words = rf"F^{{\mathrm{{{of}}}}}_{{\mathrm{{{quantity}}}}}"
            return f"{words}({', '.join(map(print_latex, arguments))})"
        case Relation(left, comparison, right):
            return f"{print_latex(left)} {_COMPARISONS[comparison]} {print_latex(right)}"
        case Cases(branches):
            return rf"\begin{{cases}} {_NEXT_ROW.join(map(_write_branch, branches))} \end{{cases}}"
        case Word(text):
            return rf"\mathtt{{{text}}}".replace("_", r"\_")
        case Call(function, arguments) if function in FORMS:
            return FORMS[function](*map(print_latex, arguments))
    raise FormulaError("there is no LaTeX for this part of a formula", found=tree)


def _write_branch(branch: tuple[Tree, Relation | None]) -> str:
    value, condition = branch
    return f"{print_latex(value)} & " + (
        r"\text{otherwise}" if condition is None else rf"\text{{for}}\ {print_latex(condition)}"
    )


def _join(term: Tree) -> str:
    return f" - {print_latex(term.operand)}" if isinstance(term, Negative) else f" + {print_latex(term)}"


def print_pieces(pieces: Iterable[Piece]) -> str:
    """Return trees and the signs between them, in one line."""
    return "".join(_SIGNS[piece] if isinstance(piece, Sign) else print_latex(piece) for piece in pieces)


def print_line(line: Line) -> str:
    """Return a line of a displayed formula, without its label."""
    text = print_pieces(line.pieces)
    first = next((piece for piece in line.pieces if piece is not Sign.INDENT), None)
    if first in (Sign.PLUS, Sign.MINUS):  # after an empty group, a sign is one between two terms
        indent = len(_SIGNS[Sign.INDENT]) * line.pieces.index(first)
        text = f"{text[:indent]}{{}}{text[indent:]}"
    return text.rstrip()


def print_label(line: Line) -> str:
    """Return what stands beside a line of a displayed formula; nothing if it has no label."""
    return rf"\text{{({line.label})}}" if line.label else ""


def print_display(display: Display) -> str:
    """Return the body of a displayed formula: one line as it is, more of them aligned on the left."""
    if len(display) == 1:
        return print_line(display[0])
    body = " \\\\\n".join(
        f"& {print_line(line)}" + (f" && {print_label(line)}" if line.label else "") for line in display
    )
    return f"\\begin{{aligned}}\n{body}\n\\end{{aligned}}"


def group_digits(number: int, space: str) -> str:
    """Return ``number`` with ``space`` between groups of three digits."""
    return f"{number:,}".replace(",", space)


def print_inline(*pieces: Piece) -> str:
    """Return a formula in a line of text."""
    return f"${print_pieces(pieces)}$"


def print_block(display: Display) -> str:
    """Return a displayed formula, as lines of their own."""
    return f"\\[\n{print_display(display)}\n\\]"


def print_breakable_block(display: Display) -> str:
    """Return a displayed formula, as lines of their own, which may go on over a page.

    What its lines are of stands beside them, or above them if one of them would be too wide with it.
    """
    if len(display) == 1:
        return print_block(display)
    is_beside = max(visible_width(print_line(line)) + len(line.label) for line in display) <= _LABELLED_WIDTH
    rows: list[str] = []
    for line in display:
        body = f"& {print_line(line)}"
        label = print_label(line)
        if label and is_beside:
            body += f" && {label}"
        elif label:
            rows.append(f"& {label} \\\\*\n")
        rows.append(f"{body} {_END_OF_ROW}")
    return f"\\begin{{align*}}\n{''.join(rows).removesuffix(f' {_END_OF_ROW}')}\n\\end{{align*}}"


def measure(pieces: Iterable[Piece]) -> int:
    """Return about how many letters wide a line is."""
    return visible_width(print_line(Line(tuple(pieces))))


def visible_width(latex: str) -> int:
    """Return about how many letters wide ``latex`` is: enough to choose line breaks."""
    spaces = latex.count(r"\,") // 3  # thin ones
    text = _WORDY_SUBSCRIPT.sub(lambda match: "x" * -(-2 * len(match[1]) // 3), latex)  # in small letters
    return spaces + len(_COMMAND.sub("x", _INVISIBLE.sub("", _OPERATOR.sub("xxx", text))))
