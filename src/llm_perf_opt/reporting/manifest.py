"""The list of the files that we wrote into a folder: what tells ours from those of others."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final, TypeAlias

from modelmeter.support.errors import OutputError
from modelmeter.support.strict_json import parse_object

MANIFEST: Final = ".modelmeter.json"
"""The name of the list, in the folder."""

Digests: TypeAlias = Mapping[str, tuple[str, ...]]
"""By path below the folder, with ``/``: the SHA-256 of what we wrote there; two while files are being replaced."""

_ABOUT: Final = "Files that modelmeter wrote here, by command. It replaces and removes no others."


def digest(content: bytes) -> str:
    """Return the SHA-256 of a file's content."""
    return hashlib.sha256(content).hexdigest()


def read_manifest(folder: Path) -> dict[str, Digests]:
    """Return what each command wrote into a folder; nothing where there is no list.

    Raises
    ------
    OutputError
        If the list is damaged, or not ours.
    OSError
        If it cannot be read.
    """
    path = folder / MANIFEST
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise _damaged(path, "something that is not a file")
    if not path.exists():
        return {}
    try:
        document = parse_object(path.read_text(encoding="utf-8"))
    except ValueError as error:  # not UTF-8, not JSON, no object
        raise _damaged(path, error) from None
    commands = {name: entries for name, entries in document.items() if name != "about"}
    return {name: _read_entries(path, name, entries) for name, entries in commands.items()}


def write_manifest(path: Path, commands: Mapping[str, Digests]) -> None:
    """Write the list. Equal files give equal bytes, wherever the folder is."""
    document: dict[str, object] = {"about": _ABOUT}
    document |= {name: {path: list(kept) for path, kept in sorted(entries.items())} for name, entries in
                 sorted(commands.items())}  # fmt: skip
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8", newline="\n")


def join(first: Digests, second: Digests) -> dict[str, tuple[str, ...]]:
    """Return both lists as one, for the time in which a file may be the one or the other."""
    paths: Iterable[str] = (*first, *second)
    return {path: tuple(dict.fromkeys((*first.get(path, ()), *second.get(path, ())))) for path in paths}


def _read_entries(manifest: Path, command: str, entries: object) -> Digests:
    if not isinstance(entries, dict):
        raise _damaged(manifest, f"{command}: no list of files")
    for path, digests in entries.items():
        # A path that leads out of the folder must not make a file there ours.
        if not path or "\\" in path or any(part in ("", ".", "..") for part in path.split("/")):
            raise _damaged(manifest, f"{command}: the path {path}")
        if not isinstance(digests, list) or not all(isinstance(each, str) for each in digests):
            raise _damaged(manifest, f"{command}: the digests of {path}")
    return {path: tuple(digests) for path, digests in entries.items()}


def _damaged(path: Path, found: object) -> OutputError:
    return OutputError(
        "the list of the files that modelmeter wrote is damaged", place=str(path), found=found,
        remedy="name another folder, or move what is in this one away",
    )  # fmt: skip
