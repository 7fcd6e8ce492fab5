"""Text from elsewhere in Markdown."""

from __future__ import annotations

import re

# An underscore inside a word is none of Markdown's.
_SPECIAL = re.compile(r"([\\`*{}\[\]<>#|$~]|(?<![^\W_])_|_(?![^\W_]))")


def escape_markdown(text: str) -> str:
    """Return ``text`` so that Markdown shows it as it is, also in a table."""
    return _SPECIAL.sub(r"\\\1", text)
