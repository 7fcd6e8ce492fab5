"""The folder that a case runs in: a stranger's files, those of the case, and what became of them."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.fuzz.case import Content, Folder, Link

HERE = "a/b/here"
"""The working directory, below the root of the sandbox: paths that lead out of it end in the sandbox, too."""

STRANGERS: Mapping[str, Content] = {
    "notes.txt": b"a stranger's notes\n",
    "config.json": b'{"a stranger": "s config"}\n',
    "report.json": b'{"mine": 1}\n',
    "summary.md": b"# Mine\n",
    "sweep.csv": b"a,b\n1,2\n",
    "layers/mine.md": b"# A page by hand\n",
    "layers/prefill.md": b"# Another page by hand\n",
    "tmp/keep.me": b"kept\n",
    "codegen/formulas/README.md": b"# Written by a person\n",
    "codegen/deepseek_ocr_costs/notes.py": b"A = 1\n",
    "codegen/deepseek_ocr_costs/__init__.py": b"# a package of someone else\n",
    ".hidden": b"\x00\xff",
    "empty": Folder(),
    "link": Link(target="notes.txt"),
    "loop": Link(target="loop"),
    "../elsewhere/precious.txt": b"precious\n",
    "../elsewhere/tmp/profile-output/run-1/notes.md": b"notes of a run\n",
    "../root/tmp/profile-output/run-1/static_analysis/analytic_model/mine.md": b"mine\n",
    "../root/tmp/profile-output/run-2/notes.md": b"notes of another run\n",
}
"""What a stranger has, by path below the working directory."""


def fill(root: Path, files: Mapping[str, Content]) -> Path:
    """Make the stranger's files and those of a case below ``root``; return the working directory."""
    here = root / HERE
    here.mkdir(parents=True)
    put(here, {**STRANGERS, **files})
    return here


def put(here: Path, files: Mapping[str, Content]) -> None:
    """Make files below the working directory; one that is there is replaced."""
    modes: dict[Path, int] = {}
    for path, content in files.items():
        place = here / path
        place.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, Folder):
            place.mkdir(exist_ok=True)
            modes[place] = content.mode
        elif isinstance(content, Link):
            place.symlink_to(content.target)
        else:
            place.write_bytes(content)
    for place, mode in modes.items():
        place.chmod(mode)


def empty(root: Path) -> None:
    """Remove a sandbox, its folders without permissions too."""
    for folder, names, _ in os.walk(root):
        for name in names:
            if not os.path.islink(os.path.join(folder, name)):
                os.chmod(os.path.join(folder, name), 0o755)
    shutil.rmtree(root)


def take_stock(root: Path) -> dict[str, str]:
    """Return what is below ``root``: by path, the kind, and a digest of the content, the target or the mode."""
    return dict(_walk(os.fspath(root), ""))


def compare(before: Mapping[str, str], after: Mapping[str, str]) -> dict[str, str]:
    """Return what was added, changed or removed, by path below the working directory."""
    states = {
        path: "added" if path not in before else "removed" if path not in after else "changed"
        for path in sorted({*before, *after})
        if before.get(path) != after.get(path)
    }
    return {os.path.relpath(path, HERE): state for path, state in states.items()}


def read_changed(here: Path, changes: Mapping[str, str]) -> dict[str, bytes]:
    """Return the content of what was added or changed, as far as it is files."""
    return {
        path: (here / path).read_bytes()
        for path, state in changes.items()
        if state != "removed" and (here / path).is_file()
    }


def _walk(folder: str, prefix: str) -> Iterator[tuple[str, str]]:
    for entry in os.scandir(folder):
        path = prefix + entry.name
        mode = stat.S_IMODE(entry.stat(follow_symlinks=False).st_mode)
        if entry.is_symlink():
            yield path, f"link to {os.readlink(entry.path)}"
        elif entry.is_dir():
            yield path, f"folder {mode:o}"
            yield from _walk(entry.path, f"{path}/")
        else:
            with open(entry.path, "rb") as file:
                yield path, f"file {mode:o} {hashlib.sha256(file.read()).hexdigest()}"
