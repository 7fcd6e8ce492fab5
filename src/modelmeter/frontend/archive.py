"""A traced model as JSON, and back: what formulas are made of, without torch and without running any text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import sympy
from attrs import evolve
from cattrs import ClassValidationError, Converter, transform_error
from cattrs.gen import make_dict_unstructure_fn, override

from modelmeter.dimensions.functions import Size
from modelmeter.dimensions.symbols import Dimension, Dimensions
from modelmeter.frontend.formula_json import read_formula, write_formula
from modelmeter.frontend.records import TracedModel
from modelmeter.graph.module_graph import ModuleGraph
from modelmeter.support import strict_json
from modelmeter.support.errors import CountError, GraphError

FORMAT: Final = 2
"""Of the file; a model that another version wrote is compiled again."""

_VERSION: Final = "format_version"
_FORMULAS: Final = (sympy.Expr, Size)
_COPIES: Final = Mapping[int, tuple[int | None, int | None]]


def write_traced(traced: TracedModel) -> str:
    """Return the traces of a model as JSON, all but its module graph, which has a file of its own.

    Raises
    ------
    CountError
        If the file would not be read back as the same model.
    """
    converter = _make_converter(traced.dimensions, traced.graph)
    fields = {_VERSION: FORMAT, **converter.unstructure(traced, TracedModel)}
    text = json.dumps(fields, separators=(",", ":")) + "\n"
    if evolve(read_traced(text, traced.graph), dimensions=traced.dimensions) != traced:
        raise CountError("a traced model would not be read back from its file", place=traced.title)
    return text


def read_traced(text: str, graph: ModuleGraph) -> TracedModel:
    """Return the model that :func:`write_traced` wrote, with its module graph.

    Raises
    ------
    GraphError
        If the text is none, or of another version.
    FormulaError
        If a formula in it is none.
    """
    try:
        fields = strict_json.parse_object(text)
    except ValueError as error:
        raise GraphError("this is no traced model", found=str(error)) from None
    version = fields.pop(_VERSION, None)
    if version != FORMAT or not isinstance(fields.get("dimensions"), dict):
        raise GraphError(
            "this is no traced model that this version reads", place=_VERSION, expected=FORMAT, found=version,
            remedy="compile the model again",
        )  # fmt: skip
    try:
        dimensions = _make_converter(Dimensions(), graph).structure(fields["dimensions"], Dimensions)
        return _make_converter(dimensions, graph).structure({**fields, "graph": None}, TracedModel)
    except ClassValidationError as error:
        raise GraphError("the traced model is damaged", found="; ".join(transform_error(error))) from None


def _make_converter(dimensions: Dimensions, graph: ModuleGraph) -> Converter:
    converter = strict_json.make_converter()

    def is_formula(wanted: Any) -> bool:
        return wanted in _FORMULAS

    def write_symbols(found: Mapping[sympy.Symbol, sympy.Expr]) -> dict[str, Any]:
        return {symbol.name: write_formula(value) for symbol, value in found.items()}

    def write_dimensions(found: Dimensions) -> dict[str, Any]:
        groups = {name: getattr(found, name) for name in ("workload", "architecture", "local")}
        return {
            **{name: converter.unstructure(group, dict[str, Dimension]) for name, group in groups.items()},
            "latex": dict(found.latex),
        }

    def read_dimensions(found: Any, _: object) -> Dimensions:
        groups = {
            name: converter.structure(found[name], dict[str, Dimension])
            for name in ("workload", "architecture", "local")
        }
        return Dimensions(**groups, latex=converter.structure(found["latex"], dict[str, str]))

    converter.register_unstructure_hook_func(is_formula, write_formula)
    converter.register_structure_hook_func(is_formula, lambda found, _: read_formula(found, dimensions))
    # One side of a rule between sizes may be a number.
    converter.register_structure_hook_func(lambda wanted: wanted == str | int, lambda found, _: _read_side(found))
    by_symbol = Mapping[sympy.Symbol, sympy.Expr]
    converter.register_unstructure_hook_func(lambda wanted: wanted == by_symbol, write_symbols)
    converter.register_structure_hook_func(
        lambda wanted: wanted == by_symbol,
        lambda found, _: {dimensions.symbol(name): sympy.sympify(read_formula(value, dimensions))
                          for name, value in found.items()},
    )  # fmt: skip
    # The keys of an object are text in JSON.
    converter.register_unstructure_hook_func(
        lambda wanted: wanted == _COPIES, lambda found: [[place, *pair] for place, pair in found.items()]
    )
    converter.register_structure_hook_func(lambda wanted: wanted == _COPIES, lambda found, _: _read_copies(found))
    converter.register_unstructure_hook(Dimensions, write_dimensions)
    converter.register_structure_hook(Dimensions, read_dimensions)
    converter.register_structure_hook(ModuleGraph, lambda found, _: graph)
    converter.register_unstructure_hook(
        TracedModel, make_dict_unstructure_fn(TracedModel, converter, graph=override(omit=True))
    )
    return converter


def _read_side(found: Any) -> str | int:
    if type(found) is int or type(found) is str:
        return found
    raise TypeError("expected a size or a number")


def _read_copies(found: Any) -> dict[int, tuple[int | None, int | None]]:
    copies: dict[int, tuple[int | None, int | None]] = {}
    for place, read, written in found:
        if type(place) is not int or not {type(read), type(written)} <= {int, type(None)}:
            raise TypeError("expected three places, of which the last two may be null")
        copies[place] = read, written
    return copies
