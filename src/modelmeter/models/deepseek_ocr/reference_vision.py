"""The vision towers of DeepSeek-OCR as torch modules: SAM ViT-B, CLIP-L, and the linear projector."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from modelmeter.models.deepseek_ocr.architecture import IMAGE_CHANNELS, DeepSeekOCRArchitecture
from modelmeter.models.deepseek_ocr.reference_functions import (
    find_relative_terms,
    join_windows,
    partition_windows,
    resize_grid,
)

SAM_NORM_EPS = 1e-6
CLIP_NORM_EPS = 1e-5


class PatchEmbed(nn.Module):
    """Non-overlapping patches to channels-last embeddings."""

    def __init__(self, patch_size: int, hidden_size: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(IMAGE_CHANNELS, hidden_size, kernel_size=patch_size, stride=patch_size)

    def forward(self, pixels: Tensor) -> Tensor:
        return cast(Tensor, self.proj(pixels)).permute(0, 2, 3, 1)


class LayerNorm2d(nn.Module):
    """Layer norm over the channels of (batch, channels, height, width)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.eps = SAM_NORM_EPS

    def forward(self, features: Tensor) -> Tensor:
        mean = features.mean(1, keepdim=True)
        variance = (features - mean).pow(2).mean(1, keepdim=True)
        normalised = (features - mean) / torch.sqrt(variance + self.eps)
        return self.weight[:, None, None] * normalised + self.bias[:, None, None]


class MLPBlock(nn.Module):
    """SAM's MLP."""

    def __init__(self, hidden_size: int, intermediate_size: int) -> None:
        super().__init__()
        self.lin1 = nn.Linear(hidden_size, intermediate_size)
        self.lin2 = nn.Linear(intermediate_size, hidden_size)
        self.act = nn.GELU()

    def forward(self, features: Tensor) -> Tensor:
        return cast(Tensor, self.lin2(self.act(self.lin1(features))))


