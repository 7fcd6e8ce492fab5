"""Options that turn the pixels of a page into sizes: its tiles, or the side of its only view."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Collection, Mapping
from typing import Annotated, Any, Final, NoReturn

import typer
from attrs import frozen

from llm_perf_opt.evaluators import load_costs
from modelmeter.model.page_views import MAX_PAGE_SIDE, find_page_views
from modelmeter.model.refusals import is_refused
from modelmeter.model.registry import DEFAULT
from modelmeter.support.errors import WorkloadError

PageOption = Annotated[
    str | None, typer.Option("--page", metavar="WxH", help="A page of W x H pixels, which its tiles follow from.")
]
CropOption = Annotated[
    bool, typer.Option("--crop/--no-crop", help="Whether the page may be cut into tiles; else it is one view.")
]
PreprocessingOption = Annotated[
    str | None,
    typer.Option(
        "--preprocessing",
        metavar="PROGRAM",
        help="Which program of the model's authors makes the views, needed where they differ: transformers (at most 9 "
        "tiles; without crops a view of image_size) or serving (at most 6 tiles; a view of base_size).",
    ),
]

_LONGEST_TRIED: Final = 2**16
"""Pixels of a square page that is tried as one that is large enough."""

_PAGE: Final = re.compile(r"([0-9]{1,9})x([0-9]{1,9})")


@frozen(kw_only=True)
class PageViews:
    """A page as the options describe it.

    Parameters
    ----------
    page
        Its sides, as text: ``1191x1684``.
    crop_mode
        Whether it may be cut into tiles.
    preprocessing
        Which of the vendor's programs makes its views, if that is said.
    """

    page: str | None = None
    crop_mode: bool = True
    preprocessing: str | None = None

    def find_sizes(
        self,
        name: str,
        given: Mapping[str, Any],
        defaults: Mapping[str, Any],
        varying: Collection[str] = (),
        *,
        model: str = DEFAULT,
    ) -> dict[str, int]:
        """Return the sizes of the views, to be given beside the others.

        Parameters
        ----------
        name
            The stage or layer that they are for.
        given, defaults
            The sizes that it is given, and all that it has with their defaults.
        varying
            Sizes that have several values.
        model
            Which registered model looks at the page.

        Raises
        ------
        WorkloadError
            If there are no views, a size of them is given too or varies, the options contradict each other, or the
            vendor's programs differ and none is named.
        """
        if self.page is None and self.crop_mode:
            if self.preprocessing is not None:
                raise WorkloadError("there are no pixels to turn into views", place="--preprocessing",
                                    remedy="give --page or --no-crop too")  # fmt: skip
            return {}
        option = "--page" if self.crop_mode else "--no-crop"
        if not self.crop_mode and self.page is not None:
            raise WorkloadError("the sides of a page that is not cut make no difference", place="--page",
                                remedy="leave out one of --page and --no-crop")  # fmt: skip
        views = find_page_views(model)
        if not {*views.defaults, *views.tiles} <= defaults.keys():
            raise WorkloadError(
                "its cost does not depend on the views of a page", place=name, found=option,
                remedy="a page can only lengthen its prompt: "
                + ("give seq_len" if is_refused(model, "request") else "ask for the request, or give seq_len"),
            )  # fmt: skip
        for size in (*(key for key in views.tiles if key in given), *varying):
            if size in views.tiles or (size in views.defaults and size in varying):
                raise WorkloadError("the views follow from the page", place=size, found=f"{option} and {size}")
        sizes = {size: int(given.get(size, defaults[size])) for size in views.defaults}
        if self.page is None:
            return views.keep_whole(sizes, self.preprocessing)
        width, height = self.sides
        found = views.cut(width, height, sizes, self.preprocessing)
        least = {size: load_costs(model).DIMENSIONS[size].minimum for size in found}
        if any(found[size] < least[size] for size in found):
            self._refuse_small(lambda side: views.cut(side, side, sizes, self.preprocessing), found, least)
        return found

    def _refuse_small(
        self, cut: Callable[[int], Mapping[str, int]], found: Mapping[str, int], least: Mapping[str, int]
    ) -> NoReturn:
        """Refuse a page in pixels; ``cut`` returns the sizes of a square page.

        Raises
        ------
        WorkloadError
            Always; it says from which side on a square page is large enough, or that any is.
        """
        sides = range(1, _LONGEST_TRIED)
        side = bisect_left(sides, True, key=lambda side: all(cut(side)[size] >= least[size] for size in least))
        expected = f"as a square, at least {sides[side]}x{sides[side]} pixels" if side < len(sides) else None
        raise WorkloadError(
            "the page is too small for this model" if side else "the sides of the page differ too much", place="--page",
            expected=expected if side else "sides that are more alike: any square has enough pixels",
            found=f"{self.page}, of which {', '.join(f'{size} = {value}' for size, value in found.items())} follow",
            remedy=f"they have to be at least {' and '.join(map(str, least.values()))}",
        )  # fmt: skip

    @property
    def sides(self) -> tuple[int, int]:
        """The sides of the page in pixels.

        Raises
        ------
        WorkloadError
            If no page is given, it is written in another way, or a side is out of range.
        """
        found = _PAGE.fullmatch(self.page or "")
        sides = (0, 0) if found is None else (int(found[1]), int(found[2]))
        if not all(1 <= side <= MAX_PAGE_SIDE for side in sides):
            raise WorkloadError(
                "the size of a page cannot be read", place="--page",
                expected=f"WxH in pixels, each from 1 to {MAX_PAGE_SIDE}, as 1191x1684", found=self.page,
            )  # fmt: skip
        return sides
