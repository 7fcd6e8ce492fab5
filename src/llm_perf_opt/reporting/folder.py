"""Writing a folder of generated files: whole or not at all, and never over the files of others."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from attrs import field, frozen

from llm_perf_opt.reporting.manifest import MANIFEST, Digests, digest, join, read_manifest, write_manifest
from modelmeter.support.errors import OutputError
from modelmeter.support.files import describe_failure, explain_failure

MARKED_BYTES: Final = 500
"""How far into a file its mark is looked for."""

_SHOWN = 3
"""How many files a message names."""


def check_folder(target: str | os.PathLike[str]) -> None:
    """Refuse a place where no folder can be, before the work whose result is to be written there; nothing is made.

    Raises
    ------
    OutputError
        If it is something else, or the folder above it takes no new ones.
    """
    folder = Path(os.path.abspath(target))
    with explain_failure("the folder", target):
        with suppress(FileNotFoundError):  # any other failure, as of a name that is too long, is one to explain
            os.lstat(folder)
        while not os.path.lexists(folder):
            folder = folder.parent
        if not folder.is_dir() or (folder.is_symlink() and folder == Path(os.path.abspath(target))):
            raise OutputError("this is not a folder", place=str(folder), remedy="name another place for the files")
        with tempfile.TemporaryDirectory(dir=folder, prefix="."):
            pass


def write_folder(target: str | os.PathLike[str], files: Mapping[str, str | bytes], *, command: str = "report") -> None:
    """Write files into a folder, and remove those that the same command wrote there before and no longer writes.

    A file that is there already is replaced only if it is as we wrote it: the folder has a list of our files with
    their digests. Files of others stay, wherever in the folder they are. After a failure everything is as it was.

    Parameters
    ----------
    target
        The folder.
    files
        Text or bytes by path below the folder, with ``/``.
    command
        Whose files they are; each command has its own in the list.

    Raises
    ------
    OutputError
        Before anything is written: if a file has a name that we need, and is not as we wrote it. Also if something
        cannot be written.
    """
    folder = Path(os.path.abspath(target))
    contents = {path: each.encode() if isinstance(each, str) else each for path, each in files.items()}
    try:
        if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
            raise OutputError("this is not a folder", place=str(folder))
        commands = read_manifest(folder)
        former = commands.get(command, {})
        _check_ours(folder, contents, former)
        extra = [path for path in former if path not in files and _is_as_written(folder, path, former[path])]
        written = {path: (digest(content),) for path, content in contents.items()}
        with _Replacement.begin(folder) as replacement:
            # While files are being replaced, each may be the old one or the new one: both are ours.
            replacement.put(MANIFEST, commands | {command: join(former, written)})
            for path, content in contents.items():
                replacement.put(path, content)
            for path in extra:
                replacement.remove(path)
            replacement.put(MANIFEST, commands | {command: written})
    except OSError as error:
        raise OutputError("the files cannot be written", place=str(folder), found=describe_failure(error)) from error


def list_left_over(
    target: str | os.PathLike[str], files: Collection[str], *, command: str = "report", mark: bytes = b""
) -> list[str]:
    """Return the files of a folder that a command wrote there and that are not among those that it writes today.

    They are those in the list of our files, changed since or not; and where the list has none of them, those that have
    the mark of our files near their beginning. Files of others are none of them.

    Parameters
    ----------
    target
        The folder.
    files
        What the command writes today: paths below the folder, with ``/``.
    command
        Whose files they are.
    mark
        What its files have in their first :data:`MARKED_BYTES` bytes, if they have a place for it.

    Raises
    ------
    OutputError
        If the list of our files is damaged, or a file cannot be read.
    """
    folder = Path(os.path.abspath(target))
    try:
        listed = {path for path in read_manifest(folder).get(command, {}) if (folder / path).is_file()}
        marked = {path.relative_to(folder).as_posix() for path in _list_files(folder) if mark and _has(path, mark)}
    except OSError as error:
        raise OutputError("the files cannot be read", place=str(folder), found=describe_failure(error)) from error
    return sorted((listed | marked) - {*files})


def _list_files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def _has(path: Path, mark: bytes) -> bool:
    with path.open("rb") as file:
        return mark in file.read(MARKED_BYTES)


def _check_ours(folder: Path, contents: Mapping[str, bytes], former: Digests) -> None:
    """Refuse to replace a file that is not as we wrote it. One with the very content that it gets may be anyone's."""
    foreign = [
        path
        for path, content in contents.items()
        if _blocks(folder, path) or (
            (folder / path).exists() and not _is_as_written(folder, path, (*former.get(path, ()), digest(content)))
        )
    ]  # fmt: skip
    if foreign:
        more = f" and {len(foreign) - _SHOWN} more" if len(foreign) > _SHOWN else ""
        raise OutputError(
            "the folder holds files that modelmeter did not write, or that were changed since", place=str(folder),
            found=", ".join(foreign[:_SHOWN]) + more, remedy="move them away, or name another folder",
        )  # fmt: skip


