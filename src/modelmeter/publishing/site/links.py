"""Whether everything that a site links to is there: pages, files and places in them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from html.parser import HTMLParser
from posixpath import dirname, join, normpath
from urllib.parse import unquote

from modelmeter.support.errors import FormulaError


def check_links(contents: Mapping[str, bytes]) -> None:
    """Refuse a site with a link that leads nowhere, or with two places of one name in a page.

    Raises
    ------
    FormulaError
        If there is one, naming the page.
    """
    pages = {path: _read(path, content) for path, content in contents.items() if path.endswith(".html")}
    for path, page in pages.items():
        for link in page.links:
            if link.startswith(("https://", "http://", "mailto:", "data:")):
                continue
            file, _, place = unquote(link).partition("#")
            target = normpath(join(dirname(path), file)) if file else path
            if target not in contents:
                raise FormulaError("a link leads to no file of the site", place=path, found=link)
            if place and target in pages and place not in pages[target].places:
                raise FormulaError("a link leads to no place of its page", place=path, found=link)


def _read(path: str, content: bytes) -> _Page:
    page = _Page()
    page.feed(content.decode())
    twice = [place for place, count in page.places.items() if count > 1]
    if twice:
        raise FormulaError("two places of a page have one name", place=path, found=", ".join(sorted(twice)[:3]))
    return page


class _Page(HTMLParser):
    """The links of a page, and the places in it."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.places: Counter[str] = Counter()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what an element is called, and where it leads."""
        for name, value in attrs:
            if value is None:
                continue
            if name == "id":
                self.places[value] += 1
            elif name in ("href", "src"):
                self.links.append(value)
