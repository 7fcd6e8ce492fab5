"""What forwards of the reference model are given: pages, token ids, and a cache; and which modules they call."""

from __future__ import annotations

import re

import torch
from attrs import frozen
from torch import Tensor, nn

from modelmeter.models.deepseek_ocr.architecture import DeepSeekOCRArchitecture
from modelmeter.models.deepseek_ocr.reference_decoder import KeyValueCache


@frozen
class Page:
    """The sides of the two kinds of views in pixels, the tile grid, and how many pages there are."""

    base_size: int
    image_size: int
    num_width_tiles: int = 1
    num_height_tiles: int = 1
    batch_size: int = 1

    @property
    def tiles(self) -> int:
        """Tiles of one page: a grid of one tile has none."""
        cells = self.num_width_tiles * self.num_height_tiles
        return cells if cells > 1 else 0

    @property
    def sizes(self) -> dict[str, int]:
        names = ("batch_size", "base_size", "image_size", "num_width_tiles", "num_height_tiles")
        return {name: getattr(self, name) for name in names}

    @property
    def grids(self) -> dict[str, list[int] | list[list[int]]]:
        """What the independent implementation is told of the tiles of each page, where there are any."""
        if not self.tiles:
            return {}
        return {
            "num_local_patches": [self.tiles] * self.batch_size,
            "patches_grid": [[self.num_width_tiles, self.num_height_tiles]] * self.batch_size,
        }

    def draw(self, dtype: torch.dtype = torch.bfloat16, device: str = "meta") -> tuple[Tensor, Tensor | None]:
        """Return random global views and tiles."""

        def draw_views(count: int, side: int) -> Tensor:
            return torch.randn(self.batch_size * count, 3, side, side, dtype=dtype, device=device)

        return draw_views(1, self.base_size), draw_views(self.tiles, self.image_size) if self.tiles else None


def build_cache(
    architecture: DeepSeekOCRArchitecture, batch_size: int, capacity: int, like: Tensor | None = None
) -> KeyValueCache:
    """Build a cache where ``like`` is and of its type; without it, on the meta device."""
    device, dtype = ("meta", torch.bfloat16) if like is None else (like.device, like.dtype)
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
