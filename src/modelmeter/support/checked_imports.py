"""Imports of a generated package from a folder that is on no path: each file is compared with its digest first."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import find_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

from modelmeter.support.errors import OutputError


class DigestError(OutputError):
    """A generated file is not the one that was written."""


def digest_text(text: str) -> str:
    """Return the digest of the text of a generated file: SHA-256 of its UTF-8, in hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()


def read_checked(path: Path, digest: str) -> bytes:
    """Return the content of a generated file.

    Raises
    ------
    DigestError
        If it is missing, cannot be read, or is not what was written.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DigestError(
            "a generated file cannot be read", place=str(path), found=error.strerror, remedy="compile the model again"
        ) from None
    found = hashlib.sha256(content).hexdigest()
    if found != digest:
        raise DigestError(
            "a generated file was changed", place=str(path), expected=f"the digest {digest[:12]}", found=found[:12],
            remedy="compile the model again",
        )  # fmt: skip
    return content


class _CheckedLoader(SourceFileLoader):
    """Runs the very bytes that were compared, and no bytecode of anyone."""

    def __init__(self, name: str, path: str, digest: str) -> None:
        super().__init__(name, path)
        self._digest = digest

    def path_stats(self, path: str) -> Mapping[str, float]:  # without a time nothing is cached
        raise OSError

    def get_data(self, path: str) -> bytes:
        return read_checked(Path(path), self._digest)


class CheckedFinder(MetaPathFinder):
    """Finds one package and its modules in a folder, by what was written there.

    Parameters
    ----------
    package
        The import name.
    folder
        Where its files are.
    digests
        By path of a file in the folder, its digest; a module that is not among them is not found.
    """

    def __init__(self, package: str, folder: Path, digests: Mapping[str, str]) -> None:
        self.package, self.folder, self.digests = package, folder, dict(digests)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return where a module of the package is; None for what is none of it.

        Raises
        ------
        ModuleNotFoundError
            If no such module was written: nobody else is to find one.
        """
        top, *names = fullname.split(".")
        if top != self.package:
            return None
        file = f"{names[0]}.py" if names else "__init__.py"
        if file not in self.digests or len(names) > 1:
            problem = f"No module named {fullname!r}"
            raise ModuleNotFoundError(problem, name=fullname)
        place = self.folder / file
        loader = _CheckedLoader(fullname, str(place), self.digests[file])
        search = None if names else [str(self.folder)]
        return spec_from_file_location(fullname, place, loader=loader, submodule_search_locations=search)


def install_finder(finder: CheckedFinder) -> None:
    """Let a package be imported.

    Raises
    ------
    DigestError
        If an installed package has this name, or one of another folder has it and was imported; or if this one was
        imported before, unchecked or as it was before it was compiled again.
    """
    others = [each for each in sys.meta_path if isinstance(each, CheckedFinder) and each.package == finder.package]
    if any((each.folder, each.digests) == (finder.folder, finder.digests) for each in others):
        return
    imported = sys.modules.get(finder.package)
    if imported is not None and Path(imported.__file__ or "").parent.resolve() == finder.folder.resolve():
        raise DigestError(
            "the package was imported before its model was loaded", place=str(finder.folder), found=finder.package,
            remedy="load the model first, in a new process: then the import is of files that were compared",
        )  # fmt: skip
    beside = None if imported is not None or others else find_spec(finder.package)
    # The folder itself may be on the path.
    is_other = beside is not None and Path(beside.origin or "").parent.resolve() != finder.folder.resolve()
    if imported is not None or is_other:
        raise DigestError(
            "another package has this name", place=str(finder.folder), found=finder.package,
            remedy="compile the model with another --name",
        )  # fmt: skip
    for other in others:
        sys.meta_path.remove(other)
    sys.meta_path.insert(0, finder)
