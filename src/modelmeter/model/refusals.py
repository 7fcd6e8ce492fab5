"""Why a registered model lacks a stage, found by its name. Needs no sympy."""

from __future__ import annotations

from typing import Final

from modelmeter.model.refused_stages import explain_refusal, refuse_stage
from modelmeter.model.registry import find_beside

MODULE: Final = "refused_stages"
REFUSED_STAGES: Final = "REFUSED_STAGES"
STAGES: Final = "STAGES"
"""The module beside that of a model that lacks stages, what has the reason for each of these, by name, and the stages
that it has."""


def refuse_stage_of(model: str, name: str) -> None:
    """Refuse a stage that a registered model lacks, and what is made of it; let any other name pass.

    Raises
    ------
    RefusedStageError
        With what :func:`explain_refusal` says.
    UnknownNameError
        If no model of this name is registered.
    """
    found = find_beside(model, MODULE, REFUSED_STAGES)
    if found is not None:
        refuse_stage(name, found, find_beside(model, MODULE, STAGES))


def is_refused(model: str, name: str) -> bool:
    """Tell whether a registered model lacks a stage, or what is made of all of them.

    Raises
    ------
    UnknownNameError
        If no model of this name is registered.
    """
    found = find_beside(model, MODULE, REFUSED_STAGES)
    return found is not None and bool(explain_refusal(name, found, find_beside(model, MODULE, STAGES)))
