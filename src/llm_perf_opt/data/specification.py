"""Which model, and which work for it."""

from __future__ import annotations

from typing import Literal, get_args

from attrs import field, frozen

from llm_perf_opt.data import rules
from llm_perf_opt.errors import RecordError
from llm_perf_opt.utils.image_tokens import image_tokens

VisionBackbone = Literal["sam_vit_b", "clip_vit_l", "other"]
DocumentKind = Literal["text_heavy", "mixed_layout", "image_rich", "synthetic"]


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
        Tokens of the prompt of one page, its image tokens among them.
    base_size, image_size
        Side of the square global view and of a square tile, in pixels.
    crop_mode
        Whether the page is also cut into tiles.
    max_new_tokens
        Tokens to generate; the first comes from the prefill.
    doc_kind
        What the page looks like.
    num_pages
        Number of such pages.
    num_width_tiles, num_height_tiles
        Tiles across and down the page, both or neither; a product of 0 or 1 means none. Without them a profile in
        crop mode is valid, but its cost is not known: see :attr:`tile_grid`.

    Raises
    ------
    RecordError
        If a field breaks its rule, tiles are given by halves or without crop mode, or ``seq_len`` is smaller
        than the image tokens of the page.
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

    def __attrs_post_init__(self) -> None:
        if (self.num_width_tiles is None) != (self.num_height_tiles is None):
            absent = "num_width_tiles" if self.num_width_tiles is None else "num_height_tiles"
            raise RecordError("half of the tile grid is missing", place=absent, expected="a number of tiles")
        width, height = self._stated_grid
        if not self.crop_mode and width * height > 1:
            raise RecordError(
                "tiles without crop mode", place="num_width_tiles", expected="no tiles", found=f"{width} x {height}"
            )
        least = self._count(width, height)
        if self.seq_len < least:
            raise RecordError(
                "the prompt cannot hold its image tokens",
                place="seq_len",
                expected=f"at least {least}",
                found=self.seq_len,
            )

    @property
    def tile_grid(self) -> tuple[int, int]:
        """Tiles across and down the page; a product of 0 or 1 means none.

        Raises
        ------
        RecordError
            If the profile has crop mode but does not say how many tiles.
        """
        if self.crop_mode and self.num_width_tiles is None:
            raise RecordError(
                "the number of tiles is not known",
                place="num_width_tiles",
                remedy="crop mode cuts the page into tiles: give num_width_tiles and num_height_tiles",
            )
        return self._stated_grid

    @property
    def num_image_tokens(self) -> int:
        """Image tokens of one page.

        Raises
        ------
        RecordError
            As :attr:`tile_grid`.
        """
        return self._count(*self.tile_grid)

    @property
    def _stated_grid(self) -> tuple[int, int]:
        """The tiles that are certain: where the profile does not say, those of the global view only, none."""
        return self.num_width_tiles or 0, self.num_height_tiles or 0

    def _count(self, width: int, height: int) -> int:
        return image_tokens(
            base_size=self.base_size, image_size=self.image_size, num_width_tiles=width, num_height_tiles=height
        )
