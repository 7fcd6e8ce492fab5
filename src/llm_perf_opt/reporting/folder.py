"""Writing a folder of generated files: whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path

from modelmeter.errors import OutputError


def write_folder(target: str | os.PathLike[str], files: Mapping[str, str]) -> None:
    """Replace a folder by one that holds exactly ``files``.

    They are written beside it first; what was there before stays until all of them are.

    Parameters
    ----------
    target
        The folder. One that exists must hold nothing but what an earlier run of the same kind wrote: names at its
        top that ``files`` has too.
    files
        Text by path below the folder, with ``/``.

    Raises
    ------
    OutputError
        If the folder holds other files, or something cannot be written.
    """
    folder = Path(os.path.abspath(target))
    try:
        _check_owned(folder, {path.partition("/")[0] for path in files})
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as beside:
            finished, former = Path(beside, "finished"), Path(beside, "former")
            for path, text in files.items():
                file = finished / path
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text, encoding="utf-8", newline="\n")
            try:
                if folder.exists():
                    os.replace(folder, former)
                os.replace(finished, folder)
            except BaseException:  # an interrupt too may come while the former folder is away
                with suppress(OSError):
                    os.replace(former, folder)
                raise
    except OSError as error:
        raise OutputError("the files cannot be written", place=str(folder), found=error.strerror) from error


def _check_owned(folder: Path, names: Collection[str]) -> None:
    """Refuse to replace a folder with something in it that is not ours."""
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise OutputError("this is not a folder", place=str(folder))
    strangers = sorted({entry.name for entry in folder.iterdir()} - set(names)) if folder.exists() else []
    if strangers:
        raise OutputError(
            "the folder holds other files, which would be lost", place=str(folder), found=", ".join(strangers),
            remedy="name an empty or a new folder",
        )  # fmt: skip
