"""Presentation trees as lines of text for a terminal, with the names of sizes instead of their letters.

Sympy's own two-dimensional printer breaks long formulas in the middle of a name. Here every term has a line, a term
that is too long opens its longest sum over further lines, and what is still too long breaks between factors.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from attrs import frozen

from modelmeter.backends.presentation.layout import list_groups, take_out
from modelmeter.backends.presentation.tree import (
    ONE,
    Application,
    Call,
    Cases,
    Fraction,
    Group,
    Named,
    Negative,
    Number,
    Power,
    Product,
    Relation,
    Root,
    Sum,
    Symbol,
    Tree,
    Word,
)
from modelmeter.dimensions.functions import CeilDiv, Differs, Equals, Exceeds, FloorDiv, IntegerFunction, RoutedReads
from modelmeter.support.errors import FormulaError

_SHORT_SUM: Final = 45
"""A sum of at most this many characters stays on the line of its term."""

_SUPERSCRIPTS: Final = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")

FORMS: Final[Mapping[str, tuple[str, str]]] = {
    CeilDiv.__name__: ("⌈{} / {}⌉", "ceil({} / {})"),
    FloorDiv.__name__: ("⌊{} / {}⌋", "floor({} / {})"),
    Differs.__name__: ("[{} ≠ {}]", "[{} != {}]"),
    Equals.__name__: ("[{} = {}]", "[{} = {}]"),
    Exceeds.__name__: ("[{} > {}]", "[{} > {}]"),
    RoutedReads.__name__: ("routed_reads({}, {}, {}, {})", "routed_reads({}, {}, {}, {})"),
    "floor": ("⌊{}⌋", "floor({})"),
    "ceiling": ("⌈{}⌉", "ceil({})"),
}
"""How each function is written, in Unicode and in ASCII; others by their name."""

_QUOTIENTS: Final = {CeilDiv.__name__, FloorDiv.__name__}
"""The functions whose arguments need parentheses if they are sums, products or quotients."""


@frozen
class Line:
    """A line of a formula; ``depth`` is how many open parentheses it stands in."""

    depth: int
    text: str


def print_lines(tree: Tree, *, width: int, unicode: bool) -> list[Line]:
    """Return the lines of a formula, each a term with its sign, or where a parenthesis opens or closes.

    Parameters
    ----------
    tree
        What to print.
    width
        A longer line is opened. Each parenthesis around it takes two columns.
    unicode
        Whether the terminal shows more than ASCII.
    """
    return list(_Printer(width=width, unicode=unicode).lay_out(tree))


def print_text(tree: Tree, *, unicode: bool) -> str:
    """Return a formula on one line."""
    return _Printer(width=0, unicode=unicode).write(tree)


def print_comparison(bracket: type[IntegerFunction], *, unicode: bool) -> str:
    """Return a comparison of ``a`` and ``b`` as it is written in formulas."""
    in_unicode, in_ascii = FORMS[bracket.__name__]
    return (in_unicode if unicode else in_ascii).format("a", "b")


def print_dot(*, unicode: bool) -> str:
    """Return what stands between factors."""
    return " · " if unicode else " * "


@frozen(kw_only=True)
class _Printer:
    width: int
    unicode: bool

    def lay_out(self, tree: Tree, depth: int = 0) -> Iterator[Line]:
        """Yield the lines of a formula."""
        if isinstance(tree, Call) and tree.function == "max":
            for index, choice in enumerate(tree.arguments):
                yield Line(depth, "," if index else "max(")
                yield from self.lay_out(choice, depth + 1)
            yield Line(depth, ")")
            return
        for sign, term in _signed_terms(tree):
            text = sign + self.write(term)
            opened = max(list_groups(term), key=lambda group: len(self.write(group)), default=None)
            is_short = len(text) + 2 * depth <= self.width
            if is_short or opened is None or len(self.write(opened.inner)) <= _SHORT_SUM:
                yield Line(depth, text)
                continue
            above, below = self._multiply(take_out(term, opened))
            yield Line(depth, f"{sign}{above}{self._dot}(" if above else f"{sign}(")
            yield from self.lay_out(opened.inner, depth + 1)
            yield Line(depth, f"){below}")

    def write(self, tree: Tree) -> str:
        """Return a formula on one line."""
        match tree:
            case Number(value):
                return str(value)
            case Symbol(name, _):
                return name
            case Named(_, inner):
                return self.write(inner)
            case Group(inner):
                return f"({self.write(inner)})"
            case Sum() | Negative():
                return " ".join(sign + self.write(term) for sign, term in _signed_terms(tree))
            case Power(base, exponent):
                above = self.write(exponent)
                is_plain = self.unicode and above.isdecimal()
                return self._factor(base) + (above.translate(_SUPERSCRIPTS) if is_plain else f"^{above}")
            case Product() | Fraction():
                above, below = self._multiply(tree)
                return (above or "1") + below
            case Root(operand):
                return f"√({self.write(operand)})" if self.unicode else f"sqrt({self.write(operand)})"
            case Call(function, arguments) if function in FORMS:
                in_unicode, in_ascii = FORMS[function]
                write = self._factor if function in _QUOTIENTS else self.write
                return (in_unicode if self.unicode else in_ascii).format(*map(write, arguments))
            case Call(("max" | "min") as function, arguments):
                return f"{function}({', '.join(map(self.write, arguments))})"
            case Application(of, quantity, arguments):
                return f"{quantity}_of_{of}({', '.join(map(self.write, arguments))})"
            case Relation(left, comparison, right):
                return f"{self.write(left)} {comparison} {self.write(right)}"
            case Cases(branches):
                return ", ".join(
                    f"{self.write(value)} {'otherwise' if where is None else f'where {self.write(where)}'}"
                    for value, where in branches
                )
            case Word(text):
                return text
        raise FormulaError("there is no way to write this part of a formula in a terminal", found=tree)

    def _multiply(self, tree: Tree) -> tuple[str, str]:
        """Return the factors above the line, and a slash with those below it; either may be empty."""
        above, below = _list_factors(tree)
        over, under = (self._dot.join(map(self._factor, factors)) for factors in (above, below))
        return over, f" / {f'({under})' if len(below) > 1 else under}" if below else ""

    def _factor(self, tree: Tree) -> str:
        text = self.write(tree)
        inner = tree.inner if isinstance(tree, Named) else tree
        return f"({text})" if isinstance(inner, Sum | Negative | Product | Fraction) else text

    @property
    def _dot(self) -> str:
        return print_dot(unicode=self.unicode)


def _list_factors(tree: Tree) -> tuple[list[Tree], list[Tree]]:
    """Return the factors above the line of a quotient, and those below it; ones are left out."""
    match tree:
        case Product(factors):
            pairs = [_list_factors(factor) for factor in factors]
            return [each for above, _ in pairs for each in above], [each for _, below in pairs for each in below]
        case Fraction(numerator, denominator):
            over, under = _list_factors(numerator), _list_factors(denominator)
            return over[0] + under[1], over[1] + under[0]
        case _:
            return ([] if tree == ONE else [tree]), []


def _signed_terms(tree: Tree) -> Iterable[tuple[str, Tree]]:
    """Yield what stands before each term, and the term without its sign."""
    terms = tree.terms if isinstance(tree, Sum) else (tree,)
    for place, term in enumerate(terms):
        if isinstance(term, Negative):
            yield "- ", term.operand
        else:
            yield "+ " if place else "", term
