"""What a model is called in what is generated from it."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import Final

from modelmeter.support.errors import ArchitectureError

_LONGEST: Final = 40


def choose_name(
    title: str,
    aliases: Collection[str] = (),
    names: Iterable[str] = (),
    *,
    chosen: str | None = None,
    is_published: bool,
) -> str:
    """Return the name of a model: letters, digits, dots, dashes and underscores.

    Parameters
    ----------
    title, aliases
        The name of the published model of the family, and other names that many models of it have.
    names
        What its config calls it, the most particular name first; a path ends with the name. A name of the family
        is passed over.
    chosen
        What the user calls it.
    is_published
        Whether it has the sizes of the published model; no other has its name.

    Raises
    ------
    ArchitectureError
        If ``chosen`` has no letter or digit, or is the name of the published model, whose sizes are others.
    """
    family = {_fold(title), *aliases}
    if chosen is not None:
        name = _clean(chosen)
        if not name:
            raise ArchitectureError("a name without letters and digits", place="name", found=chosen)
        if _fold(name) in family and not is_published:
            raise ArchitectureError(
                "this is the name of another model", place="name", found=name,
                remedy="choose another name: these are not the sizes of the published model",
            )  # fmt: skip
        return name
    own = (name for name in map(_clean, names) if name and _fold(name) not in family)
    return next(own, title if is_published else f"{title}-variant")


def _clean(name: str) -> str:
    """Return the last part of a path, with dashes for all that no name has."""
    last = re.split(r"[/\\]", name.rstrip("/\\"))[-1]
    return re.sub(r"[^A-Za-z0-9._-]+", "-", last)[:_LONGEST].strip("-._")


def _fold(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
