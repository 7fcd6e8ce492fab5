"""Records that come as YAML files: those that are shipped in a package, and those that users write."""

from __future__ import annotations

import os
from importlib import resources
from pathlib import Path
from typing import Final, TypeVar

from llm_perf_opt.data.serialization import read_record
from modelmeter.support.suggestions import unknown_name

T = TypeVar("T")

LARGEST_RECORD_BYTES: Final = 2**17
"""The longest file that is read: a hundred times what a card takes, and a second of YAML."""


def list_shipped(package: str) -> tuple[str, ...]:
    """Return the names of the records in a package: its YAML files without the suffix, sorted."""
    names = (Path(entry.name) for entry in resources.files(package).iterdir())
    return tuple(sorted(name.stem for name in names if name.suffix == ".yaml"))


def find_record(name: str, kind: str, package: str, record_type: type[T]) -> T:
    """Return a record by name or by file.

    Parameters
    ----------
    name
        The name of a shipped record; or the path of a file, which has a suffix or a folder in it.
    kind
        What people call such a record.
    package
        Where the shipped records are.
    record_type
        What the files hold.

    Raises
    ------
    UnknownNameError
        If no record of this name is shipped.
    RecordError
        If the file cannot be read, is longer than any such record, or holds none.
    """
    if os.path.basename(name) != name or Path(name).suffix in (".yaml", ".yml", ".json"):
        return read_record(name, record_type, limit_bytes=LARGEST_RECORD_BYTES)
    shipped = list_shipped(package)
    if name not in shipped:
        raise unknown_name(kind, name, shipped)
    with resources.as_file(resources.files(package) / f"{name}.yaml") as path:
        return read_record(path, record_type)
