"""Turns what a forward fails with into an error that names the line of the code that is in the way."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from modelmeter.frontend.configs.config_fields import clip
from modelmeter.support.errors import CountError, ModelMeterError

_PLACE = "site-packages/transformers/"


def find_lines() -> tuple[tuple[str, int], ...]:
    """Return the files and lines of transformers that are being run, the innermost first."""
    lines = []
    frame = sys._getframe(1)
    while frame.f_back is not None:
        frame = frame.f_back
        if _PLACE in frame.f_code.co_filename:
            lines.append((frame.f_code.co_filename, frame.f_lineno))
    return tuple(lines)


def make_plain(error: ModelMeterError) -> str:
    """Return a message as a part of one sentence of plain text, which may stand in a docstring and on a page."""
    kept = "".join(letter if letter.isprintable() and letter not in '\\`$"' else " " for letter in str(error))
    return clip(kept).rstrip(".")


@contextmanager
def name_line(work: str) -> Iterator[None]:
    """Turn any error of ``work`` into a CountError that names the last line of transformers that ran.

    Raises
    ------
    CountError
        If the work fails with anything but an error of ours.
    """
    try:
        yield
    except ModelMeterError:
        raise
    except Exception as error:  # whatever the code of a model fails with where a number is missing
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _PLACE in frame.filename]
        where = ""
        if frames:
            last = frames[-1]
            where = f"{last.filename.rpartition(_PLACE)[2]}:{last.lineno}: {last.line}"
        text = " ".join(f"{type(error).__name__}: {error}".split())
        raise CountError(f"{work} fails", place=where, found=text[:200]) from error
