"""How many positions a model was made for. Nothing here needs sympy."""

from __future__ import annotations

from typing import Final

from modelmeter.model.registry import DEFAULT, find_beside

MODULE: Final = "positions"
"""The module beside that of a :class:`~modelmeter.model.definition.Model` which has its ``MOST_POSITIONS``, if any."""

MOST_POSITIONS: Final = "MOST_POSITIONS"
"""What has ``max_position_embeddings`` of its config, in that module or beside the record of an opened folder."""


def find_most_positions(model: str = DEFAULT) -> int | None:
    """Return ``max_position_embeddings`` of a registered model; None where it does not say.

    Raises
    ------
    UnknownNameError
        If no model of this name is registered.
    """
    found = find_beside(model, MODULE, MOST_POSITIONS)
    return found if isinstance(found, int) else None


def describe_positions(model: str, positions: int) -> str | None:
    """Return what is to be said of a sequence of so many positions; None where the model was made for them.

    Raises
    ------
    UnknownNameError
        If no model of this name is registered.
    """
    most = find_most_positions(model)
    if most is None or positions <= most:
        return None
    return (
        f"{positions:,} positions are more than the {most:,} of max_position_embeddings of {model}: they are counted "
        "like any other, but the model was not trained for them."
    )
