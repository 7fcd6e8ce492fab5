"""Named sizes: what each is, its symbol, and the dimensions of a model, in the order of its documentation.

A name means what a model says that it means: two models may give ``hidden_size`` different meanings, units and LaTeX.
Here are only the sizes that layers of any model have (:data:`GENERAL`) and the widths of storage (:data:`STORAGE`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from functools import lru_cache
from typing import Literal

import sympy
from attrs import field, frozen

from modelmeter.support.errors import FormulaError, ModelMeterError

Kind = Literal["workload", "storage", "architecture", "local"]

SizeRow = tuple[str, str, str] | tuple[str, str, str, int]
"""The name, the unit and the meaning of a size, and its minimum where that is not 1."""


@frozen(kw_only=True)
class Dimension:
    """One named size.

    Parameters
    ----------
    name
        The Hugging Face config key where one exists.
    kind
        Who sets it.
    unit, meaning
        For people: what one of it is, and what it stands for.
    minimum
        The smallest value that has a meaning: 1, or 0 where none is a case of its own.
    """

    name: str
    kind: Kind
    unit: str
    meaning: str
    minimum: int = 1

    @property
    def symbol(self) -> sympy.Symbol:
        """The sympy symbol: an integer, positive (or non-negative where 0 is allowed)."""
        if self.minimum > 0:
            return sympy.Symbol(self.name, integer=True, positive=True)
        return sympy.Symbol(self.name, integer=True, nonnegative=True)

    def check(self, value: object, error: type[ModelMeterError]) -> None:
        """Raise ``error`` for what is no value of this size: anything but an int, and one that is too small."""
        if type(value) is not int or value < self.minimum:  # not isinstance: true is an int to Python
            raise error(
                "a size is not a whole number in range", place=self.name,
                expected=f"an integer of at least {self.minimum}", found=value,
                remedy="with less, the code of the model does something else" if self.minimum > 1 else "",
            )  # fmt: skip


def _read_rows(kind: Kind, rows: Iterable[SizeRow]) -> dict[str, Dimension]:
    return {
        row[0]: Dimension(name=row[0], kind=kind, unit=row[1], meaning=row[2], minimum=row[3] if len(row) == 4 else 1)
        for row in rows
    }


GENERAL: Mapping[str, Dimension] = _read_rows(
    "local",
    (
        ("batch_size", "items", "sequences or images side by side"),
        ("num_tokens", "tokens", "rows that the layer sees: batch x positions"),
        ("hidden_size", "channels", "width of the layer"),
        ("intermediate_size", "channels", "width inside the MLP"),
        ("in_features", "channels", "input channels of a linear layer"),
        ("out_features", "channels", "output channels of a linear layer"),
        ("in_channels", "channels", "input channels of a convolution"),
        ("out_channels", "channels", "output channels of a convolution"),
        ("kernel_size", "pixels", "side of a square convolution kernel"),
        ("stride", "pixels", "stride of a convolution"),
        ("padding", "pixels", "zero padding on each side of a convolution", 0),
        ("height", "pixels", "input height"),
        ("width", "pixels", "input width"),
        ("num_embeddings", "rows", "rows of an embedding table"),
        ("embedding_dim", "channels", "channels of an embedding row"),
    ),
)
"""The sizes of layers that any model may have."""


def define_sizes(kind: Kind, *rows: str | SizeRow) -> dict[str, Dimension]:
    """Return dimensions by name, from rows of name, unit, meaning and minimum; a name alone is one of ``GENERAL``."""
    defined = _read_rows(kind, (row for row in rows if not isinstance(row, str)))
    names = (row if isinstance(row, str) else row[0] for row in rows)
    return {name: defined[name] if name in defined else GENERAL[name] for name in names}


STORAGE = define_sizes(
    "storage",
    ("weight_bits", "bits", "bits that store one parameter"),
    ("activation_bits", "bits", "bits that store one floating-point activation"),
    ("kv_bits", "bits", "bits that store one cached key or value element"),
)

GENERAL_LATEX: Mapping[str, str] = {
    "weight_bits": r"b_{\mathrm{w}}",
    "activation_bits": r"b_{\mathrm{a}}",
    "kv_bits": r"b_{\mathrm{kv}}",
    "batch_size": "B",
    "num_tokens": "N",
    "height": "H",
    "width": "W",
    "kernel_size": r"k_{\mathrm{conv}}",
    "stride": r"s_{\mathrm{conv}}",
    "padding": r"p_{\mathrm{conv}}",
    "in_features": r"d_{\mathrm{in}}",
    "out_features": r"d_{\mathrm{out}}",
    "num_embeddings": r"V_{\mathrm{rows}}",
    "embedding_dim": r"d_{\mathrm{emb}}",
    "hidden_size": "d",
    "intermediate_size": r"d_{\mathrm{ff}}",
    "in_channels": r"c_{\mathrm{in}}",
    "out_channels": r"c_{\mathrm{out}}",
}
"""How these sizes are written, counts before channels, as factors are."""


def _complete_latex(latex: Mapping[str, str]) -> dict[str, str]:
    """Return storage first, as terms of bytes go by it, then the model's names, then the general ones."""
    storage = {name: latex.get(name, GENERAL_LATEX[name]) for name in STORAGE}
    return {**storage, **latex, **{name: text for name, text in GENERAL_LATEX.items() if name not in latex}}


