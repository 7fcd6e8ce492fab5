"""Which model, and which work for it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal, TypeVar, get_args

from attrs import evolve, field, frozen

from llm_perf_opt.data import rules
from llm_perf_opt.data.image_tokens import image_tokens
from llm_perf_opt.errors import RecordError
from modelmeter.model.page_views import find_page_views
from modelmeter.support.errors import WorkloadError

VisionBackbone = Literal["sam_vit_b", "clip_vit_l", "other"]
PreprocessingName = Literal["transformers", "serving"]
DocumentKind = Literal["text_heavy", "mixed_layout", "image_rich", "synthetic"]

T = TypeVar("T")


@frozen(kw_only=True)
class DeepSeekOCRModelSpec:
    """The model that a report is about.

    Parameters
    ----------
    model_id, model_variant
        The name of the published model, and ours for the variant of it.
    hf_revision
        The revision of the published model, if one is meant.
    config_path
        Absolute path of the model's config, on the machine that made the report; None where it is not asked for, so
        that equal reports are equal on every machine.
    hidden_size, intermediate_size, num_layers, num_attention_heads
        Sizes of the decoder.
    vision_backbone
        The tower that looks at the pixels.
    uses_moe
        Whether the decoder routes tokens to experts.
    notes
        Anything else, for people.

    Raises
    ------
    RecordError
        If a field breaks its rule.
    """

    model_id: str = field(validator=rules.IDENTIFIER)
    model_variant: str = field(validator=rules.IDENTIFIER)
    hf_revision: str | None = field(default=None, validator=rules.or_none(rules.IDENTIFIER))
    config_path: str | None = field(default=None, validator=rules.or_none(rules.ABSOLUTE_PATH))
    hidden_size: int = field(validator=rules.whole_number(1))
    intermediate_size: int = field(validator=rules.whole_number(1))
    num_layers: int = field(validator=rules.whole_number(1))
    num_attention_heads: int = field(validator=rules.whole_number(1))
    vision_backbone: VisionBackbone = field(validator=rules.choice(*get_args(VisionBackbone)))
    uses_moe: bool = field(validator=rules.FLAG)
    notes: str = field(default="", validator=rules.TEXT)


@frozen(kw_only=True)
class OCRWorkloadProfile:
    """One kind of page, and how much text is written about it.

    Parameters
    ----------
    profile_id, description
        The name of the profile, and what it stands for.
    seq_len
        Tokens of the prompt of one page, its image tokens among them; of all its images, where it has several.
    base_size, image_size
        Side of the square global view and of a square tile, in pixels.
    crop_mode
        Whether the page is also cut into tiles.
    max_new_tokens
        Tokens to generate; the first comes from the prefill.
    doc_kind
        What the page looks like.
    num_pages
        Number of such pages; they are one batch.
    num_width_tiles, num_height_tiles
        Tiles across and down the page, both or neither; a product of 0 or 1 means none.
    page_width, page_height
        Sides of the page in pixels, both or neither: the tiles of a page in crop mode follow from them where they are
        not given. Without both a profile in crop mode is valid, but its cost is not known: see :attr:`tile_grid`.
    preprocessing
        Which of the vendor's programs makes the views, where they differ. ``transformers``, the model's own ``infer``:
        at most 9 tiles, and without crop mode one view of ``image_size``. ``serving``, the sample for a serving engine:
        at most 6 tiles, and one view of ``base_size``.
    images_per_prompt
        Images of one prompt, all cut alike.
    vision_batch_size
        Pages that share a call of the vision towers, a divisor of ``num_pages``. The vendor's code calls them for each
        page.
    logits_tokens
        Positions of each prompt that get logits, the last ones: all of them where it is not given, as in the vendor's
        code. Serving engines need one.

    Raises
    ------
    RecordError
        If a field breaks its rule, tiles are given by halves, beside the page or without crop mode, ``seq_len`` is
        smaller than the image tokens of the prompt or than ``logits_tokens``, or the pages do not fill the calls of the
        towers.
    """

    profile_id: str = field(validator=rules.IDENTIFIER)
    description: str = field(validator=rules.TEXT)
    seq_len: int = field(validator=rules.whole_number(1))
    base_size: int = field(validator=rules.whole_number(1))
    image_size: int = field(validator=rules.whole_number(1))
    crop_mode: bool = field(validator=rules.FLAG)
    max_new_tokens: int = field(validator=rules.whole_number(1))
    doc_kind: DocumentKind = field(validator=rules.choice(*get_args(DocumentKind)))
    num_pages: int = field(validator=rules.whole_number(1))
    num_width_tiles: int | None = field(default=None, validator=rules.or_none(rules.whole_number()))
    num_height_tiles: int | None = field(default=None, validator=rules.or_none(rules.whole_number()))
    page_width: int | None = field(default=None, validator=rules.or_none(rules.whole_number(1)))
    page_height: int | None = field(default=None, validator=rules.or_none(rules.whole_number(1)))
    preprocessing: PreprocessingName | None = field(
        default=None, validator=rules.or_none(rules.choice(*get_args(PreprocessingName)))
    )
    images_per_prompt: int = field(default=1, validator=rules.whole_number(1))
    vision_batch_size: int = field(default=1, validator=rules.whole_number(1))
    logits_tokens: int | None = field(default=None, validator=rules.or_none(rules.whole_number(1)))

    def __attrs_post_init__(self) -> None:
        self._check_pair("num_width_tiles", "num_height_tiles", "half of the tile grid is missing", "a number of tiles")
        self._check_pair("page_width", "page_height", "a side of the page is missing", "a number of pixels")
        width, height = self.num_width_tiles or 0, self.num_height_tiles or 0
        if not self.crop_mode and width * height > 1:
            raise RecordError(
                "tiles without crop mode", place="num_width_tiles", expected="no tiles", found=f"{width} x {height}"
            )
        if self.num_width_tiles is not None and self.page_width is not None:
            raise RecordError(
                "the tiles of a page follow from its sides", place="num_width_tiles", expected="no number beside "
                "page_width", found=self.num_width_tiles,
            )  # fmt: skip
        least = min(self._count(side, *grid) for side, grid in self._possible_views())
        if self.seq_len < least:
            raise RecordError(
                "the prompt cannot hold its image tokens",
                place="seq_len",
                expected=f"at least {least}",
                found=self.seq_len,
            )
        if self.num_pages % self.vision_batch_size:
            raise RecordError(
                "the pages do not fill the calls of the vision towers", place="vision_batch_size",
                expected=f"a divisor of num_pages, {self.num_pages}", found=self.vision_batch_size,
            )  # fmt: skip
        if self.logits_tokens is not None and self.logits_tokens > self.seq_len:
            raise RecordError(
                "more positions get logits than there are", place="logits_tokens",
                expected=f"at most seq_len, {self.seq_len}", found=self.logits_tokens,
            )  # fmt: skip

    def with_page(self, width: int, height: int) -> OCRWorkloadProfile:
        """Return this profile for a page of so many pixels, with the same text in its prompt.

        Raises
        ------
        RecordError
            If the profile does not cut pages, a side is out of range, or the vendor's programs differ in the tiles and
            none is named.
        """
        if not self.crop_mode:
            raise RecordError("the sides of a page that is not cut make no difference", place=self.profile_id,
                              remedy="leave out --page, or take a profile with crop_mode")  # fmt: skip
        text = self.seq_len - self.num_image_tokens
        tokens = self._count(self.base_size, *self._cut(width, height, self.preprocessing))
        return evolve(
            self, page_width=width, page_height=height, num_width_tiles=None, num_height_tiles=None,
            seq_len=text + tokens, description=f"A page of {width} x {height} pixels, else as {self.profile_id}",
        )  # fmt: skip

    @property
    def tile_grid(self) -> tuple[int, int]:
        """Tiles across and down the page; a product of 0 or 1 means none.

        Raises
        ------
        RecordError
            If the profile has crop mode but does not say how many tiles, or the vendor's programs differ in them.
        """
        if not self.crop_mode:
            return 0, 0
        if self.num_width_tiles is not None and self.num_height_tiles is not None:
            return self.num_width_tiles, self.num_height_tiles
        if self.page_width is None or self.page_height is None:
            raise RecordError(
                "the number of tiles is not known",
                place="num_width_tiles",
                remedy="crop mode cuts the page into tiles: give num_width_tiles and num_height_tiles, or "
                "page_width and page_height",
            )
        return self._cut(self.page_width, self.page_height, self.preprocessing)

    @property
    def view_size(self) -> int:
        """Side of the global view in pixels; of the only view, where there is no crop mode.

        Raises
        ------
        RecordError
            If there is no crop mode, and the vendor's programs make different views of the page.
        """
        if self.crop_mode:
            return self.base_size
        return self._keep_whole(self.preprocessing)

    @property
    def num_image_tokens(self) -> int:
        """Image tokens of one prompt.

        Raises
        ------
        RecordError
            As :attr:`tile_grid` and :attr:`view_size`.
        """
        return self._count(self.view_size, *self.tile_grid)

    def _possible_views(self) -> list[tuple[int, tuple[int, int]]]:
        """Return the side of the global view and the tiles, as far as the profile says: one of these is meant."""
        programs = [self.preprocessing] if self.preprocessing is not None else find_page_views().preprocessings
        if not self.crop_mode:
            return [(self._keep_whole(program), (0, 0)) for program in programs]
        if self.page_width is None or self.page_height is None:
            # Where the profile does not say, only the global view is certain.
            return [(self.base_size, (self.num_width_tiles or 0, self.num_height_tiles or 0))]
        return [(self.base_size, self._cut(self.page_width, self.page_height, program)) for program in programs]

    def _cut(self, width: int, height: int, preprocessing: str | None) -> tuple[int, int]:
        """Return the tiles across and down a page of so many pixels."""
        sizes = {"base_size": self.base_size, "image_size": self.image_size}
        found = _as_record_error(partial(find_page_views().cut, width, height, sizes, preprocessing))
        return found["num_width_tiles"], found["num_height_tiles"]

    def _keep_whole(self, preprocessing: str | None) -> int:
        """Return the side of the only view of a page."""
        sizes = {"base_size": self.base_size, "image_size": self.image_size}
        return _as_record_error(partial(find_page_views().keep_whole, sizes, preprocessing))["base_size"]

    def _check_pair(self, one: str, other: str, problem: str, expected: str) -> None:
        absent = [name for name in (one, other) if getattr(self, name) is None]
        if len(absent) == 1:
            raise RecordError(problem, place=absent[0], expected=expected)

    def _count(self, view_size: int, width: int, height: int) -> int:
        return self.images_per_prompt * image_tokens(
            base_size=view_size, image_size=self.image_size, num_width_tiles=width, num_height_tiles=height
        )


def _as_record_error(ask: Callable[[], T]) -> T:
    """Return the answer of the image preprocessing; what is wrong is wrong with the record."""
    try:
        return ask()
    except WorkloadError as error:
        raise RecordError(
            error.problem, place=error.place, expected=error.expected, found=error.found, remedy=error.remedy
        ) from None
