"""DeepSeek-OCR as torch modules, with the vendor's class and attribute names.

The model is complete: on real tensors it computes what the published model computes, and on the meta
device it runs at full size without memory. The vision towers are in :mod:`.reference_vision`, the layers of
the decoder in :mod:`.reference_decoder`.

Operators are the leaf modules and the torch functions that the other modules call. Layout changes
(view, permute, contiguous) and casts are free, and so is arithmetic on integers only.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from modelmeter.errors import TraceError
from modelmeter.models.deepseek_ocr.architecture import DeepSeekOCRArchitecture
from modelmeter.models.deepseek_ocr.reference_decoder import (
    DeepseekV2DecoderLayer,
    DeepseekV2RMSNorm,
    ExpertRouting,
    KeyValueCache,
)
from modelmeter.models.deepseek_ocr.reference_vision import ImageEncoderViT, MlpProjector, VitModel


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
        return cast(Tensor, self.projector(features)).view(views.shape[0], grid, grid, -1)

    def encode_images(self, global_views: Tensor, tiles: Tensor | None, num_width_tiles: int) -> Tensor:
        """Return the image tokens (batch, tokens, hidden_size): tiles, global view, separator.

        ``tiles`` is (batch x tiles, 3, s, s) in row-major order on each page.
        """
        batch_size = global_views.shape[0]
        parts = []
        if tiles is not None:
            features = self.encode_views(tiles)
            grid = features.shape[1]
            pages = features.view(batch_size, -1, num_width_tiles, grid, grid, features.shape[-1])
            # (batch, tile rows, tile columns, g, g, channels) -> one grid a page
            rows = pages.transpose(2, 3).reshape(batch_size, -1, num_width_tiles * grid, features.shape[-1])
            parts.append(self._end_rows(rows))
        parts.append(self._end_rows(self.encode_views(global_views)))
        parts.append(self.view_seperator.expand(batch_size, 1, -1))
        return torch.cat(parts, dim=1)

    def _end_rows(self, rows: Tensor) -> Tensor:
        """Append the newline embedding to each row of a grid (batch, rows, columns, channels) and flatten it."""
        newline = self.image_newline.expand(rows.shape[0], rows.shape[1], 1, -1)
        return torch.cat((rows, newline), dim=2).flatten(1, 2)

    def forward(
        self,
        input_ids: Tensor,
        cache: KeyValueCache,
        global_views: Tensor | None = None,
        tiles: Tensor | None = None,
        num_width_tiles: int = 0,
        image_start: int = 0,
    ) -> Tensor:
        """Return hidden states (batch, positions, hidden_size) and fill ``cache``.

        The image tokens take the positions from ``image_start`` on.
        """
        batch_size, positions = input_ids.shape
        hidden_states = self.embed_tokens(input_ids)
        if global_views is not None:
            image_tokens = self.encode_images(global_views, tiles, num_width_tiles)
            stop = image_start + image_tokens.shape[1]
            if stop > positions:
                raise TraceError(
                    "the prompt is shorter than its image tokens", place="input_ids",
                    expected=f"at least {stop} positions", found=positions,
                )  # fmt: skip
            hidden_states[:, image_start:stop].copy_(image_tokens)
        position_ids = torch.arange(cache.length, cache.length + positions, device=input_ids.device)
        position_ids = position_ids.expand(batch_size, -1)
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
        global_views: Tensor | None = None,
        tiles: Tensor | None = None,
        num_width_tiles: int = 0,
        logits_tokens: int | None = None,
    ) -> Tensor:
        """Return the logits (batch, logits_tokens, vocab_size) of the last positions; of all by default."""
        hidden_states = self.model(input_ids, cache, global_views, tiles, num_width_tiles)
        if logits_tokens is not None:
            hidden_states = hidden_states[:, hidden_states.shape[1] - logits_tokens :]
        return cast(Tensor, self.lm_head(hidden_states)).float()


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
    with torch.device(device):
        model = DeepseekOCRForCausalLM(architecture, expert_routing)
    return model.to(dtype).eval()
