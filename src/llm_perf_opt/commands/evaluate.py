"""``modelmeter eval``: the generated evaluators, which need no library at all."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from attrs import frozen
from rich.console import Group, RenderableType
from rich.text import Text

import deepseek_ocr_costs as costs
from llm_perf_opt.commands.names import unknown_name
from llm_perf_opt.terminal import format_integer, format_quantity, make_table, unit_of
from modelmeter.errors import WorkloadError

STAGES: Final = ("vision", "projector", "prefill", "decode", "request")

_INTEGER: Final = re.compile(r"-?[0-9]+(_[0-9]+)*")
_LONGEST: Final = 100
"""Digits of the largest size that is read: the costs of a larger one could not be printed."""


@frozen(kw_only=True)
class Evaluation:
    """What was evaluated, with which arguments (but for those that follow from others), and its six metrics."""

    name: str
    arguments: Mapping[str, int | str]
    cost: Mapping[str, int]

    def to_json(self) -> str:
        """Return the evaluation as JSON; every number in it is an exact integer."""
        document = {"name": self.name, "arguments": dict(self.arguments), "cost": dict(self.cost)}
        return json.dumps(document, indent=1)

    def render(self) -> RenderableType:
        """Return what was evaluated, over a table of the metrics."""
        arguments = ", ".join(f"{name}={value}" for name, value in self.arguments.items())
        table = make_table("metric", "exact", "about")
        for metric, value in self.cost.items():
            table.add_row(metric, format_integer(value), format_quantity(value, unit_of(metric)))
        return Group(Text(f"{self.name}({arguments})\n"), table)


def evaluate(name: str, assignments: Iterable[str]) -> Evaluation:
    """Evaluate a stage or a layer.

    Parameters
    ----------
    name
        A stage, or a layer of ``deepseek_ocr_costs.layers``.
    assignments
        Its keyword arguments, as ``key=value``; the others have their default values.

    Raises
    ------
    UnknownNameError
        If there is no such stage, layer or argument.
    WorkloadError
        If an argument is not written ``key=value``, is given twice, is not an integer, or is refused.
    """
    function = _find_function(name)
    parameters = inspect.signature(function).parameters
    given = parse_arguments(assignments)
    for key in given:
        if key not in parameters:
            raise unknown_name(f"argument of {name}", key, parameters)
    try:
        cost = function(**given)
    except costs.CostError as error:
        raise WorkloadError(str(error), place=name) from None
    used = {key: given.get(key, parameter.default) for key, parameter in parameters.items()}
    arguments = {key: value for key, value in used.items() if value is not None}
    return Evaluation(name=name, arguments=arguments, cost=cost._asdict())


def _find_function(name: str) -> Callable[..., Any]:
    functions: dict[str, Callable[..., Any]] = {stage: getattr(costs, stage) for stage in STAGES}
    functions |= {layer: getattr(costs.layers, layer) for layer in costs.layers.__all__}
    if name not in functions:
        raise unknown_name("stage or layer", name, functions)
    return functions[name]


def parse_arguments(assignments: Iterable[str]) -> dict[str, int | str]:
    """Return keyword arguments that are written ``key=value``.

    Raises
    ------
    WorkloadError
        If one is not written so, is given twice, or is not an integer.
    """
    given: dict[str, int | str] = {}
    for assignment in assignments:
        key, separator, value = assignment.partition("=")
        if not separator or not key:
            raise WorkloadError("this is not an argument", expected="key=value", found=assignment)
        if key in given:
            raise WorkloadError("an argument is given twice", place=key)
        given[key] = value if key == "expert_routing" else parse_integer(key, value)
    return given


def parse_integer(key: str, value: str) -> int:
    """Return the value of an argument.

    Raises
    ------
    WorkloadError
        If it is not written as an integer, or is too long to be a size.
    """
    if len(value) > _LONGEST or not _INTEGER.fullmatch(value):
        raise WorkloadError(
            "the value is not an integer", place=key, expected=f"at most {_LONGEST} digits, perhaps with underscores",
            found=value,
        )  # fmt: skip
    return int(value)
