"""The language of questions: names, sums and one comparison, read by a grammar; no text is ever run as code."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from functools import cache
from importlib.resources import files
from typing import Any, Final, TypeAlias

from attrs import field, frozen
from lark import Lark, Token, UnexpectedCharacters, UnexpectedInput, UnexpectedToken, v_args
from lark.exceptions import VisitError
from lark.visitors import Transformer_NonRecursive

from modelmeter.model.refused_stages import refuse_stage
from modelmeter.scaling.compiled_formulas import CompiledFormulas
from modelmeter.scaling.layer_source import LayerSource, layer
from modelmeter.scaling.quantity import Quantity, as_quantity, largest_of, of_one_unit, smallest_of
from modelmeter.scaling.server_source import ServerStep, read_server_steps, server_step
from modelmeter.scaling.sizes import sort_sizes
from modelmeter.scaling.sources import Source, size, stage
from modelmeter.support.errors import QuestionError
from modelmeter.support.suggestions import unknown_name

MOST_CHARACTERS: Final = 10_000
"""A text that is longer is no question that somebody typed."""

MOST_DIGITS: Final = 100
"""Digits of a number in a text."""


@frozen
class Comparison:
    """A quantity, and what it is compared with, if it is."""

    left: Quantity
    relation: str | None = None
    right: Quantity | None = None


def read_comparison(text: str, model: CompiledFormulas, own: Mapping[str, Quantity] | None = None) -> Comparison:
    """Return what a text says about a model.

    The text has metrics of stages (``prefill.io_bytes``), of the modules whose path fits a pattern
    (``prefill.modules(*.mlp).io_bytes``), of an operator (``prefill.operator(mm).tensor_core_flops``) and of a layer
    class (``layer(linear).weight_bytes``); sizes of the model; numbers with or without a unit (``80GiB``); ``+ - * /``,
    brackets, ``max`` and ``min``; and at most one of ``>=`` and ``<=``. A unit alone is one of it: ``2 * GiB``.

    Parameters
    ----------
    own
        More names and what they stand for, such as ``card.memory_bytes``.

    Raises
    ------
    QuestionError
        If the text is not of this language; the column is named, and what could stand there.
    UnknownNameError
        If a name does not exist; those that come close are named.
    FormulaError
        If quantities of different units are added or compared.

    Examples
    --------
    >>> import modelmeter
    >>> read_comparison("projector.weight_bytes <= 2 MB", modelmeter.load()).relation
    '<='
    """
    if len(text) > MOST_CHARACTERS:
        raise QuestionError("a question is too long", expected=f"at most {MOST_CHARACTERS} characters", found=len(text))
    try:
        comparison: Any = _Builder(model, own or {}).transform(_load_parser().parse(text))
    except UnexpectedInput as error:
        raise _describe(text, error) from None
    except VisitError as error:
        raise error.orig_exc from None
    assert isinstance(comparison, Comparison)
    return comparison


@cache
def _load_parser() -> Lark:
    grammar = files("modelmeter.scaling").joinpath("language.lark").read_text(encoding="utf-8")
    return Lark(grammar, parser="lalr")


@frozen
class _Names:
    """Own names that begin alike, such as the numbers of a card."""

    prefix: str
    quantities: Mapping[str, Quantity] = field(repr=False)


_Node: TypeAlias = Quantity | Fraction
_Source: TypeAlias = Source | LayerSource | ServerStep | _Names


@v_args(inline=True)
class _Builder(Transformer_NonRecursive[Token, Any]):
    """What each rule of the grammar stands for; no depth of brackets exhausts the stack."""

    def __init__(self, model: CompiledFormulas, own: Mapping[str, Quantity]) -> None:
        super().__init__()
        self._model = model
        self._own = own

    # --- comparisons -----------------------------------------------------------------------------------------

    def expression(self, value: _Node | _Source) -> Comparison:
        return Comparison(as_quantity(_whole(value)))

    def comparison(self, left: _Node | _Source, relation: Token, right: _Node | _Source) -> Comparison:
        one, other = _whole(left), _whole(right)
        if isinstance(one, Fraction) and isinstance(other, Fraction):
            raise QuestionError("a question is about a model", found=f"{one} {relation} {other}")
        one, other = of_one_unit(one, other, str(relation))
        return Comparison(one, str(relation), other)

    # --- arithmetic ------------------------------------------------------------------------------------------

    def add(self, left: _Node | _Source, right: _Node | _Source) -> _Node:
        return _whole(left) + _whole(right)

    def subtract(self, left: _Node | _Source, right: _Node | _Source) -> _Node:
        return _whole(left) - _whole(right)

    def multiply(self, left: _Node | _Source, right: _Node | _Source) -> _Node:
        return _whole(left) * _whole(right)

    def divide(self, left: _Node | _Source, right: _Node | _Source) -> _Node:
        divisor = _whole(right)
        if isinstance(divisor, Fraction) and not divisor:
            raise QuestionError("a question divides by zero")
        return _whole(left) / divisor

    def negate(self, value: _Node | _Source) -> _Node:
        return -_whole(value)

    def choose(self, which: Token, *values: _Node | _Source) -> Quantity:
        return (largest_of if which == "max" else smallest_of)([_whole(value) for value in values])

    def number(self, text: Token) -> Fraction:
        return _read_number(text)

    def measure(self, text: Token, unit: Token) -> Quantity:
        factor, of = _read_unit(str(unit))
        return as_quantity(_read_number(text) * factor, of).named(f"{text} {unit}")

    # --- names -----------------------------------------------------------------------------------------------

    def name(self, word: Token) -> _Source | Quantity:
        name = str(word)
        if name in self._own:
            return self._own[name]
        if any(each.startswith(f"{name}.") for each in self._own):
            return _Names(name, self._own)
        if name in self._model.stages:
            return stage(self._model, name)
        if name in read_server_steps(self._model):
            return server_step(self._model, name)
        if name in self._model.defaults:
            return size(self._model, name)
        if (unit := _find_unit(name)) is not None:
            return as_quantity(*unit).named(name)
        refuse_stage(name, self._model.definition.refused, self._model.stages)
        prefixes = dict.fromkeys(each.split(".")[0] for each in self._own)
        sizes = sort_sizes(self._model.defaults, self._model.definition.dimensions.architecture)
        raise unknown_name(
            "stage or size", name, (*self._model.stages, *read_server_steps(self._model), *prefixes, *sizes)
        )

    def layer(self, name: Token) -> LayerSource:
        return layer(self._model, str(name))

    def attribute(self, source: _Source | Quantity, word: Token) -> Quantity:
        name = str(word)
        if isinstance(source, Quantity):
            raise QuestionError("a quantity has no parts", place=source.name, found=name)
        if isinstance(source, _Names):
            if (full := f"{source.prefix}.{name}") not in source.quantities:
                raise unknown_name(f"number of {source.prefix}", full, source.quantities)
            return source.quantities[full]
        return source.metric(name)

    def select(self, source: _Source | Quantity, word: Token, pattern: Token) -> Source:
        if not isinstance(source, Source):
            raise QuestionError("only a stage has parts to select", found=f"{word}({pattern})")
        selections = {
            "modules": source.modules, "operator": source.operator, "module_class": source.module_class,
        }  # fmt: skip
        if word not in selections:
            raise unknown_name("selection", str(word), selections)
        return selections[str(word)](str(pattern))


def _whole(value: _Node | _Source) -> _Node:
    """Return a quantity or a number; what only has metrics is neither."""
    if isinstance(value, Quantity | Fraction):
        return value
    if isinstance(value, _Names):
        known = [name for name in value.quantities if name.startswith(f"{value.prefix}.")]
        raise QuestionError("a name is not complete", found=value.prefix, expected=" or ".join(known))
    raise QuestionError("a metric is missing", found=value.name, expected=f"{value.name}.METRIC, as .io_bytes")


# --- numbers and units ---------------------------------------------------------------------------------------


def _read_number(text: str) -> Fraction:
    if sum(character.isdigit() for character in text) > MOST_DIGITS:
        raise QuestionError("a number is too long", expected=f"at most {MOST_DIGITS} digits")
    return Fraction(text)


_PREFIXES: Final = {
    "": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15,
    "ki": 2**10, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "Pi": 2**50,
}  # fmt: skip
_BASES: Final = {
    "B/s": "byte/s",
    "B": "bytes",
    "FLOPs/s": "FLOP/s",
    "FLOP/s": "FLOP/s",
    "FLOPs": "FLOPs",
    "FLOP": "FLOPs",
}
_SECONDS: Final = {"s": Fraction(1), "ms": Fraction(1, 10**3), "us": Fraction(1, 10**6)}


def _read_unit(text: str) -> tuple[Fraction, str]:
    """Return how many of the base unit one of a unit is, and the base unit."""
    found = _find_unit(text)
    if found is None:
        raise unknown_name(
            "unit", text, ("B", "kB", "MB", "GB", "KiB", "MiB", "GiB", "GFLOP", "TFLOP", "TFLOP/s", "TB/s", "ms")
        )
    return found


def _find_unit(text: str) -> tuple[Fraction, str] | None:
    """Return the same; None if there is no such unit."""
    if text in _SECONDS:
        return _SECONDS[text], "s"
    for end, base in _BASES.items():
        if text.endswith(end) and text.removesuffix(end) in _PREFIXES:
            return Fraction(_PREFIXES[text.removesuffix(end)]), base
    return None


# --- errors --------------------------------------------------------------------------------------------------


_TERMINALS: Final = {
    "NUMBER": "a number", "NAME": "a name", "WORD": "a name", "PATTERN": "a pattern", "RELATION": ">= or <=",
    "UNIT": "a unit", "PLUS": "+", "MINUS": "-", "STAR": "*", "SLASH": "/", "LPAR": "(", "RPAR": ")", "DOT": ".",
    "COMMA": "a comma", "CHOICE": "max or min", "LAYER": "layer", "$END": "the end",
}  # fmt: skip


def _describe(text: str, error: UnexpectedInput) -> QuestionError:
    names: set[str] = set()
    length = len(text.rstrip())
    at = length if error.pos_in_stream is None else error.pos_in_stream
    if isinstance(error, UnexpectedToken):
        names = set(error.accepts or error.expected)
        at = length if error.token.type == "$END" else at
    elif isinstance(error, UnexpectedCharacters):
        names = set(error.allowed or ())
    if text[at : at + 1] in ("<", ">", "="):
        return QuestionError(
            "this comparison is not known", place=f"column {at + 1}", found=text[at : at + 2].strip(),
            remedy="write >= or <=",
        )  # fmt: skip
    return QuestionError(
        "a question cannot be read", place=f"column {at + 1}",
        expected=", ".join(sorted(_TERMINALS[name] for name in names if name in _TERMINALS)) or None,
        found=text[at : at + 20] if at < length else "the end", remedy="for example: prefill.io_bytes >= 10 GB",
    )  # fmt: skip
