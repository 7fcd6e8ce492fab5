"""From LaTeX to a PDF, by a TeX that is installed: the same bytes for the same text."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from modelmeter.support.errors import OutputError

ENGINE: Final = "pdflatex"
INSTALL: Final = "apt-get install texlive-latex-recommended texlive-fonts-recommended lmodern"

_MOST_RUNS: Final = 6
_SECONDS: Final = 120
_STABLE: Final = ("aux", "toc", "out")
"""What a run leaves for the next one; the last run leaves what it found."""

_UNFIT: Final = re.compile(r"^(?:Overfull \\hbox.*|LaTeX Warning: (?:Reference|Hyper reference).*undefined.*)$", re.M)


def is_installed() -> bool:
    """Return whether there is a TeX."""
    return shutil.which(ENGINE) is not None


def typeset(source: str, pictures: Mapping[str, bytes]) -> bytes:
    """Return the PDF of a text in LaTeX.

    Nothing is read but the text and the pictures, and no program is run by TeX.

    Parameters
    ----------
    source
        The text.
    pictures
        PDFs by the names of their files.

    Raises
    ------
    OutputError
        If TeX is missing or fails, a line is too long for its column, or a reference leads nowhere.
    """
    engine = shutil.which(ENGINE)
    if engine is None:
        raise OutputError("the book needs TeX", expected=ENGINE, remedy=INSTALL)
    with tempfile.TemporaryDirectory(prefix="modelmeter-book-") as name:
        folder = Path(name)
        (folder / "book.tex").write_text(source, encoding="utf-8")
        for picture, content in pictures.items():
            (folder / picture).write_bytes(content)
        before: list[bytes] = []
        for _ in range(_MOST_RUNS):
            log = _run(engine, folder)
            after = [path.read_bytes() for suffix in _STABLE if (path := folder / f"book.{suffix}").is_file()]
            if after == before:
                break
            before = after
        else:
            raise OutputError("the references of the book do not settle", expected=f"at most {_MOST_RUNS} runs of TeX")
        unfit = _UNFIT.findall(log)
        if unfit:
            raise OutputError("the book has lines that do not fit, or references that lead nowhere",
                              found=f"{len(unfit)}, first: {unfit[0]}")  # fmt: skip
        return (folder / "book.pdf").read_bytes()


def _run(engine: str, folder: Path) -> str:
    """Run TeX once, and return what it says."""
    command = [engine, "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "book.tex"]
    # The date is fixed, lines of the log are not broken, and nothing outside of the folder is written.
    fixed = {"SOURCE_DATE_EPOCH": "0", "FORCE_SOURCE_DATE": "1", "max_print_line": "10000", "openout_any": "p"}
    try:
        done = subprocess.run(
            command, cwd=folder, env={**os.environ, **fixed}, stdin=subprocess.DEVNULL, capture_output=True,
            timeout=_SECONDS, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise OutputError("TeX takes too long", expected=f"at most {_SECONDS} seconds a run") from None
    log = done.stdout.decode(errors="replace")
    if done.returncode:
        problem = next((line for line in log.splitlines() if line.startswith("!")), f"exit code {done.returncode}")
        raise OutputError("TeX cannot set the book", place="book.tex", found=problem)
    return log
