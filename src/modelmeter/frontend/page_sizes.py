"""The sizes that a page has for a registered model, or for one in a compiled folder. Nothing here needs sympy."""

from __future__ import annotations

import os

from modelmeter.frontend.compiled_folder import is_folder, open_folder
from modelmeter.model.page_views import find_page_views
from modelmeter.model.registry import DEFAULT
from modelmeter.support.suggestions import unknown_name


def page_sizes(
    page_width: int,
    page_height: int,
    *,
    model: str | os.PathLike[str] = DEFAULT,
    crop_mode: bool = True,
    preprocessing: str | None = None,
    **sizes: int,
) -> dict[str, int]:
    """Return the sizes that a page of so many pixels has, to be given to evaluators and to ``evaluate``.

    Parameters
    ----------
    page_width, page_height
        Sides of the page in pixels.
    model
        The name of a registered model, or a folder that ``modelmeter compile`` wrote.
    crop_mode
        Whether the page is cut into tiles; else it is one view, and its own sides make no difference.
    preprocessing
        Which of the vendor's programs makes the views: of DeepSeek-OCR ``transformers`` or ``serving``. It may be
        left out where they do the same.
    sizes
        The sizes that the views are made with, where they are not the default ones: ``base_size``, ``image_size``.

    Raises
    ------
    UnknownNameError
        If there is no such model or size.
    WorkloadError
        If a size is out of range, or the programs differ and none is named.

    Examples
    --------
    >>> page_sizes(1191, 1684)
    {'base_size': 1024, 'image_size': 640, 'num_width_tiles': 2, 'num_height_tiles': 3}
    """
    name = os.fspath(model)
    views = find_page_views(open_folder(name) if is_folder(name) else name)
    for size in sizes:
        if size not in views.defaults:
            raise unknown_name("size of a view", size, views.defaults)
    used = {**views.defaults, **sizes}
    found = (
        views.cut(page_width, page_height, used, preprocessing) if crop_mode else views.keep_whole(used, preprocessing)
    )
    return {**used, **found}
