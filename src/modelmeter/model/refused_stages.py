"""Stages that a model lacks, since an operator in them has no price: who asks is told why. Nothing needs sympy."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType
from typing import Final

from attrs import frozen

from modelmeter.support.suggestions import UnknownNameError

_MADE_OF_ALL: Final[Mapping[str, str]] = MappingProxyType({"request": "a request", "training_step": "a training step"})
"""What runs the refused stage too, in words."""


class RefusedStageError(UnknownNameError):
    """A stage was asked for that a model lacks, since nothing says what a part of it costs."""


@frozen(kw_only=True)
class RefusedStage:
    """A stage that a model lacks.

    Parameters
    ----------
    name
        Of the stage.
    reason
        What is in the way, as a clause: the module, the operator, and the line of code that calls it.
    """

    name: str
    reason: str


def explain_refusal(name: str, refused: Iterable[RefusedStage], stages: Collection[str]) -> str:
    """Return why there is no ``name``, and what can be asked for instead, in one line.

    Parameters
    ----------
    name
        A stage, what is made of all stages, or one metric of these, as ``prefill_io_bytes``.
    refused
        The stages that the model lacks.
    stages
        Those that it has.

    Returns
    -------
    str
        Nothing if the name is of none of these.
    """
    instead = f"ask for {' or '.join(stages)}"
    for stage in refused:
        if name == stage.name or name.startswith(f"{stage.name}_"):
            return f"{stage.name} of this model is refused: {stage.reason}; {instead}"
        for whole, words in _MADE_OF_ALL.items():
            if name == whole or name.startswith(f"{whole}_"):
                return f"{words} has a {stage.name}, which is refused for this model: {stage.reason}; {instead}"
    return ""


def refuse_stage(name: str, refused: Iterable[RefusedStage], stages: Collection[str]) -> None:
    """Refuse a stage that a model lacks, and what is made of it; let any other name pass.

    Raises
    ------
    RefusedStageError
        With what :func:`explain_refusal` says.
    """
    found = explain_refusal(name, refused, stages)
    if found:
        raise RefusedStageError(found)
