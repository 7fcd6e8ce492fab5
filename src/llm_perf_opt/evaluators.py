"""The generated evaluators by name: what they take, and what they return."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from importlib import import_module
from typing import Any, Final

from modelmeter.model.refusals import refuse_stage_of
from modelmeter.model.registry import DEFAULT, find_package
from modelmeter.support.errors import GraphError
from modelmeter.support.suggestions import UnknownNameError, unknown_name

TRAINING_STEP: Final = "training_step"  # the names in modelmeter come with sympy, which takes long to import

SERVER_STEPS: Final = ("step", "chunk")
"""What a serving engine runs: a step of sequences of different lengths, and a chunk of a prompt."""

_LACKED: Final = {
    TRAINING_STEP: "training step; `modelmeter compile SOURCE --training` traces that of a text decoder",
    "step": "steps of a serving engine",
    "chunk": "chunks of a prompt",
}
"""What some models have and others do not, in words."""

CONTEXTS: Final = "contexts"
"""The argument of a step that is a list: how many tokens each sequence has."""

PEAK: Final = "peak_activation_bytes"
"""What stages have beside their cost: peaks do not add up, so they are no part of one."""

FUSED_IO: Final = "fused_io_bytes"
"""What stages and layers have beside ``io_bytes``: the traffic with every operator fused that can be."""

COST: Final = "cost"
"""The key of the metrics of a cost, all at once."""


@cache
def load_costs(model: str = DEFAULT) -> Any:
    """Return the generated package of a registered model.

    Raises
    ------
    UnknownNameError
        If no model of this name is registered.
    GraphError
        If its evaluators are not installed.
    """
    package = find_package(model)
    try:
        return import_module(package)
    except ModuleNotFoundError as error:
        if error.name != package:
            raise
        raise GraphError(
            "the generated package is not installed", place=package,
            remedy=f"run modelmeter compile --model {model} --out DIR, and put DIR on the path of Python",
        ) from None  # fmt: skip


def list_stages(model: str = DEFAULT) -> tuple[str, ...]:
    """Return the stages of a model, then the request."""
    stages: tuple[str, ...] = load_costs(model).Stages._fields
    return stages


def list_server_steps(model: str = DEFAULT) -> tuple[str, ...]:
    """Return what a serving engine runs of a model, if its evaluators have that."""
    return tuple(name for name in SERVER_STEPS if name in load_costs(model).__all__)


def list_whole(model: str = DEFAULT) -> tuple[str, ...]:
    """Return the stages of a model, the request, and a training step where it has one."""
    training = (TRAINING_STEP,) if TRAINING_STEP in load_costs(model).__all__ else ()
    return (*list_stages(model), *training)


def list_defaults(name: str, model: str = DEFAULT, *, general: bool = False) -> dict[str, int | str | None]:
    """Return the arguments of what has this name, and their defaults; those of its peak too.

    Errors are those of :func:`find_functions`.
    """
    functions = find_functions(name, model, general=general).values()
    return {key: default for function in functions for key, default in find_defaults(function).items()}


def is_general(name: str, sizes: Iterable[str], model: str = DEFAULT) -> bool:
    """Tell whether ``sizes`` has one of the architecture, which a stage or training step takes in ``general`` only."""
    if name not in list_whole(model):
        return False
    known = list_defaults(name, model, general=True).keys()
    return not known.isdisjoint({*sizes} - list_defaults(name, model).keys())


def find_layer(name: str, model: str = DEFAULT) -> str:
    """Return the layer that a torch class is modelled by; any other name is returned as it is.

    Raises
    ------
    UnknownNameError
        If there are several.
    """
    layers = [layer for layer, class_name in load_costs(model).layers.CLASSES.items() if class_name == name]
    if len(layers) > 1 and name not in layers:
        raise UnknownNameError(f"{name} is the class of several layers", remedy=f"choose {' or '.join(layers)}")
    return layers[0] if layers else name


def find_functions(name: str, model: str = DEFAULT, *, general: bool = False) -> dict[str, Callable[..., Any]]:
    """Return the evaluators of a stage, a training step, a server's step or a layer by what they return.

    Parameters
    ----------
    name, model
        What is asked for, and the name of a registered model.
    general
        Whether those of a stage or of a training step take the sizes of the architecture too; there are none of peaks.

    Raises
    ------
    UnknownNameError
        If there is none of this name.
    """
    costs = load_costs(model)
    source = costs.general if general else costs
    if name in list_stages(model):
        # The peak is first, as it takes more: what is alive beside a stage, too.
        beside = (FUSED_IO,) if general else (PEAK, FUSED_IO)
        return {metric: getattr(source, f"{name}_{metric}") for metric in beside} | {COST: getattr(source, name)}
    if name in list_whole(model):
        return {COST: getattr(source, name)}
    steps = list_server_steps(model)
    if name in steps:
        return {COST: getattr(costs, name)}
    layers = costs.layers.CLASSES
    if name in layers:
        return {COST: getattr(costs.layers, name), FUSED_IO: getattr(costs.layers, f"{name}_{FUSED_IO}")}
    refuse_stage_of(model, name)
    if name in _LACKED:
        refused = _find_refusal(model) if name == TRAINING_STEP else ""
        raise UnknownNameError(
            f"the evaluators of this model have no {_LACKED[name]}" if not refused else
            "this model has no training step, and --training cannot give it one", place=model, found=refused or name,
            remedy=f"evaluate {' or '.join(list_stages(model))}, or a layer",
        )  # fmt: skip
    raise unknown_name("stage or layer", name, (*list_whole(model), *steps, *layers), {*layers.values()})


def _find_refusal(model: str) -> str:
    """Return why a model was refused a training step, if it was."""
    from modelmeter.frontend.training.step import find_refusal
    from modelmeter.model.registry import find_model

    return find_refusal(find_model(model).conventions)


@cache
def find_defaults(function: Callable[..., Any]) -> dict[str, int | str | None]:
    """Return the arguments of an evaluator and their defaults; None where they have none of their own."""
    parameters = inspect.signature(function).parameters.values()
    return {each.name: None if each.default is each.empty else each.default for each in parameters}


def take_arguments(function: Callable[..., Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of the arguments that an evaluator has."""
    return {name: value for name, value in given.items() if name in find_defaults(function)}
