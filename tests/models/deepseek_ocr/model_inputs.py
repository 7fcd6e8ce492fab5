"""What forwards of the reference model are given: pages, token ids, and a cache; and which modules they call."""

from __future__ import annotations

import re
from typing import Any

import torch
from attrs import field, frozen
from torch import Tensor, nn

from modelmeter.models.deepseek_ocr.architecture import DeepSeekOCRArchitecture
from modelmeter.models.deepseek_ocr.reference_cache import KeyValueCache
from modelmeter.models.deepseek_ocr.vision_tokens import image_tokens

IMAGE_CHANNELS = 3


@frozen
class Page:
    """The sides of the two kinds of views in pixels, the tile grid, and how many pages there are.

    ``batch_size`` prompts have ``images_per_prompt`` pages each; a call of the towers has one of each of
    ``vision_batch_size`` prompts.
    """

    base_size: int
    image_size: int
    num_width_tiles: int = 1
    num_height_tiles: int = 1
    batch_size: int = 1
    vision_batch_size: int = 1
    images_per_prompt: int = 1

    @property
    def tiles(self) -> int:
        """Tiles of one page: a grid of one tile has none."""
        cells = self.num_width_tiles * self.num_height_tiles
        return cells if cells > 1 else 0

    @property
    def calls(self) -> int:
        """Calls of the towers for one kind of views."""
        return self.images_per_prompt * self.batch_size // self.vision_batch_size

    @property
    def sizes(self) -> dict[str, int]:
        return {name: getattr(self, name) for name in self.__slots__ if not name.startswith("__")}

    def count_tokens(self, patch_size: int = 16) -> int:
        """Return the image tokens of a prompt."""
        views = (self.base_size, self.image_size, self.num_width_tiles, self.num_height_tiles)
        return self.images_per_prompt * int(image_tokens(*views, patch_size))

    def draw(self, dtype: torch.dtype = torch.bfloat16, device: str = "meta") -> Images:
        """Return random views."""

        def draw_views(count: int, side: int) -> Tensor:
            shape = (self.batch_size, self.images_per_prompt, count, IMAGE_CHANNELS, side, side)
            return torch.randn(shape, dtype=dtype, device=device)

        return Images(self, draw_views(1, self.base_size), draw_views(self.tiles, self.image_size))


@frozen
class Images:
    """The views of all pages: (prompts, images of each, views of each, channels, side, side).

    ``calls`` are the pixels of each call of the towers: tiles, if there are any, then global views. They are cut before
    any forward, which does not copy them.
    """

    page: Page
    global_views: Tensor
    tiles: Tensor
    calls: tuple[Tensor, ...] = field(init=False)

    @calls.default
    def _cut(self) -> tuple[Tensor, ...]:
        page = self.page
        return tuple(
            views[start : start + page.vision_batch_size, image].flatten(0, 1).contiguous()
            for start in range(0, page.batch_size, page.vision_batch_size)
            for image in range(page.images_per_prompt)
            for views in (self.tiles, self.global_views)
            if views.shape[2]
        )

    @property
    def given(self) -> dict[str, Any]:
        """What the reference model is given."""
        page = self.page
        return {
            "views": self.calls.__iter__,
            "tile_grid": (page.num_width_tiles, page.num_height_tiles),
            "images_per_prompt": page.images_per_prompt,
        }

    @property
    def for_oracle(self) -> dict[str, Any]:
        """What the independent implementation is given: all views of a kind at once, prompt by prompt."""
        page = self.page
        pages = page.batch_size * page.images_per_prompt
        views = {"pixel_values": self.global_views.flatten(0, 2)}
        if not page.tiles:
            return {**views, "pixel_values_local": None}
        return {
            **views,
            "pixel_values_local": self.tiles.flatten(0, 2),
            "num_local_patches": [page.tiles] * pages,
            "patches_grid": [[page.num_width_tiles, page.num_height_tiles]] * pages,
        }


def build_cache(
    architecture: DeepSeekOCRArchitecture,
    batch_size: int,
    capacity: int,
    *,
    like: Tensor | None = None,
    dtype: torch.dtype = torch.bfloat16,
) -> KeyValueCache:
    """Build a cache where ``like`` is and of its type; without it, on the meta device and of ``dtype``."""
    device, dtype = ("meta", dtype) if like is None else (like.device, like.dtype)
    return KeyValueCache(architecture, batch_size=batch_size, capacity=capacity, device=device, dtype=dtype)


def ids_on_meta(*shape: int) -> Tensor:
    return torch.zeros(shape, dtype=torch.int64, device="meta")


def record_calls(model: nn.Module, pattern: str) -> set[str]:
    """Return a set that gets the names of the modules like ``pattern`` when they are called."""
    called: set[str] = set()
    for name, module in model.named_modules():
        if re.fullmatch(pattern, name):
            module.register_forward_hook(lambda *_, name=name: called.add(name))
    return called
