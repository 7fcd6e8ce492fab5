"""Text from elsewhere in Markdown."""

from __future__ import annotations

import re

# An underscore inside a word is none of Markdown's. An ampersand begins the name of a character.
_SPECIAL = re.compile(r"([\\`*{}\[\]<>#|$~]|(?<![^\W_])_|_(?![^\W_])|&(?=[#\w]))")

_LIST = re.compile(r"^(?:(\d{1,9})([.)])|([-+]))(?=\s)")
"""How an item of a list begins."""

_STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Characters that steer a terminal, or that show what follows in another order."""


def escape_markdown(text: str) -> str:
    """Return ``text`` so that Markdown shows it as it is, also in a table; what steers a terminal is written out."""
    visible = _STEERING.sub(lambda found: found[0].encode("unicode_escape").decode(), text)
    return _LIST.sub(r"\1\\\2\3", _SPECIAL.sub(r"\\\1", visible))
