"""Cards: a YAML file each, with its sources, or a file of the user's own."""

from __future__ import annotations

from llm_perf_opt.data import HardwareSpec
from llm_perf_opt.library import find_record, list_shipped


def list_hardware() -> tuple[str, ...]:
    """Return the ids of the shipped cards."""
    return list_shipped(__name__)


def find_hardware(name: str) -> HardwareSpec:
    """Return a card by its id, or from a YAML or JSON file.

    Raises
    ------
    UnknownNameError
        If no card of this id is shipped.
    RecordError
        If the file cannot be read or holds no valid card.
    """
    return find_record(name, "card", __name__, HardwareSpec)
