"""Names that someone typed and that do not exist."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Final

from modelmeter.support.errors import ModelMeterError

MOST_LISTED: Final = 16
"""Names that a message lists; of more, only those that come close are of use."""


class UnknownNameError(ModelMeterError):
    """A layer, a stage, a metric or a size that does not exist was asked for."""


def unknown_name(
    kind: str, name: str, names: Iterable[str], aliases: Iterable[str] = (), meant: Iterable[str] = ()
) -> UnknownNameError:
    """Return the error for a name that is none of ``names``; it lists those that come close, and all if they are few.

    Parameters
    ----------
    kind
        What the name should have been: ``layer or stage``.
    name
        What was typed.
    names
        The names to choose from.
    aliases
        More names that work but are not listed.
    meant
        Those of the names that this word stands for elsewhere.
    """
    names = list(dict.fromkeys(names))
    close = (
        list(meant) or get_close_matches(name, [*dict.fromkeys([*names, *aliases])]) or _find_containing(name, names)
    )
    hints = [f"did you mean {' or '.join(close)}"] if close else []
    if len(names) <= MOST_LISTED:
        hints.append(f"known are {', '.join(names)}")
    elif not close:
        hints.append(f"known are {', '.join(names[:MOST_LISTED])} and {len(names) - MOST_LISTED} more")
    return UnknownNameError(f"there is no {kind} of this name", found=name, remedy="; ".join(hints))


def _find_containing(name: str, names: Iterable[str], most: int = 3) -> list[str]:
    """Return the names one word of which was typed: ``kv`` of ``kv_bits``, the shortest ones first."""
    return sorted((each for each in names if name and name in re.split(r"[._]", each)), key=len)[:most]
