"""What a model of this family is called in what is generated from it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from modelmeter.models.deepseek_ocr.architecture import DeepSeekOCRArchitecture
from modelmeter.support.errors import ArchitectureError

PUBLISHED: Final = "DeepSeek-OCR"
"""The name of the published model, which no model of other sizes has."""

VARIANT: Final = f"{PUBLISHED}-variant"
"""The name of a model of other sizes that has no name of its own."""

_FAMILY: Final = frozenset({"deepseekvlv2", "deepseekocr"})
"""What is the name of many models: of the published one, and of those that were made of it."""

_LONGEST: Final = 40


def name_model(architecture: DeepSeekOCRArchitecture, names: Iterable[str] = (), *, chosen: str | None = None) -> str:
    """Return the name of a model: letters, digits, dots, dashes and underscores.

    Parameters
    ----------
    architecture
        Its sizes.
    names
        What its config calls it, the most particular name first; a path ends with the name. A name of the family
        is passed over.
    chosen
        What the user calls it.

    Raises
    ------
    ArchitectureError
        If ``chosen`` has no letter or digit, or is the name of the published model, whose sizes are others.
    """
    is_published = architecture == DeepSeekOCRArchitecture()
    if chosen is not None:
        name = _clean(chosen)
        if not name:
            raise ArchitectureError("a name without letters and digits", place="name", found=chosen)
        if _fold(name) in _FAMILY and not is_published:
            raise ArchitectureError(
                "this is the name of another model", place="name", found=name,
                remedy="choose another name: these are not the sizes of the published model",
            )  # fmt: skip
        return name
    own = (name for name in map(_clean, names) if name and _fold(name) not in _FAMILY)
    return next(own, PUBLISHED if is_published else VARIANT)


def _clean(name: str) -> str:
    """Return the last part of a path, with dashes for all that no name has."""
    last = re.split(r"[/\\]", name.rstrip("/\\"))[-1]
    return re.sub(r"[^A-Za-z0-9._-]+", "-", last)[:_LONGEST].strip("-._")


def _fold(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
