"""From the pixels of a page to sizes of a workload, as a model does it. Nothing here needs sympy."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from attrs import frozen

from modelmeter.model.registry import DEFAULT, find_beside
from modelmeter.support.errors import WorkloadError

MAX_PAGE_SIDE: Final = 2**26
"""Longest side of a page in pixels that is accepted: far above any scan, and safe to divide as a float."""

MODULE = "page_views"
"""The module beside that of a :class:`~modelmeter.model.definition.Model` which has its ``PAGE_VIEWS``, if it has."""


@frozen(kw_only=True)
class PageViews:
    """How a model cuts a page into the views that it looks at.

    Parameters
    ----------
    defaults
        The sizes that the views are made with, in pixels, and their defaults.
    tiles
        The sizes that follow from a page that is cut: how many tiles there are across it and down it.
    preprocessings
        The vendor's programs that make the views.
    cut
        Returns ``tiles`` of a page, from its width, its height, the sizes of ``defaults``, and a program or None.
    keep_whole
        Returns the sizes of a page that is not cut, whatever its own, from the sizes of ``defaults`` and a program
        or None. Both raise a WorkloadError where the programs differ and none is named.
    make_cut
        Returns a function from the sides of a page to the values of ``tiles``, from the sizes of ``defaults`` and a
        program: ``cut`` of millions of pages, without asking again for what they have in common.
    script
        A file of JavaScript that defines ``PAGE_VIEWS``: from a function that refuses to ``cut`` and ``keepWhole``,
        which do the same on BigInts. Without one, pages that compute in a browser ask for tiles.
    script_facts
        What the script finds as ``PAGE_FACTS``, of models that share one.
    """

    defaults: Mapping[str, int]
    tiles: tuple[str, ...]
    preprocessings: tuple[str, ...]
    cut: Callable[[int, int, Mapping[str, int], str | None], dict[str, int]]
    keep_whole: Callable[[Mapping[str, int], str | None], dict[str, int]]
    make_cut: Callable[[Mapping[str, int], str], Callable[[int, int], tuple[int, ...]]] | None = None
    script: Path | None = None
    script_facts: Mapping[str, object] | None = None

    def read_script(self) -> str:
        """Return the JavaScript that defines ``PAGE_VIEWS``; nothing where there is none."""
        if self.script is None:
            return ""
        facts = "" if self.script_facts is None else f"const PAGE_FACTS = {json.dumps(self.script_facts)};\n"
        return facts + self.script.read_text(encoding="utf-8")

    def check_preprocessing(self, name: str) -> None:
        """Raise a WorkloadError unless ``name`` is one of the programs; it lists their names."""
        if name not in self.preprocessings:
            expected = " or ".join(self.preprocessings)
            raise WorkloadError("no preprocessing has this name", expected=expected, found=name)


def find_page_views(model: str = DEFAULT) -> PageViews:
    """Return how a registered model cuts a page.

    Raises
    ------
    UnknownNameError
        If no model of this name is registered.
    WorkloadError
        If the cost of the model does not depend on pages.
    """
    found = find_beside(model, MODULE, "PAGE_VIEWS")
    if not isinstance(found, PageViews):
        raise WorkloadError("this model does not look at pages", place=model, remedy="give its sizes instead")
    return found
