"""Functions over arrays: what an evaluator takes and returns where sizes may be arrays."""

from __future__ import annotations

from attrs import frozen

from modelmeter.backends.python.parameters import write_array_argument
from modelmeter.backends.python.printer import fill_lines
from modelmeter.evaluators.evaluator import Evaluator, OneCost, OneValue, Result, StageCosts, Values
from modelmeter.evaluators.signature import ROUTING, Signature
from modelmeter.support.errors import FormulaError


@frozen(kw_only=True)
class ArrayFunction:
    """A function of the generated package over arrays.

    Parameters
    ----------
    result
        What it returns: ``"Cost"``, ``"Stages"`` or an ``"Array"``.
    """

    name: str
    summary: str
    signature: Signature
    result: str


def print_array_function(evaluator: Evaluator) -> ArrayFunction:
    """Return an evaluator as a function over arrays."""
    return ArrayFunction(
        name=evaluator.name,
        summary=evaluator.summary,
        signature=evaluator.signature,
        result=_name_result(evaluator.result, evaluator.name),
    )


def write_array_header(function: ArrayFunction) -> str:
    """Return the lines before the docstring of a function."""
    signature = function.signature
    arguments = [
        *map(write_array_argument, signature.parameters),
        *([f'{ROUTING}: str = "uniform"'] if signature.has_routing else []),
        'overflow: Overflow = "error"',
        'engine: Engine = "auto"',
    ]
    lines = fill_lines(["*,", *(f"{argument}," for argument in arguments)], "    ")
    return "\n".join([f"def {function.name}(", *lines, f") -> {function.result}:"])


def _name_result(result: Result, name: str) -> str:
    match result:
        case OneCost():
            return "Cost"
        case StageCosts():
            return "Stages"
        case OneValue():
            return "Array"
        case Values():
            raise FormulaError("a function of several numbers over arrays is one of rows", place=name)
