r"""Presentation trees as MathML Core: what browsers draw without a script.

Brackets grow with what is inside them, as those of ``\left`` and ``\right`` do. A sign between terms is an ``mo``,
so that a browser can set the space around it; a hint to a screen reader that factors are multiplied is U+2062.

Letters may say what defines them, in ``data-href``, for a script that follows it. MathML Core has no ``href``; a token
may hold an ``a``, but whoever reads pages by ear is promised a formula without links inside. So nobody is left without
them, the same links stand in the list of symbols below a formula.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from html import escape
from typing import Final

from attrs import frozen

from modelmeter.backends.latex.printer import group_digits
from modelmeter.backends.mathml.latex_reader import convert_latex
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
"""From the printed arguments, each one element, to the printed call."""

_FIRST_TOKEN = re.compile(r"<m(?:i|text)\b")


@frozen(cache_hash=True)
class Links:
    """Where the letters of a formula lead; by default, nowhere.

    Parameters
    ----------
    symbols
        What stands before the name of a size in an address: ``symbols.html#``.
    names
        What stands before the place of a part that has a name of its own, as :func:`find_place` has it.
    """

    symbols: str = ""
    names: str = ""

    def link(self, tree: Symbol | Named, element: str) -> str:
        """Return the element of a letter, its first token with the address that it leads to."""
        match tree:
            case Symbol(name, _) if self.symbols:
                address = f"{self.symbols}{name}"
            case Named(letter, _) if self.names:
                address = f"{self.names}{find_place(letter)}"
            case _:
                return element
        linked, count = _FIRST_TOKEN.subn(rf'\g<0> data-href="{escape(address)}"', element, count=1)
        if not count:
            raise FormulaError("a letter has no token that could be a link", found=element)
        return linked


NO_LINKS: Final = Links()


def find_place(letter: str) -> str:
    """Return the name of the place in a page that says what a letter in LaTeX stands for."""
    return re.sub(r"[^0-9A-Za-z]+", "-", letter.replace(r"\mathrm", "")).strip("-")


DIGIT_SPACE: Final = "\u202f"
"""The no-break space between groups of digits."""

_INVISIBLE_TIMES: Final = '<mo lspace="0.1em" rspace="0.1em">\u2062</mo>'


def _row(*elements: str) -> str:
    return f"<mrow>{''.join(elements)}</mrow>"


def _operator(sign: str) -> str:
    return f"<mo>{escape(sign)}</mo>"


def _fence(left: str, inside: str, right: str) -> str:
    """Return something in brackets; they stay small around what is no taller than a letter, as then they fit."""
    grows = "" if "<mfrac>" in inside or "<mtable" in inside else ' stretchy="false"'
    return _row(f"<mo{grows}>{left}</mo>", inside, f"<mo{grows}>{right}</mo>")


def _compare(sign: str) -> Form:
    return lambda left, right: _fence("[", _row(left, _operator(sign), right), "]")


def _fraction(above: str, below: str) -> str:
    return f"<mfrac>{above}{below}</mfrac>"


def _list_arguments(*arguments: str) -> str:
    return _fence("(", _row(_operator(",").join(arguments)), ")")


def _apply(name: str) -> Form:
    return lambda *arguments: _row(f"<mi>{name}</mi>", "<mo>\u2061</mo>", _list_arguments(*arguments))


def _expect_reads(experts: str, per_token: str, tokens: str, weights: str) -> str:
    missed = _fence("(", _row("<mn>1</mn>", _operator("\u2212"), _fraction(per_token, experts)), ")")
    hit = _fence("(", _row("<mn>1</mn>", _operator("\u2212"), f"<msup>{missed}{tokens}</msup>"), ")")
    size = weights if weights.startswith("<mn>") else _fence("(", weights, ")")
    return _fence("⌊", _row(experts, _INVISIBLE_TIMES, hit, _operator("⋅"), size), "⌉")


FORMS: Final[Mapping[str, Form]] = {
    CeilDiv.__name__: lambda a, b: _fence("⌈", _fraction(a, b), "⌉"),
    FloorDiv.__name__: lambda a, b: _fence("⌊", _fraction(a, b), "⌋"),
    Differs.__name__: _compare("≠"),
    Equals.__name__: _compare("="),
    Exceeds.__name__: _compare(">"),
    RoutedReads.__name__: _expect_reads,
    "max": _apply("max"),
    "min": _apply("min"),
    "floor": lambda inside: _fence("⌊", inside, "⌋"),
    "ceiling": lambda inside: _fence("⌈", inside, "⌉"),
}
"""What each function is in MathML."""

_COMPARISONS: Final[Mapping[str, str]] = {"<=": "≤", "<": "<", ">=": "≥", ">": ">"}

_SIGNS: Final[Mapping[Sign, str]] = {
    Sign.PLUS: '<mo form="infix">+</mo>',
    Sign.MINUS: '<mo form="infix">\u2212</mo>',
    Sign.NEGATION: '<mo form="prefix">\u2212</mo>',
    Sign.TIMES: _INVISIBLE_TIMES,
    Sign.DOT: _operator("⋅"),
    Sign.EQUALS: _operator("="),
    Sign.COMMA: _operator(","),
    Sign.MAXIMUM: "<mi>max</mi><mo>\u2061</mo>",
    Sign.OPEN: '<mo form="prefix" stretchy="false">(</mo>',
    Sign.CLOSE: '<mo form="postfix" stretchy="false">)</mo>',
    Sign.INDENT: '<mspace width="1.5em"/>',
}


@lru_cache(maxsize=2**16)  # pages show the same parts again and again
def print_element(tree: Tree, links: Links = NO_LINKS) -> str:
    """Return a tree as one element, its letters with ``links``.

    Raises
    ------
    FormulaError
        If the tree has a function that the table does not have, or a letter in LaTeX that is not known.
    """
    match tree:
        case Number(value):
            return f"<mn>{group_digits(value, DIGIT_SPACE)}</mn>"
        case Symbol(_, letter) | Named(letter, _):
            return links.link(tree, convert_latex(letter))
        case Product(factors):
            return _row(_INVISIBLE_TIMES.join(print_element(factor, links) for factor in factors))
        case Sum((first, *others)):
            return _row(print_element(first, links), *(_join(term, links) for term in others))
        case Negative(operand):
            return _row('<mo form="prefix">\u2212</mo>', print_element(operand, links))
        case Group(inner):
            return _fence("(", print_element(inner, links), ")")
        case Power(base, exponent):
            below, above = print_element(base, links), print_element(exponent, links)
            if below.startswith("<msub>"):  # both scripts beside the letter, not one after the other
                return f"<msubsup>{below.removeprefix('<msub>').removesuffix('</msub>')}{above}</msubsup>"
            return f"<msup>{below}{above}</msup>"
        case Fraction(above, below, is_small):
            fraction = _fraction(print_element(above, links), print_element(below, links))
            # As \tfrac: as small as in a line of text.
            return f'<mstyle displaystyle="false">{fraction}</mstyle>' if is_small else fraction
        case Root(operand):
            return f"<msqrt>{print_element(operand, links)}</msqrt>"
        case Application(of, quantity, arguments):
            words = f"<msubsup><mi>F</mi><mtext>{escape(quantity)}</mtext><mtext>{escape(of)}</mtext></msubsup>"
            listed = _list_arguments(*(print_element(argument, links) for argument in arguments))
            return _row(words, "<mo>\u2061</mo>", listed)
        case Relation(left, comparison, right):
            sides = print_element(left, links), print_element(right, links)
            return _row(sides[0], _operator(_COMPARISONS[comparison]), sides[1])
        case Cases(branches):
            rows = "".join(_write_branch(branch, links) for branch in branches)
            return _row('<mo fence="true" form="prefix">{</mo>', f'<mtable class="cases">{rows}</mtable>')
        case Word(text):
            return f'<mtext class="name">{escape(text)}</mtext>'
        case Call(function, arguments) if function in FORMS:
            return FORMS[function](*(print_element(argument, links) for argument in arguments))
    raise FormulaError("there is no MathML for this part of a formula", found=tree)


def _write_branch(branch: tuple[Tree, Relation | None], links: Links) -> str:
    value, condition = branch
    words = "<mtext>otherwise</mtext>"
    if condition is not None:
        words = f"<mtext>for\u00a0</mtext>{print_element(condition, links)}"
    return f"<mtr><mtd>{print_element(value, links)}</mtd><mtd>{_row(words)}</mtd></mtr>"


def _join(term: Tree, links: Links) -> str:
    if isinstance(term, Negative):
        return _operator("\u2212") + print_element(term.operand, links)
    return _operator("+") + print_element(term, links)


def print_pieces(*pieces: Piece, links: Links = NO_LINKS) -> str:
    """Return trees and the signs between them as elements."""
    return "".join(_SIGNS[piece] if isinstance(piece, Sign) else print_element(piece, links) for piece in pieces)


def print_inline(*pieces: Piece, links: Links = NO_LINKS) -> str:
    """Return a formula in a line of text."""
    return f"<math>{_row(print_pieces(*pieces, links=links))}</math>"


def print_block(display: Display, links: Links = NO_LINKS) -> str:
    """Return a displayed formula: of several lines, a table with their labels in a second column."""
    if len(display) == 1:
        return f'<math display="block">{_row(print_pieces(*display[0].pieces, links=links))}</math>'
    has_labels = any(line.label for line in display)
    rows = "".join(_print_row(line, links, has_labels=has_labels) for line in display)
    return f'<math display="block"><mtable class="lines" displaystyle="true">{rows}</mtable></math>'


def _print_row(line: Line, links: Links, *, has_labels: bool) -> str:
    label = f"<mtext>({escape(line.label)})</mtext>" if line.label else ""
    second = f"<mtd>{label}</mtd>" if has_labels else ""
    return f"<mtr><mtd>{_row(print_pieces(*line.pieces, links=links))}</mtd>{second}</mtr>"
