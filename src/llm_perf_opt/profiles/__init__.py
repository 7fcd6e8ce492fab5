"""Workload profiles: a YAML file each, or a file of the user's own."""

from __future__ import annotations

from llm_perf_opt.data import OCRWorkloadProfile
from llm_perf_opt.library import find_record, list_shipped


def list_profiles() -> tuple[str, ...]:
    """Return the ids of the shipped profiles."""
    return list_shipped(__name__)


def find_profile(name: str) -> OCRWorkloadProfile:
    """Return a workload profile by its id, or from a YAML or JSON file.

    Raises
    ------
    UnknownNameError
        If no profile of this id is shipped.
    RecordError
        If the file cannot be read or holds no valid profile.
    """
    return find_record(name, "workload profile", __name__, OCRWorkloadProfile)
