"""DeepSeek-OCR as torch modules, with the vendor's class and attribute names.

The model is complete: on real tensors it computes what the published model computes, and on the meta
device it runs at full size without memory. The vision towers are in :mod:`.reference_vision`, the layers of
the decoder in :mod:`.reference_decoder`.

It dispatches what the vendor's code dispatches, operator by operator, and lets go of tensors where that does: its
copies, its casts to float32 and back, and the variables that keep a tensor alive are there on purpose.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import cast

import torch
from torch import Tensor, nn

from modelmeter.graph.dtypes import default_dtype
from modelmeter.models.deepseek_ocr.architecture import DeepSeekOCRArchitecture
from modelmeter.models.deepseek_ocr.reference_cache import KeyValueCache
from modelmeter.models.deepseek_ocr.reference_decoder import (
    DeepseekV2DecoderLayer,
    DeepseekV2RMSNorm,
    ExpertRouting,
)
from modelmeter.models.deepseek_ocr.reference_vision import ImageEncoderViT, MlpProjector, VitModel
from modelmeter.support.errors import TraceError

Views = Callable[[], Iterator[Tensor]]
"""Makes the pixels of the calls of the towers, in their order: all of them before the first call."""


class DeepseekOCRModel(nn.Module):
    """Vision towers, projector and decoder: token ids and images in, hidden states out."""

    def __init__(self, architecture: DeepSeekOCRArchitecture, expert_routing: ExpertRouting) -> None:
        super().__init__()
        hidden_size = architecture.hidden_size
        self.embed_tokens = nn.Embedding(architecture.vocab_size, hidden_size)
        self.layers = nn.ModuleList(
            DeepseekV2DecoderLayer(architecture, index, expert_routing)
            for index in range(architecture.num_hidden_layers)
        )
        self.norm = DeepseekV2RMSNorm(hidden_size)
        self.sam_model = ImageEncoderViT(architecture)
        self.vision_model = VitModel(architecture)
        self.projector = MlpProjector(2 * architecture.clip_hidden_size, hidden_size)
        self.image_newline = nn.Parameter(torch.randn(hidden_size))
        # The vendor's spelling; the checkpoint has it so.
        self.view_seperator = nn.Parameter(torch.randn(hidden_size))

    def encode_views(self, views: Tensor) -> Tensor:
        """Turn square views (n, 3, s, s) into projected features (n, g, g, hidden_size)."""
        sam_features = self.sam_model(views)
        clip_features = self.vision_model(views, sam_features)
        grid = sam_features.shape[-1]
        features = torch.cat((clip_features[:, 1:], sam_features.flatten(2).permute(0, 2, 1)), dim=-1)
        features = self.projector(features)
        return cast(Tensor, features.view(views.shape[0], grid, grid, -1))

    def encode_pages(self, views: Iterator[Tensor], tile_grid: tuple[int, int]) -> Tensor:
        """Return the image tokens (pages, tokens, hidden_size) of the pages of a call: tiles, global view, separator.

        ``views`` yields the tiles of all pages of the call, in row-major order on each page, if there are more than
        one on a page; then their global views.
        """
        num_width_tiles, num_height_tiles = tile_grid
        num_tiles = num_width_tiles * num_height_tiles
        parts = []
        if num_tiles > 1:
            pixels = next(views)
            torch.sum(pixels)  # the vendor asks whether all of them are 0, as where a page has no tiles
            features = self.encode_views(pixels)
            grid, channels = features.shape[1], features.shape[-1]
            tiles = features.view(-1, num_height_tiles, num_width_tiles, grid, grid, channels).permute(0, 1, 3, 2, 4, 5)
            rows = tiles.reshape(-1, num_height_tiles * grid, num_width_tiles * grid, channels)
            parts.append(self._end_rows(rows))
        rows = self.encode_views(next(views))
        parts.append(self._end_rows(rows))
        parts.append(self.view_seperator.expand(rows.shape[0], 1, -1))
        return torch.cat(parts, dim=1)

    def _end_rows(self, rows: Tensor) -> Tensor:
        """Append the newline embedding to each row of a grid (pages, rows, columns, channels) and flatten it."""
        newline = self.image_newline.expand(rows.shape[0], rows.shape[1], 1, -1)
        return torch.cat((rows, newline), dim=2).flatten(1, 2)

    def _write_pages(self, prompts: Tensor, views: Iterator[Tensor], tile_grid: tuple[int, int]) -> tuple[int, int]:
        """Write the image tokens of a call over their prompts; return how many pages, and the tokens of each."""
        image_tokens = self.encode_pages(views, tile_grid)
        pages, tokens, _ = image_tokens.shape
        if tokens > prompts.shape[1]:
            raise TraceError(
                "the prompt is shorter than its image tokens", place="input_ids",
                expected=f"at least {tokens} positions for them", found=prompts.shape[1],
            )  # fmt: skip
        images = torch.cat([image_tokens], dim=0)  # of each prompt there is one, and joining it is a copy
        rows = torch.arange(tokens, device=prompts.device)
        # The vendor chooses these rows by a mask, which moves as much. As an assignment to target[:, rows] this would
        # take the page apart where there is one.
        torch.ops.aten.index_put_(prompts[:pages, :tokens], [None, rows], images)
        return pages, tokens

    def _write_images(
        self, prompts: Tensor, views: Views, tile_grid: tuple[int, int], images_per_prompt: int, image_start: int
    ) -> None:
        """Write the tokens of all images over the embeddings of their prompts, call by call."""
        # The pixels of all images are there before the first call, and are held until the last has returned.
        pixels = tuple(views())
        has_tiles = tile_grid[0] * tile_grid[1] > 1
        # The vendor asks whether the first page is blank.
        torch.sum(pixels[1 if has_tiles else 0][:1])
        pending, prompt = iter(pixels), 0
        while prompt < prompts.shape[0]:
            start = image_start
            for _ in range(images_per_prompt):
                pages, tokens = self._write_pages(prompts[prompt:, start:], pending, tile_grid)
                start += tokens
            prompt += pages

    def forward(
        self,
        input_ids: Tensor,
        cache: KeyValueCache,
        views: Views | None = None,
        tile_grid: tuple[int, int] = (0, 0),
        images_per_prompt: int = 1,
        image_start: int = 0,
    ) -> Tensor:
        """Return hidden states (batch, positions, hidden_size) and fill ``cache``.

        The image tokens take the positions from ``image_start`` on, one image after the other. ``views`` makes what
        :meth:`encode_pages` takes, for one call after the other until every image of every prompt has had its turn: a
        call has one image of each of some prompts.
        """
        batch_size, positions = input_ids.shape
        inputs_embeds = self.embed_tokens(input_ids)
        if views is not None:
            self._write_images(inputs_embeds, views, tile_grid, images_per_prompt, image_start)
        position_ids = torch.arange(cache.length, cache.length + positions, device=input_ids.device)
        position_ids = position_ids.expand(batch_size, -1)
        hidden_states = inputs_embeds
        for layer in self.layers:
            hidden_states = layer(hidden_states, position_ids, cache)
        cache.advance(positions)
        return cast(Tensor, self.norm(hidden_states))


class DeepseekOCRForCausalLM(nn.Module):
    """The model and its LM head."""

    def __init__(self, architecture: DeepSeekOCRArchitecture, expert_routing: ExpertRouting) -> None:
        super().__init__()
        self.architecture = architecture
        self.model = DeepseekOCRModel(architecture, expert_routing)
        self.lm_head = nn.Linear(architecture.hidden_size, architecture.vocab_size, bias=False)

    def forward(
        self,
        input_ids: Tensor,
        cache: KeyValueCache,
        views: Views | None = None,
        tile_grid: tuple[int, int] = (0, 0),
        images_per_prompt: int = 1,
        logits_tokens: int | None = None,
    ) -> Tensor:
        """Return the logits (batch, logits_tokens, vocab_size) of the last positions; of all by default."""
        hidden_states = self.model(input_ids, cache, views, tile_grid, images_per_prompt)
        if logits_tokens is not None:
            # Engines gather these rows, too.
            hidden_states = hidden_states[:, hidden_states.shape[1] - logits_tokens :].contiguous()
        logits = self.lm_head(hidden_states)
        logits = logits.float()
        return cast(Tensor, logits)


def build_reference(
    architecture: DeepSeekOCRArchitecture,
    *,
    expert_routing: ExpertRouting,
    device: torch.device | str = "meta",
    dtype: torch.dtype = torch.bfloat16,
) -> DeepseekOCRForCausalLM:
    """Build the reference model in evaluation mode.

    Raises
    ------
    TraceError
        When a forward on meta tensors is asked to route by data (``expert_routing="learned"``).
    """
    with torch.device(device), default_dtype(dtype):
        model = DeepseekOCRForCausalLM(architecture, expert_routing)
    return model.eval()