@frozen(kw_only=True, eq=False, slots=False)
class Dimensions:
    """The sizes of a model, or those of any layer where nothing is given.

    Parameters
    ----------
    workload, architecture
        What a caller may set, beside the widths of storage.
    local
        Sizes that only the pages of layers use; those of general layers need not be among them.
    latex
        How each size is written, by name. The order is also that of the factors of a product: counts before channels.

    Raises
    ------
    FormulaError
        If a size has no LaTeX name, or two have one.
    """

    workload: Mapping[str, Dimension] = field(factory=dict)
    architecture: Mapping[str, Dimension] = field(factory=dict)
    local: Mapping[str, Dimension] = field(factory=dict)
    latex: Mapping[str, str] = field(factory=dict, converter=_complete_latex)
    all_local: Mapping[str, Dimension] = field(init=False, repr=False)
    """The local sizes, and those of general layers."""
    ranks: Mapping[str, int] = field(init=False, repr=False)
    """The place of each name in the documentation."""
    _symbols: Mapping[str, sympy.Symbol] = field(init=False, repr=False)

    @all_local.default
    def _complete_local(self) -> dict[str, Dimension]:
        return {**self.local, **{name: dimension for name, dimension in GENERAL.items() if name not in self.local}}

    @ranks.default
    def _rank(self) -> dict[str, int]:
        return {name: place for place, name in enumerate(dict.fromkeys((*self.settable, *self.all_local)))}

    @_symbols.default
    def _make_symbols(self) -> dict[str, sympy.Symbol]:
        return {name: self.describe(name).symbol for name in self.ranks}

    def __attrs_post_init__(self) -> None:
        unnamed = [name for name in self.ranks if name not in self.latex]
        if unnamed:
            raise FormulaError(
                "a size has no LaTeX name", found=", ".join(unnamed), remedy="add it to the latex of the dimensions"
            )
        names: dict[str, str] = {}
        for name in self.ranks:
            other = names.setdefault(self.latex[name], name)
            if other != name:
                raise FormulaError("two sizes have one LaTeX name", place=f"{other}, {name}", found=self.latex[name])

    @property
    def storage(self) -> Mapping[str, Dimension]:
        """The widths of storage, which every model has."""
        return STORAGE

    @property
    def settable(self) -> dict[str, Dimension]:
        """What a caller may set, in the order of the documentation."""
        return {**self.workload, **STORAGE, **self.architecture}

    def symbol(self, name: str) -> sympy.Symbol:
        """Return the symbol of a size.

        Raises
        ------
        FormulaError
            If no dimension has this name.
        """
        if name not in self._symbols:
            raise _unknown(name, self.ranks)
        return self._symbols[name]

    def describe(self, name: str) -> Dimension:
        """Return the record of a size: as the model has it, where a layer has it, too.

        Raises
        ------
        FormulaError
            If no dimension has this name.
        """
        for group in (self.workload, STORAGE, self.architecture, self.all_local):
            if name in group:
                return group[name]
        raise _unknown(name, self.ranks)

    def describe_in_layer(self, name: str) -> Dimension:
        """Return the record of a size of one layer: ``hidden_size`` is then its own width, not the model's.

        Raises
        ------
        FormulaError
            If no dimension has this name.
        """
        return self.all_local[name] if name in self.all_local else self.describe(name)

    def symbols_of(self, expression: sympy.Expr | int) -> list[str]:
        """Return the names of the free symbols of ``expression``, in the order of the documentation.

        Raises
        ------
        FormulaError
            If one is the symbol of no dimension.
        """
        present = names_of(expression)
        unknown = present - self.ranks.keys()
        if unknown:
            raise FormulaError("a formula has a symbol that is none of the model's dimensions", found=sorted(unknown))
        return sorted(present, key=self.ranks.__getitem__)

    def sort(self, names: Iterable[str]) -> list[str]:
        """Return names in the order of the documentation; those that are in none follow by the alphabet."""
        return sorted(names, key=lambda name: (self.ranks.get(name, len(self.ranks)), name))


def names_of(expression: sympy.Expr | int) -> frozenset[str]:
    """Return the names of the free symbols of ``expression``."""
    return _list_names(sympy.sympify(expression))


@lru_cache(maxsize=65536)  # formulas share most of their parts
def _list_names(expression: sympy.Basic) -> frozenset[str]:
    if isinstance(expression, sympy.Symbol):
        return frozenset((expression.name,))
    return frozenset[str]().union(*map(_list_names, expression.args))


def _unknown(name: str, names: Iterable[str]) -> FormulaError:
    close = get_close_matches(name, list(names))
    remedy = f"did you mean {' or '.join(close)}" if close else "add it to the dimensions of the model"
    return FormulaError("no dimension has this name", found=name, remedy=remedy)


ANY_LAYER = Dimensions()
"""The sizes that layers of any model have, and the widths of storage."""

symbol = ANY_LAYER.symbol
"""Returns the symbol of a size of any layer, or of a width of storage."""