def _blocks(folder: Path, path: str) -> bool:
    """Tell whether something other than a plain file or folder has the name of this file, or of a folder above it."""
    target = folder / path
    above = [folder.joinpath(*target.relative_to(folder).parts[:depth]) for depth in range(1, path.count("/") + 1)]
    return any(each.is_symlink() or (each.exists() and not each.is_dir()) for each in above) or target.is_symlink()


def _is_as_written(folder: Path, path: str, digests: tuple[str, ...]) -> bool:
    target = folder / path
    return not _blocks(folder, path) and target.is_file() and digest(target.read_bytes()) in digests


@frozen
class _Replacement:
    """Files of a folder that are replaced one by one, and put back if that fails.

    Parameters
    ----------
    folder
        Where they are.
    beside
        A folder for what is not in place yet, and for copies of what was.
    undo
        What to put back: a file, and the copy of it where there was one.
    """

    folder: Path
    beside: Path
    undo: list[tuple[Path, Path | None]] = field(factory=list)

    @classmethod
    @contextmanager
    def begin(cls, folder: Path) -> Iterator[_Replacement]:
        """Replace files of a folder, which is made if need be, in a block that fails or succeeds as a whole."""
        made = _make_folders(folder)
        try:
            # In the folder itself: what is beside it may be another disk.
            with tempfile.TemporaryDirectory(dir=folder, prefix=f"{MANIFEST}.") as beside:
                replacement = cls(folder, Path(beside))
                try:
                    yield replacement
                except BaseException:  # an interrupt too
                    replacement.put_back()
                    raise
        except BaseException:
            for each in reversed(made):
                with suppress(OSError):  # what went wrong before says more
                    each.rmdir()
            raise

    def put(self, path: str, content: bytes | Mapping[str, Digests]) -> None:
        """Give a file its new content, in one step."""
        target, ready = self.folder / path, self.beside / f"{len(self.undo)}.new"
        if isinstance(content, bytes):
            ready.write_bytes(content)
        else:
            write_manifest(ready, content)
        for made in _make_folders(target.parent):
            self.undo.append((made, None))
        self._keep(target)
        os.replace(ready, target)

    def remove(self, path: str) -> None:
        """Remove a file, and the folder that it leaves empty."""
        target = self.folder / path
        self._keep(target)
        target.unlink()
        with suppress(OSError):  # it holds something else
            if target.parent != self.folder:
                target.parent.rmdir()

    def put_back(self) -> None:
        """Make everything as it was."""
        for target, copy in reversed(self.undo):
            with suppress(OSError):  # what went wrong before says more
                if copy is not None:
                    target.parent.mkdir(exist_ok=True)
                    os.replace(copy, target)
                elif target.is_dir():
                    target.rmdir()
                else:
                    target.unlink()

    def _keep(self, target: Path) -> None:
        copy = self.beside / f"{len(self.undo)}.old"
        is_there = target.exists()
        if is_there:
            shutil.copy2(target, copy)
        self.undo.append((target, copy if is_there else None))


def _make_folders(folder: Path) -> list[Path]:
    """Make a folder and those above it, or none of them; return those that were not there, the outermost first."""
    made: list[Path] = []
    try:
        for each in [each for each in (folder, *folder.parents) if not each.exists()][::-1]:
            each.mkdir(exist_ok=True)
            made.append(each)
    except OSError:
        for each in reversed(made):
            with suppress(OSError):  # someone has put something there since
                each.rmdir()
        raise
    return made