class Attention(nn.Module):
    """SAM's attention over a square grid, with decomposed relative positions."""

    def __init__(self, hidden_size: int, num_heads: int, pretrain_grid_size: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        head_dim = hidden_size // num_heads
        self.qkv = nn.Linear(hidden_size, 3 * hidden_size)
        self.proj = nn.Linear(hidden_size, hidden_size)
        self.rel_pos_h = nn.Parameter(torch.zeros(2 * pretrain_grid_size - 1, head_dim))
        self.rel_pos_w = nn.Parameter(torch.zeros(2 * pretrain_grid_size - 1, head_dim))

    def forward(self, features: Tensor) -> Tensor:
        batch_size, height, width, _ = features.shape
        positions, heads = height * width, self.num_heads
        qkv = self.qkv(features).reshape(batch_size, positions, 3, heads, -1).permute(2, 0, 3, 1, 4)
        query, key, value = qkv.reshape(3, batch_size * heads, positions, -1).unbind(0)
        rel_h, rel_w = find_relative_terms(query, self.rel_pos_h, self.rel_pos_w, height, width)
        query = query.view(batch_size, heads, positions, -1)
        key = key.view(batch_size, heads, positions, -1)
        value = value.view(batch_size, heads, positions, -1)
        rel_h = rel_h.view(batch_size, heads, positions, height, 1)
        rel_w = rel_w.view(batch_size, heads, positions, 1, width)
        bias = (rel_h + rel_w).view(batch_size, heads, positions, positions)
        attended = functional.scaled_dot_product_attention(query, key, value, attn_mask=bias)
        attended = attended.view(batch_size, heads, height, width, -1).permute(0, 2, 3, 1, 4)
        attended = attended.reshape(batch_size, height, width, -1)
        return cast(Tensor, self.proj(attended))


class Block(nn.Module):
    """SAM's block: attention in windows, or over the whole grid, then the MLP."""

    def __init__(self, architecture: DeepSeekOCRArchitecture, *, is_global: bool) -> None:
        super().__init__()
        hidden_size = architecture.sam_hidden_size
        pretrain_grid_size = architecture.sam_image_size // architecture.sam_patch_size
        self.window_size = 0 if is_global else architecture.sam_window_size
        self.norm1 = nn.LayerNorm(hidden_size, eps=SAM_NORM_EPS)
        self.attn = Attention(
            hidden_size, architecture.sam_num_attention_heads, pretrain_grid_size if is_global else self.window_size
        )
        self.norm2 = nn.LayerNorm(hidden_size, eps=SAM_NORM_EPS)
        self.mlp = MLPBlock(hidden_size, architecture.sam_intermediate_size)

    def forward(self, features: Tensor) -> Tensor:
        shortcut = features
        features = self.norm1(features)
        if self.window_size:
            grid = (features.shape[1], features.shape[2])
            features, padded = partition_windows(features, self.window_size)
        features = self.attn(features)
        if self.window_size:
            features = join_windows(features, self.window_size, padded, grid)
        features = shortcut + features
        return features + cast(Tensor, self.mlp(self.norm2(features)))


class ImageEncoderViT(nn.Module):
    """SAM ViT-B with a neck and two stride-2 convolutions: pixels to (n, clip_hidden_size, g, g)."""

    def __init__(self, architecture: DeepSeekOCRArchitecture) -> None:
        super().__init__()
        hidden_size, neck_channels = architecture.sam_hidden_size, architecture.sam_neck_channels
        grid_size = architecture.sam_image_size // architecture.sam_patch_size
        self.patch_embed = PatchEmbed(architecture.sam_patch_size, hidden_size)
        self.pos_embed = nn.Parameter(torch.zeros(1, grid_size, grid_size, hidden_size))
        self.blocks = nn.ModuleList(
            Block(architecture, is_global=index in architecture.sam_global_attn_indexes)
            for index in range(architecture.sam_num_hidden_layers)
        )
        self.neck = nn.Sequential(
            nn.Conv2d(hidden_size, neck_channels, kernel_size=1, bias=False),
            LayerNorm2d(neck_channels),
            nn.Conv2d(neck_channels, neck_channels, kernel_size=3, padding=1, bias=False),
            LayerNorm2d(neck_channels),
        )
        self.net_2 = nn.Conv2d(
            neck_channels, architecture.sam_downsample_channels, kernel_size=3, stride=2, padding=1, bias=False
        )
        self.net_3 = nn.Conv2d(
            architecture.sam_downsample_channels,
            architecture.clip_hidden_size,
            kernel_size=3,
            stride=2,
            padding=1,
            bias=False,
        )

    def forward(self, pixels: Tensor) -> Tensor:
        features = self.patch_embed(pixels)
        features = features + self._positions(features.shape[1])
        for block in self.blocks:
            features = block(features)
        features = self.neck(features.permute(0, 3, 1, 2))
        halved = self.net_2(features)
        return cast(Tensor, self.net_3(halved.clone()))

    def _positions(self, side: int) -> Tensor:
        """Return the position embeddings (1, side, side, hidden_size), resized where the grid has another side."""
        if self.pos_embed.shape[1] == side:
            return self.pos_embed
        return resize_grid(self.pos_embed.permute(0, 3, 1, 2), side).permute(0, 2, 3, 1)


class CLIPVisionEmbeddings(nn.Module):
    """SAM's features as patches, a class token before them, positions added."""

    position_ids: Tensor

    def __init__(self, architecture: DeepSeekOCRArchitecture) -> None:
        super().__init__()
        hidden_size, patch_size = architecture.clip_hidden_size, architecture.clip_patch_size
        self.side = architecture.clip_image_size // patch_size
        self.class_embedding = nn.Parameter(torch.randn(hidden_size))
        # Stored in the checkpoint, never called: the patches come from SAM.
        self.patch_embedding = nn.Conv2d(
            IMAGE_CHANNELS, hidden_size, kernel_size=patch_size, stride=patch_size, bias=False
        )
        self.position_embedding = nn.Embedding(self.side**2 + 1, hidden_size)
        self.register_buffer("position_ids", torch.arange(self.side**2 + 1).unsqueeze(0), persistent=False)

    def forward(self, pixels: Tensor, patch_embeds: Tensor) -> Tensor:
        side = patch_embeds.shape[-1]
        patches = patch_embeds.flatten(2).transpose(1, 2)
        class_token = self.class_embedding.expand(patches.shape[0], 1, -1)
        embeddings = torch.cat((class_token, patches), dim=1)
        return embeddings + self._positions(side)

    def _positions(self, side: int) -> Tensor:
        """Return the position embeddings (1, 1 + side x side, hidden_size), resized where the grid has another side."""
        positions: Tensor = self.position_embedding(self.position_ids)
        if side == self.side:
            return positions
        class_position, grid = positions.squeeze(0)[:1], positions.squeeze(0)[1:]
        grid = grid.view(1, self.side, self.side, -1).permute(0, 3, 1, 2).contiguous()
        resized = resize_grid(grid, side).permute(0, 2, 3, 1).view(side * side, -1)
        return torch.cat((class_position, resized), dim=0).unsqueeze(0)


class NoTPAttention(nn.Module):
    """CLIP's attention over all positions."""

    def __init__(self, hidden_size: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv_proj = nn.Linear(hidden_size, 3 * hidden_size)
        self.out_proj = nn.Linear(hidden_size, hidden_size)

    def forward(self, hidden_states: Tensor) -> Tensor:
        batch_size, positions, _ = hidden_states.shape
        qkv = self.qkv_proj(hidden_states).view(batch_size, positions, 3, self.num_heads, -1).permute(2, 0, 3, 1, 4)
        query, key, value = qkv.unbind(0)
        attended = functional.scaled_dot_product_attention(query, key, value)
        return cast(Tensor, self.out_proj(attended.transpose(1, 2).reshape(batch_size, positions, -1)))


class NoTPFeedForward(nn.Module):
    """CLIP's MLP with the quick GELU: x * sigmoid(1.702 x)."""

    def __init__(self, hidden_size: int, intermediate_size: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(hidden_size, intermediate_size)
        self.fc2 = nn.Linear(intermediate_size, hidden_size)

    def forward(self, hidden_states: Tensor) -> Tensor:
        output = self.fc1(hidden_states)
        output = output * torch.sigmoid(1.702 * output)
        return cast(Tensor, self.fc2(output))


class NoTPTransformerBlock(nn.Module):
    """CLIP's block: attention and MLP, each behind a norm and with a residual add."""

    def __init__(self, architecture: DeepSeekOCRArchitecture) -> None:
        super().__init__()
        hidden_size = architecture.clip_hidden_size
        self.self_attn = NoTPAttention(hidden_size, architecture.clip_num_attention_heads)
        self.mlp = NoTPFeedForward(hidden_size, architecture.clip_intermediate_size)
        self.layer_norm1 = nn.LayerNorm(hidden_size, eps=CLIP_NORM_EPS)
        self.layer_norm2 = nn.LayerNorm(hidden_size, eps=CLIP_NORM_EPS)

    def forward(self, hidden_states: Tensor) -> Tensor:
        attended = self.self_attn(self.layer_norm1(hidden_states))
        residual: Tensor = hidden_states + attended
        return residual + cast(Tensor, self.mlp(self.layer_norm2(residual)))


class NoTPTransformer(nn.Module):
    """CLIP's stack of blocks."""

    def __init__(self, architecture: DeepSeekOCRArchitecture) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            NoTPTransformerBlock(architecture) for _ in range(architecture.clip_num_hidden_layers)
        )

    def forward(self, hidden_states: Tensor) -> Tensor:
        for layer in self.layers:
            hidden_states = layer(hidden_states)
        return hidden_states


class VitModel(nn.Module):
    """CLIP-L over SAM's features: (n, 1 + g x g, clip_hidden_size)."""

    def __init__(self, architecture: DeepSeekOCRArchitecture) -> None:
        super().__init__()
        self.embeddings = CLIPVisionEmbeddings(architecture)
        self.transformer = NoTPTransformer(architecture)
        # The vendor's spelling; the checkpoint has it so.
        self.pre_layrnorm = nn.LayerNorm(architecture.clip_hidden_size, eps=CLIP_NORM_EPS)

    def forward(self, pixels: Tensor, patch_embeds: Tensor) -> Tensor:
        embeddings = self.embeddings(pixels, patch_embeds)
        hidden_states = self.pre_layrnorm(embeddings)
        return cast(Tensor, self.transformer(hidden_states))


class MlpProjector(nn.Module):
    """One linear layer from vision features to decoder channels."""

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__()
        self.layers = nn.Linear(in_features, out_features)

    def forward(self, features: Tensor) -> Tensor:
        return cast(Tensor, self.layers(features))
