"""Functions over arrays: what an evaluator takes and returns where sizes may be arrays."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import frozen

from modelmeter.backends.python.parameters import write_array_argument
from modelmeter.backends.python.printer import fill_lines
from modelmeter.evaluators.evaluator import Evaluator, OneCost, OneValue, Result, StageCosts, Values
from modelmeter.evaluators.signature import ROUTING, Signature
from modelmeter.metrics.metric import FUSED_IO, PEAK
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


def find_likes(functions: Iterable[ArrayFunction]) -> dict[str, tuple[str, str, str]]:
    """Return which functions take what an earlier one takes: that one, their stage, and the metric of one."""
    earlier: dict[str, ArrayFunction] = {}
    likes: dict[str, tuple[str, str, str]] = {}
    for function in functions:
        header = write_array_header(function).partition("(")[2].rpartition(" -> ")[0]
        first = earlier.setdefault(header, function)
        metric = next((metric for metric in (FUSED_IO, PEAK) if function.name.endswith(f"_{metric}")), "")
        if first is not function and (metric or (function.result == first.result == "Cost")):
            likes[function.name] = (first.name, function.name.removesuffix(f"_{metric}"), metric)
    return likes


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
