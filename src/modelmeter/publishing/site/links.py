"""Whether everything that a site links to is there: pages, files and places in them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from html import unescape
from posixpath import dirname, join, normpath
from typing import Final
from urllib.parse import unquote

from attrs import frozen

from modelmeter.support.errors import FormulaError

_TAG: Final = re.compile(r"<[a-zA-Z][^<>]*>")
"""A page writes no bracket into an attribute, nor any into text: both are escaped where text becomes HTML."""

_ATTRIBUTE: Final = re.compile(r"""\s(id|href|src|data-href)=(?:"([^"]*)"|'([^']*)')""")


def check_links(contents: Mapping[str, bytes]) -> None:
    """Refuse a site with a link that leads nowhere, or with two places of one name in a page.

    Raises
    ------
    FormulaError
        If there is one, naming the page.
    """
    pages = {path: _read(path, content.decode()) for path, content in contents.items() if path.endswith(".html")}
    for path, page in pages.items():
        for link in page.links:
            if link.startswith(("https://", "http://", "mailto:", "data:")):
                continue
            file, _, place = unquote(unescape(link)).partition("#")
            target = normpath(join(dirname(path), file)) if file else path
            if target not in contents:
                raise FormulaError("a link leads to no file of the site", place=path, found=link)
            if place and target in pages and place not in pages[target].places:
                raise FormulaError("a link leads to no place of its page", place=path, found=link)


@frozen
class _Page:
    """The links of a page, each once, and the places in it."""

    links: tuple[str, ...]
    places: frozenset[str]


def _read(path: str, text: str) -> _Page:
    found = [match for tag in _TAG.findall(text) for match in _ATTRIBUTE.findall(tag)]
    places = Counter(unescape(one or other) for name, one, other in found if name == "id")
    twice = [place for place, count in places.items() if count > 1]
    if twice:
        raise FormulaError("two places of a page have one name", place=path, found=", ".join(sorted(twice)[:3]))
    # In the order of their text, so that of several the same one is named.
    links = sorted({one or other for name, one, other in found if name != "id"})
    return _Page(links=tuple(links), places=frozenset(places))
