"""The generated evaluators by name: what they take, and what they return."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any, Final

import deepseek_ocr_costs as costs
from modelmeter.support.suggestions import UnknownNameError, unknown_name

STAGES: Final = ("vision", "projector", "prefill", "decode", "request")
TRAINING_STEP: Final = "training_step"  # the names in modelmeter come with sympy, which takes long to import

SERVER_STEPS: Final = ("step", "chunk")
"""What a serving engine runs: a step of sequences of different lengths, and a chunk of a prompt."""

CONTEXTS: Final = "contexts"
"""The argument of a step that is a list: how many tokens each sequence has."""

PEAK: Final = "peak_activation_bytes"
"""What stages have beside their cost: peaks do not add up, so they are no part of one."""

FUSED_IO: Final = "fused_io_bytes"
"""What stages and layers have beside ``io_bytes``: the traffic with every operator fused that can be."""

COST: Final = "cost"
"""The key of the metrics of a cost, all at once."""


def list_defaults(name: str, *, general: bool = False) -> dict[str, int | str | None]:
    """Return the arguments of what has this name, and their defaults; those of its peak too.

    Errors are those of :func:`find_functions`.
    """
    functions = find_functions(name, general=general).values()
    return {key: default for function in functions for key, default in find_defaults(function).items()}


def is_general(name: str, sizes: Iterable[str]) -> bool:
    """Tell whether ``sizes`` has one of the architecture, which a stage or training step takes in ``general`` only."""
    if name not in (*STAGES, TRAINING_STEP):
        return False
    return not list_defaults(name, general=True).keys().isdisjoint({*sizes} - list_defaults(name).keys())


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


def find_functions(name: str, *, general: bool = False) -> dict[str, Callable[..., Any]]:
    """Return the evaluators of a stage, a training step, a server's step or a layer by what they return.

    Parameters
    ----------
    general
        Whether those of a stage or of a training step take the sizes of the architecture too; there are none of peaks.

    Raises
    ------
    UnknownNameError
        If there is none of this name.
    """
    source = costs.general if general else costs
    if name in STAGES:
        # The peak is first, as it takes more: what is alive beside a stage, too.
        beside = (FUSED_IO,) if general else (PEAK, FUSED_IO)
        return {metric: getattr(source, f"{name}_{metric}") for metric in beside} | {COST: getattr(source, name)}
    if name == TRAINING_STEP:
        return {COST: getattr(source, name)}
    if name in SERVER_STEPS:
        return {COST: getattr(costs, name)}
    layers = costs.layers.CLASSES
    if name in layers:
        return {COST: getattr(costs.layers, name), FUSED_IO: getattr(costs.layers, f"{name}_{FUSED_IO}")}
    raise unknown_name("stage or layer", name, (*STAGES, TRAINING_STEP, *SERVER_STEPS, *layers), {*layers.values()})


@cache
def find_defaults(function: Callable[..., Any]) -> dict[str, int | str | None]:
    """Return the arguments of an evaluator and their defaults; None where they have none of their own."""
    parameters = inspect.signature(function).parameters.values()
    return {each.name: None if each.default is each.empty else each.default for each in parameters}


def take_arguments(function: Callable[..., Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of the arguments that an evaluator has."""
    return {name: value for name, value in given.items() if name in find_defaults(function)}
