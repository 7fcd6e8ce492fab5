"""Libraries that only some of the work needs, and what to do where one is missing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from modelmeter.support.errors import TraceError

INSTALL_TRACE: Final = "pip install 'modelmeter[trace]'"
INSTALL_TRANSFORMERS: Final = "pip install 'modelmeter[transformers]'"


@contextmanager
def explain_missing_extra(
    work: str = "tracing", libraries: str = "torch and torchinfo", *, remedy: str = INSTALL_TRACE
) -> Iterator[None]:
    """Turn the failed import of a library into an error that says how to get it.

    Parameters
    ----------
    work, libraries
        What is being done, and what it needs.
    remedy
        How to get them, or what else to do.

    Raises
    ------
    TraceError
        If a module is not found.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise TraceError(f"{work} needs {libraries}", found=str(error), remedy=remedy) from None
