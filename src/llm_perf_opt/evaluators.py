"""The generated evaluators by name: what they take, and what they return."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Final

import deepseek_ocr_costs as costs
from modelmeter.support.suggestions import UnknownNameError, unknown_name

STAGES: Final = ("vision", "projector", "prefill", "decode", "request")
TRAINING_STEP: Final = "training_step"  # the names in modelmeter come with sympy, which takes long to import

PEAK: Final = "peak_activation_bytes"
"""What stages have beside their cost: peaks do not add up, so they are no part of one."""

FUSED_IO: Final = "fused_io_bytes"
"""What stages and layers have beside ``io_bytes``: the traffic with every operator fused that can be."""

COST: Final = "cost"
"""The key of the metrics of a cost, all at once."""


def list_defaults(name: str) -> dict[str, int | str | None]:
    """Return the arguments of a stage, a training step or a layer, and their defaults; those of its peak too.

    Raises
    ------
    UnknownNameError
        If there is none of this name.
    """
    functions = find_functions(name).values()
    return {key: default for function in functions for key, default in find_defaults(function).items()}


def find_layer(name: str) -> str:
    """Return the layer that a torch class is modelled by; any other name is returned as it is.

    Raises
    ------
    UnknownNameError
        If there are several.
    """
    layers = [layer for layer, class_name in costs.layers.CLASSES.items() if class_name == name]
    if len(layers) > 1 and name not in layers:
        raise UnknownNameError(f"{name} is the class of several layers", remedy=f"choose {' or '.join(layers)}")
    return layers[0] if layers else name


def find_functions(name: str) -> dict[str, Callable[..., Any]]:
    """Return the evaluators of a stage, a training step or a layer by what they return."""
    if name in STAGES:
        # The peak is first, as it takes more: what is alive beside a stage, too.
        return {metric: getattr(costs, f"{name}_{metric}") for metric in (PEAK, FUSED_IO)} | {
            COST: getattr(costs, name)
        }
    if name == TRAINING_STEP:
        return {COST: costs.training_step}
    if name in costs.layers.CLASSES:
        return {COST: getattr(costs.layers, name), FUSED_IO: getattr(costs.layers, f"{name}_{FUSED_IO}")}
    layers = costs.layers.CLASSES
    raise unknown_name("stage or layer", name, (*STAGES, TRAINING_STEP, *layers), {*layers.values()})


@cache
def find_defaults(function: Callable[..., Any]) -> dict[str, int | str | None]:
    """Return the arguments of an evaluator and their defaults; None where they follow from others."""
    return {name: parameter.default for name, parameter in inspect.signature(function).parameters.items()}


def take_arguments(function: Callable[..., Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of the arguments that an evaluator has."""
    return {name: value for name, value in given.items() if name in find_defaults(function)}
