"""Stages that a model lacks, since an operator in them has no price: who asks is told why. Nothing needs sympy."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Final

from modelmeter.support.suggestions import UnknownNameError

_MADE_OF_ALL: Final[Mapping[str, str]] = MappingProxyType({"request": "a request", "training_step": "a training step"})
"""What runs the refused stage too, in words."""

_OF_TEXT: Final = ("prefill", "decode")
"""The stages of a text decoder; a model with others too has no training step, whatever else is in its way."""


class RefusedStageError(UnknownNameError):
    """A stage was asked for that a model lacks, since nothing says what a part of it costs."""


def explain_refusal(name: str, refused: Mapping[str, str], stages: Collection[str]) -> str:
    """Return why there is no ``name``, and what can be asked for instead, in one line.

    Parameters
    ----------
    name
        A stage, what is made of all stages, or one metric of these, as ``prefill_io_bytes``.
    refused
        What is in the way of each stage that the model lacks, by name, as a clause: the module, the operator, and the
        line of code that calls it.
    stages
        Those that it has.

    Returns
    -------
    str
        Nothing if the name is of none of these.
    """
    instead = f"ask for {' or '.join(stages)}"
    others = [stage for stage in stages if stage not in _OF_TEXT]
    if refused and others and (name == "training_step" or name.startswith("training_step_")):
        return f"a training step is one of a text decoder, and this model has {' and '.join(others)} too; {instead}"
    for stage, reason in refused.items():
        if name == stage or name.startswith(f"{stage}_"):
            return f"{stage} of this model is refused: {reason}; {instead}"
        for whole, words in _MADE_OF_ALL.items():
            if name == whole or name.startswith(f"{whole}_"):
                return f"{words} has a {stage}, which is refused for this model: {reason}; {instead}"
    return ""


def refuse_stage(name: str, refused: Mapping[str, str], stages: Collection[str]) -> None:
    """Refuse a stage that a model lacks, and what is made of it; let any other name pass.

    Raises
    ------
    RefusedStageError
        With what :func:`explain_refusal` says.
    """
    found = explain_refusal(name, refused, stages)
    if found:
        raise RefusedStageError(found)
