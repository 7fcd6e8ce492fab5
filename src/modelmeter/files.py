"""Single files, written whole or not at all."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from modelmeter.errors import OutputError


def write_text(path: str | os.PathLike[str], text: str, *, name: str = "the file") -> None:
    """Write ``text`` to a temporary name beside ``path``, and then give it that name.

    Raises
    ------
    OutputError
        If the file cannot be written; ``name`` is what the message calls it.
    """
    target = Path(path)
    unfinished = target.parent / f".{target.name}.{os.getpid()}"
    try:
        unfinished.write_text(text, encoding="utf-8", newline="\n")
        os.replace(unfinished, target)
    except (OSError, ValueError) as error:
        with suppress(OSError, ValueError):
            unfinished.unlink()
        raise OutputError(f"{name} cannot be written", place=str(path), found=describe_failure(error)) from None


def describe_failure(error: OSError | ValueError) -> str:
    """Return what went wrong with a file, without its name and the number of the error."""
    return str(getattr(error, "strerror", None) or error)
