"""``modelmeter eval``: the generated evaluators, which need no library at all."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from typing import Any, Final

from attrs import frozen
from rich.console import Group, RenderableType
from rich.text import Text

import deepseek_ocr_costs as costs
from llm_perf_opt.commands.names import unknown_name
from llm_perf_opt.commands.page_views import PageViews
from llm_perf_opt.terminal import format_integer, format_quantity, make_table, unit_of
from modelmeter.errors import WorkloadError

STAGES: Final = ("vision", "projector", "prefill", "decode", "request")
TRAINING_STEP: Final = "training_step"  # the names in modelmeter come with sympy, which takes long to import

PEAK: Final = "peak_activation_bytes"
"""What stages have beside their cost: peaks do not add up, so they are no part of one."""

FUSED_IO: Final = "fused_io_bytes"
"""What stages and layers have beside ``io_bytes``: the traffic with every operator fused that can be."""

_COST: Final = "cost"

_INTEGER: Final = re.compile(r"-?[0-9]+(_[0-9]+)*")
_LONGEST: Final = 100
"""Digits of the largest size that is read: the costs of a larger one could not be printed."""


@frozen(kw_only=True)
class Evaluation:
    """What was evaluated, with which arguments (but for those that follow from others), and its six metrics.

    ``fused_io_bytes`` is None for a training step, ``peak_activation_bytes`` also for a layer.
    """

    name: str
    arguments: Mapping[str, int | str]
    cost: Mapping[str, int]
    fused_io_bytes: int | None
    peak_activation_bytes: int | None

    def to_json(self) -> str:
        """Return the evaluation as JSON; every number in it is an exact integer."""
        document = {"name": self.name, "arguments": dict(self.arguments), _COST: dict(self.cost), **self._beside}
        return json.dumps(document, indent=1)

    def render(self) -> RenderableType:
        """Return what was evaluated, over a table of the metrics."""
        arguments = ", ".join(f"{name}={value}" for name, value in self.arguments.items())
        table = make_table("metric", "exact", "about")
        for metric, value in self._list_values():
            table.add_row(metric, format_integer(value), format_quantity(value, unit_of(metric)))
        return Group(Text(f"{self.name}({arguments})\n"), table)

    @property
    def _beside(self) -> dict[str, int]:
        """What is known of the metrics that are no part of the cost."""
        found = {FUSED_IO: self.fused_io_bytes, PEAK: self.peak_activation_bytes}
        return {metric: value for metric, value in found.items() if value is not None}

    def _list_values(self) -> Iterator[tuple[str, int]]:
        """Yield all metrics, one reading of the traffic after the other."""
        beside = self._beside
        for metric, value in self.cost.items():
            yield metric, value
            if metric == "io_bytes" and FUSED_IO in beside:
                yield FUSED_IO, beside.pop(FUSED_IO)
        yield from beside.items()


def evaluate(name: str, assignments: Iterable[str], views: PageViews | None = None) -> Evaluation:
    """Evaluate a stage, a training step or a layer.

    Parameters
    ----------
    name
        A stage, ``training_step``, or a layer of ``deepseek_ocr_costs.layers``.
    assignments
        Its keyword arguments, as ``key=value``; the others have their default values. Those of a stage are those of
        its cost and of its peak, each of which gets its own.
    views
        A page that sizes of its views follow from, if there is one.

    Raises
    ------
    UnknownNameError
        If there is no such stage, layer or argument.
    WorkloadError
        If an argument is not written ``key=value``, is given twice, is not an integer, or is refused.
    """
    functions, defaults = _find_functions(name), list_defaults(name)
    given = parse_arguments(assignments)
    for key in given:
        if key not in defaults:
            raise unknown_name(f"argument of {name}", key, defaults)
    given |= (views or PageViews()).find_sizes(name, given, defaults)
    try:
        results = {result: function(**take_arguments(function, given)) for result, function in functions.items()}
    except costs.CostError as error:
        raise WorkloadError(str(error), place=name) from None
    used = {key: given.get(key, default) for key, default in defaults.items()}
    arguments = {key: value for key, value in used.items() if value is not None}
    return Evaluation(
        name=name,
        arguments=arguments,
        cost=results[_COST]._asdict(),
        fused_io_bytes=results.get(FUSED_IO),
        peak_activation_bytes=results.get(PEAK),
    )


def list_defaults(name: str) -> dict[str, int | str | None]:
    """Return the arguments of a stage, a training step or a layer, and their defaults; those of its peak too.

    Raises
    ------
    UnknownNameError
        If there is none of this name.
    """
    functions = _find_functions(name).values()
    return {key: default for function in functions for key, default in find_defaults(function).items()}


def _find_functions(name: str) -> dict[str, Callable[..., Any]]:
    """Return the evaluators of a stage, a training step or a layer by what they return."""
    if name in STAGES:
        # The peak is first, as it takes more: what is alive beside a stage, too.
        return {metric: getattr(costs, f"{name}_{metric}") for metric in (PEAK, FUSED_IO)} | {
            _COST: getattr(costs, name)
        }
    if name == TRAINING_STEP:
        return {_COST: costs.training_step}
    layers = [function for function in costs.layers.__all__ if not function.endswith(FUSED_IO)]
    if name in layers:
        return {_COST: getattr(costs.layers, name), FUSED_IO: getattr(costs.layers, f"{name}_{FUSED_IO}")}
    raise unknown_name("stage or layer", name, (*STAGES, TRAINING_STEP, *layers))


@cache
def find_defaults(function: Callable[..., Any]) -> dict[str, int | str | None]:
    """Return the arguments of an evaluator and their defaults; None where they follow from others."""
    return {name: parameter.default for name, parameter in inspect.signature(function).parameters.items()}


def take_arguments(function: Callable[..., Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of the arguments that an evaluator has."""
    return {name: value for name, value in given.items() if name in find_defaults(function)}


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
