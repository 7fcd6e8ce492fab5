"""Formulas as JSON, and back: lists of an operation and its operands, read without evaluating any text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeAlias

import sympy

from modelmeter.dimensions.functions import INTEGER_FUNCTIONS, Size
from modelmeter.dimensions.symbols import Dimensions
from modelmeter.support.errors import FormulaError

Json: TypeAlias = Any
"""What JSON holds: an int is a number, a text the name of a size, and a list an operation with its operands."""

_ADD, _MULTIPLY, _POWER, _RATIO = "+", "*", "^", "/"

_FUNCTIONS: Final = {function.__name__: function for function in INTEGER_FUNCTIONS}

_LARGEST_POWER: Final = 16
"""Of a size in a formula: a file that asks for more is damaged."""


def write_formula(formula: Size) -> Json:
    """Return a formula of whole and rational numbers, sizes, sums, products, whole powers and integer functions.

    Raises
    ------
    FormulaError
        If there is anything else in it.
    """
    if isinstance(formula, int):
        return formula
    if formula.is_Integer:
        return int(formula)
    if formula.is_Symbol:
        return str(formula.name)
    if formula.is_Rational:
        return [_RATIO, int(formula.p), int(formula.q)]
    operands = [write_formula(operand) for operand in formula.args]
    if formula.is_Add:
        return [_ADD, *operands]
    if formula.is_Mul:
        return [_MULTIPLY, *operands]
    if formula.is_Pow and formula.args[1].is_Integer:
        return [_POWER, *operands]
    name = type(formula).__name__
    if name in _FUNCTIONS:
        return [name, *operands]
    raise FormulaError("a formula has an operation that has no place in a file", place=name, found=formula)


def read_formula(found: Json, dimensions: Dimensions) -> Size:
    """Return the formula that :func:`write_formula` wrote, an int where it is a whole number.

    Raises
    ------
    FormulaError
        If it is no such formula, or has a size that is none of ``dimensions``.
    """
    if type(found) is int:
        return found
    if isinstance(found, str):
        return dimensions.symbol(found)
    if not isinstance(found, list) or len(found) < 2 or not isinstance(found[0], str):
        raise FormulaError("this is no formula", expected="a number, a size, or an operation and operands", found=found)
    name, *rest = found
    if name == _RATIO:
        if len(rest) != 2 or any(type(each) is not int for each in rest) or rest[1] < 2:
            raise FormulaError("this is no rational number", found=found)
        return sympy.Rational(*rest)
    operands = [sympy.sympify(read_formula(operand, dimensions)) for operand in rest]
    made: Callable[..., Any] | None = {_ADD: sympy.Add, _MULTIPLY: sympy.Mul}.get(name, _FUNCTIONS.get(name))
    if name == _POWER:
        if len(rest) != 2 or type(rest[1]) is not int or abs(rest[1]) > _LARGEST_POWER:
            raise FormulaError("this is no power of a size", expected=f"at most {_LARGEST_POWER}", found=found)
        made = sympy.Pow
    if made is None or (name in _FUNCTIONS and len(rest) != _FUNCTIONS[name].arity):
        raise FormulaError("no operation has this name and so many operands", found=name)
    result: sympy.Expr = made(*operands)
    return result
