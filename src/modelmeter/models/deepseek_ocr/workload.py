"""What is to be costed: the pages, their prompt, the tokens to generate, and the storage widths."""

from __future__ import annotations

from attrs import Attribute, Converter, field, frozen

from modelmeter.dimensions.symbols import STORAGE, Dimension
from modelmeter.models.deepseek_ocr import image_preprocessing, vision_tokens
from modelmeter.models.deepseek_ocr.dimensions import WORKLOAD
from modelmeter.models.deepseek_ocr.model_rules import RULES
from modelmeter.support.errors import WorkloadError

_DIMENSIONS: dict[str, Dimension] = {**WORKLOAD, **STORAGE}

A4_GRID = (2, 3)
"""Tiles across and down an A4 page in the tiled modes."""


def _check_size(value: int, attribute: Attribute[int]) -> int:
    _DIMENSIONS[attribute.name].check(value, WorkloadError)
    return value


def _check_sizes(_: type, attributes: list[Attribute[int]]) -> list[Attribute[int]]:
    """Check every size as it is set: a converter runs before the defaults that are made of earlier sizes."""
    return [attribute.evolve(converter=Converter(_check_size, takes_field=True)) for attribute in attributes]


@frozen(kw_only=True, field_transformer=_check_sizes)
class Workload:
    """The workload and storage dimensions of :mod:`modelmeter.models.deepseek_ocr.dimensions`.

    The defaults are one A4 page in gundam mode. ``seq_len``, ``logits_tokens`` and ``decode_steps`` follow
    from the other sizes where they are not given: the image tokens and the prompt, all of the prompt, and
    one step for every new token but the first, which the prefill makes.

    Raises
    ------
    WorkloadError
        If a size is not an integer in its range, a side is shorter than a patch, ``seq_len`` or ``decode_steps``
        is given and does not follow, or there are more logits than positions.
    """

    batch_size: int = 1
    images_per_prompt: int = 1
    vision_batch_size: int = 1
    base_size: int = 1024
    image_size: int = 640
    num_width_tiles: int = A4_GRID[0]
    num_height_tiles: int = A4_GRID[1]
    prompt_tokens: int = 10
    seq_len: int = field()
    logits_tokens: int = field()
    max_new_tokens: int = 1024
    decode_steps: int = field()
    weight_bits: int = 16
    activation_bits: int = 16
    kv_bits: int = 16

    @seq_len.default
    def _default_seq_len(self) -> int:
        return self.image_tokens + self.prompt_tokens

    @logits_tokens.default
    def _default_logits_tokens(self) -> int:
        return self.seq_len

    @decode_steps.default
    def _default_decode_steps(self) -> int:
        return self.max_new_tokens - 1

    def __attrs_post_init__(self) -> None:
        sizes = {
            **self.dimension_values(),
            "image_tokens": self.image_tokens,
            "sam_patch_size": vision_tokens.PATCH_SIZE,
        }
        for rule in RULES:
            if rule.names <= sizes.keys():
                rule.check(sizes, WorkloadError, at=str(rule.a) if rule.a in _DIMENSIONS else rule.b)
        for name, follows, words in (
            (
                "seq_len",
                self.image_tokens + self.prompt_tokens,
                f"the {self.image_tokens} image tokens and prompt_tokens, {self.prompt_tokens}",
            ),
            ("decode_steps", self.max_new_tokens - 1, f"one less than max_new_tokens, {self.max_new_tokens}"),
        ):
            if getattr(self, name) != follows:
                raise WorkloadError(
                    "two sizes contradict each other", place=name, expected=words, found=getattr(self, name)
                )

    @classmethod
    def for_mode(
        cls,
        name: str,
        *,
        num_width_tiles: int | None = None,
        num_height_tiles: int | None = None,
        **sizes: int,
    ) -> Workload:
        """Return the workload of a page in a published mode.

        Parameters
        ----------
        name
            A key of ``image_preprocessing.MODES``.
        num_width_tiles, num_height_tiles
            The tile grid of a tiled mode; an A4 page's by default.
        sizes
            Any other dimension, but the sides, which are the mode's.

        Raises
        ------
        WorkloadError
            If there is no such mode, it has no tiles and tiles are given, or a size is out of range.
        """
        mode = image_preprocessing.find_mode(name)
        across, down = A4_GRID if mode.is_tiled else (1, 1)
        workload = cls(
            base_size=mode.base_size,
            image_size=mode.image_size,
            num_width_tiles=across if num_width_tiles is None else num_width_tiles,
            num_height_tiles=down if num_height_tiles is None else num_height_tiles,
            **sizes,
        )
        if workload.tiles and not mode.is_tiled:
            raise WorkloadError(
                "this mode has no tiles",
                place=name,
                expected="a 1 x 1 grid",
                found=f"{workload.num_width_tiles} x {workload.num_height_tiles}",
            )
        return workload

    @classmethod
    def for_page(
        cls,
        page_width: int,
        page_height: int,
        *,
        base_size: int = 1024,
        image_size: int = 640,
        crop_mode: bool = True,
        preprocessing: str | None = None,
        **sizes: int,
    ) -> Workload:
        """Return the workload of a page of so many pixels, as the vendor's programs cut it.

        Parameters
        ----------
        page_width, page_height
            Sides of the page in pixels.
        base_size, image_size
            Sides of the global view and of a tile.
        crop_mode
            Whether the page is cut into tiles. Without that it is one view of ``image_size`` or of ``base_size``,
            which depends on the program.
        preprocessing
            Which of the vendor's programs: a key of ``image_preprocessing.PREPROCESSINGS``. It may be left out where
            they do the same.
        sizes
            Any other dimension, but the tiles.

        Raises
        ------
        WorkloadError
            If a size is out of range, or the programs differ and none is named.
        """
        across, down = 1, 1
        if crop_mode:
            across, down = image_preprocessing.find_tile_grid(page_width, page_height, image_size, preprocessing)
        else:
            base_size = image_preprocessing.find_untiled_side(base_size, image_size, preprocessing)
        return cls(base_size=base_size, image_size=image_size, num_width_tiles=across, num_height_tiles=down, **sizes)

    @property
    def image_tokens(self) -> int:
        """Tokens of the images of one prompt."""
        return self.images_per_prompt * int(
            vision_tokens.image_tokens(self.base_size, self.image_size, self.num_width_tiles, self.num_height_tiles)
        )

    @property
    def tiles(self) -> int:
        """Tiles of one page; 0 where it has its global view only."""
        return int(vision_tokens.count_tiles(self.num_width_tiles, self.num_height_tiles))

    def dimension_values(self) -> dict[str, int]:
        """Return every workload and storage dimension with its value, in the order of the documentation."""
        return {name: getattr(self, name) for name in _DIMENSIONS}
