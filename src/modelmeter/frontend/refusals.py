"""Turns what a forward fails with into an error that names the line of the code that is in the way."""

from __future__ import annotations

import inspect
import re
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from modelmeter.frontend.configs.config_fields import clip
from modelmeter.support.errors import CountError, ModelMeterError, UnpricedOperatorError

_PLACE = "site-packages/transformers/"

_READS: Final = re.compile(r"\bconfig\.([a-z]\w*)")
_SHOWN: Final = (int, str, float, list, dict)
_MOST_KEYS: Final = 10
_LONGEST_VALUE: Final = 60
_LONGEST_REASON: Final = 400


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
    return clip(kept, _LONGEST_REASON).rstrip(".")


@contextmanager
def name_line(work: str) -> Iterator[None]:
    """Turn any error of ``work`` into a CountError that names the last line of transformers that ran.

    It names the module too, and what that reads of the config: one of these it is that the code cannot work with.

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
        frame = _find_last_frame(error)
        where = "" if frame is None else f"{_name_place(frame)}: {frame.line}"
        text = " ".join(f"{type(error).__name__}: {error}".split())
        raise CountError(f"{work} fails", place=where, found=text[:200], remedy=describe_module(error)) from error


def describe_module(error: BaseException) -> str:
    """Return which module an error comes from, by its path and class, and the keys that its class reads of the config.

    That is the innermost one that reads any; of an error from elsewhere, nothing is known.
    """
    scopes = [
        frame.f_locals
        for frame, _ in traceback.walk_tb(error.__traceback__)
        if _PLACE in frame.f_code.co_filename and hasattr(frame.f_locals.get("self"), "named_modules")
    ]
    config, described = None, ""
    for scope in scopes:
        module = scope["self"]
        config = scope.get("config") or vars(module).get("config") or config
        read = _list_read(module, config)
        if read:
            path = _find_path(scopes[0]["self"], module)
            described = f"in {path and f'{path}, '}{type(module).__name__}, which reads {', '.join(read)}"
    return described


def _list_read(module: object, config: object) -> list[str]:
    """Return the keys that the class of a module reads of its config, with what they are."""
    try:
        source = inspect.getsource(type(module))
    except (OSError, TypeError):  # a class that was made while it ran
        return []
    known = {} if config is None else vars(config)
    names = getattr(type(config), "attribute_map", {})
    found = {key: known.get(key) for key in dict.fromkeys(names.get(key, key) for key in _READS.findall(source))}
    shown = [f"{key} = {_cut(value)}" for key, value in found.items() if isinstance(value, _SHOWN)]
    return [*shown[:_MOST_KEYS], *(["others"] if len(shown) > _MOST_KEYS else [])]


def _cut(value: object) -> str:
    text = clip(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}..."


def _find_path(root: Any, module: object) -> str:
    """Return the path of a module in the outermost one that was called; nothing while these are being built."""
    named = root.named_modules() if "_modules" in vars(root) else ()
    return next((path for path, each in named if each is module), "")


def describe_unpriced(error: UnpricedOperatorError, path: str) -> str:
    """Return which module runs an operator that has no price, and at which line of transformers, as a clause.

    Parameters
    ----------
    error
        What was raised as the operator was met.
    path
        The module, where its path in the whole model is not that of the error.
    """
    frame = _find_last_frame(error)
    where = "" if frame is None else f", at {_name_place(frame)}"
    return f"{path or 'the model'} runs aten.{error.operator}, which has no price{where}"


def _find_last_frame(error: BaseException) -> traceback.FrameSummary | None:
    """Return where in transformers an error came from."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _PLACE in frame.filename]
    return frames[-1] if frames else None


def _name_place(frame: traceback.FrameSummary) -> str:
    return f"{frame.filename.rpartition(_PLACE)[2]}:{frame.lineno}"
