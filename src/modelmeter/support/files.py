"""Files on disk: read up to a limit, written whole or not at all."""

from __future__ import annotations

import errno
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final, TypeAlias

from modelmeter.support.errors import OutputError

OpenFile: TypeAlias = Callable[[str | os.PathLike[str]], AbstractContextManager[BinaryIO]]
"""Opens a file to write bytes into, by its path."""

LARGEST_TEXT_BYTES: Final = 2**24
"""The longest text that is read: a hundred times what the largest models need, and no strain on memory."""


def read_text(path: str | os.PathLike[str], *, limit_bytes: int = LARGEST_TEXT_BYTES) -> str:
    """Return the text of a file in UTF-8.

    Raises
    ------
    OSError
        If the file cannot be read, or is longer than the limit, as a device without an end is.
    ValueError
        If it is not UTF-8, or no file can have this name.
    """
    with Path(path).open("rb") as file:
        content = file.read(limit_bytes + 1)
    if len(content) > limit_bytes:
        raise OSError(errno.EFBIG, f"it has more than {limit_bytes} bytes")
    return content.decode()


@contextmanager
def replace_files(name: str, *, makes_folders: bool = False) -> Iterator[OpenFile]:
    """Give a function that opens files to write, which appear together when the block ends.

    Each is written beside its place, under another name, and takes its own name in one step: a reader finds the old
    file or the new one, never a half. After an error or an interrupt, nothing that was written is left. A link stays
    one, and what it leads to is replaced. Permissions are those of the file before, and of a new file those that a
    plain ``open`` gives it. The folder of a file is made where it is missing, if ``makes_folders``.

    Parameters
    ----------
    name
        What messages call the files.
    makes_folders
        Whether folders that are missing are made; those that were made go where the block fails.

    Raises
    ------
    OutputError
        If a file cannot be written, or something other than a file has its name.
    """
    from secrets import token_hex  # it brings a cryptographic library, which commands that write nothing do not need

    unfinished: dict[Path, Path] = {}
    made: list[Path] = []

    @contextmanager
    def open_file(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
        with explain_failure(name, path):
            target = _follow_links(path)
            if target.exists() and not target.is_file():
                raise OutputError(f"{name} cannot be written", place=str(path), found="something that is not a file")
            if makes_folders:
                missing = [folder for folder in target.parents if not folder.exists()]
                made.extend(reversed(missing))
                target.parent.mkdir(parents=True, exist_ok=True)
            # Known before it exists, so that an interrupt between the two leaves nothing behind.
            beside = unfinished[target] = target.with_name(f".{target.name}.{token_hex(4)}.tmp")
            with beside.open("xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())  # some file systems say only now that they are full
            if target.exists():
                shutil.copymode(target, beside)

    try:
        yield open_file
        for target, beside in unfinished.items():
            with explain_failure(name, target):
                os.replace(beside, target)
        made.clear()
    finally:
        for beside in unfinished.values():
            with suppress(OSError):  # what went wrong before says more
                beside.unlink()
        for folder in reversed(made):
            with suppress(OSError):  # someone else has put a file there
                folder.rmdir()


def write_text(path: str | os.PathLike[str], text: str, *, name: str = "the file") -> None:
    """Write ``text`` as UTF-8, whole or not at all.

    Raises
    ------
    OutputError
        If the file cannot be written; ``name`` is what the message calls it.
    """
    with replace_files(name) as open_file, open_file(path) as file:
        file.write(text.encode())


def refuse_foreign(path: str | os.PathLike[str], keys: Collection[str], *, name: str = "the file") -> None:
    """Refuse to replace a file that is no JSON object with these keys, or most of them: one of ours has them.

    Raises
    ------
    OutputError
        If there is such a file, or it cannot be read; ``name`` is what the message calls ours.
    """
    target = Path(path)
    with explain_failure(name, path):
        if target.exists() and not target.is_file() and not target.is_dir():  # it may be read without an end
            raise OutputError(f"{name} cannot be written", place=str(path), found="something that is not a file")
        if target.exists() and not has_keys(target.read_bytes(), keys):
            raise OutputError(
                f"{name} would replace a file that modelmeter did not write", place=str(path),
                remedy="move it away, or name another file",
            )  # fmt: skip


def refuse_unwritable(path: str | os.PathLike[str], *, name: str = "the file") -> None:
    """Refuse a place where no file can be made, before the work whose result is to be written there.

    Raises
    ------
    OutputError
        If the folder takes no file; ``name`` is what the message calls ours. Nothing is left in it.
    """
    with explain_failure(name, path), tempfile.NamedTemporaryFile(dir=Path(path).parent, prefix="."):
        pass


def has_keys(content: bytes, keys: Collection[str]) -> bool:
    """Tell whether a file holds a JSON object with these keys, or most of them: other versions have others."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        return False
    return isinstance(document, dict) and 2 * len(document.keys() & set(keys)) >= len(document.keys() | set(keys)) > 0


@contextmanager
def explain_failure(name: str, path: str | os.PathLike[str]) -> Iterator[None]:
    """Say in one line which file could not be written, and why.

    Where nobody reads a pipe any more, that is not worth a word: the ``BrokenPipeError`` remains.

    Raises
    ------
    OutputError
        If the system refuses to write, or a text has characters that UTF-8 has not.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except (OSError, UnicodeError) as error:
        raise OutputError(f"{name} cannot be written", place=str(path), found=describe_failure(error)) from None


def describe_failure(error: OSError | ValueError) -> str:
    """Return what went wrong with a file, without its name and the number of the error."""
    return str(getattr(error, "strerror", None) or error)


def _follow_links(path: str | os.PathLike[str]) -> Path:
    try:
        return Path(os.path.realpath(path))
    except ValueError as error:  # no file can have this name
        raise OSError(errno.EINVAL, str(error)) from None
