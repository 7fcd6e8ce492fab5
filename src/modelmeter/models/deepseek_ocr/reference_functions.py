"""What the vision towers of the reference model compute beside the functions of torch."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def resize_grid(grid: Tensor, side: int) -> Tensor:
    """Resize a grid (1, channels, g, g) to (1, channels, side, side) in float32, bicubic with antialiasing."""
    resized = functional.interpolate(
        grid.to(torch.float32), size=(side, side), mode="bicubic", antialias=True, align_corners=False
    )
    return resized.to(grid.dtype)


def resize_offsets(table: Tensor, offsets: int) -> Tensor:
    """Resize a table of relative positions (n, channels) to (offsets, channels) in float32, linearly."""
    wide = table.to(torch.float32)
    columns = wide.reshape(1, table.shape[0], -1).permute(0, 2, 1)
    resized = functional.interpolate(columns, size=offsets, mode="linear").to(table.dtype)
    return resized.reshape(-1, offsets).permute(1, 0)


def list_offsets(side: int, device: torch.device) -> Tensor:
    """Return the row (side, side) of the table of relative positions for each pair of a query and a key.

    The coordinates are floating-point numbers of torch's default type for a moment: those of queries and keys could
    have different scales.
    """
    queries = torch.arange(side, device=device)[:, None] * 1.0
    keys = torch.arange(side, device=device)[None, :] * 1.0
    return ((queries - keys) + (side - 1) * 1.0).long()


def find_relative_positions(table: Tensor, side: int) -> Tensor:
    """Return the embeddings (side, side, head_dim) of all offsets, resizing the table where it must."""
    offsets = 2 * side - 1
    if table.shape[0] != offsets:
        table = resize_offsets(table, offsets)
    return table[list_offsets(side, table.device)]


def find_relative_terms(
    query: Tensor, row_table: Tensor, column_table: Tensor, height: int, width: int
) -> tuple[Tensor, Tensor]:
    """Return the row term (n, h x w, h, 1) and the column term (n, h x w, 1, w) of the bias of every score."""
    rows = find_relative_positions(row_table, height)
    columns = find_relative_positions(column_table, width)
    sequences, positions, channels = query.shape
    grid = query.reshape(sequences, height, width, channels)
    rel_h = torch.einsum("bhwc,hkc->bhwk", grid, rows)
    rel_w = torch.einsum("bhwc,wkc->bhwk", grid, columns)
    rel_h = rel_h.unsqueeze(-1)
    rel_w = rel_w.unsqueeze(-2)
    rel_h = rel_h.reshape(sequences, positions, height, 1)
    rel_w = rel_w.reshape(sequences, positions, 1, width)
    return rel_h, rel_w


def partition_windows(features: Tensor, side: int) -> tuple[Tensor, tuple[int, int]]:
    """Pad a grid (n, height, width, channels) to whole windows, and cut it into (windows, side, side, channels).

    The second result is the height and the width with the padding.
    """
    batch_size, height, width, channels = features.shape
    pad_height, pad_width = -height % side, -width % side
    if pad_height or pad_width:
        features = functional.pad(features, (0, 0, 0, pad_width, 0, pad_height))
    rows, columns = (height + pad_height) // side, (width + pad_width) // side
    windows = features.view(batch_size, rows, side, columns, side, channels).permute(0, 1, 3, 2, 4, 5).contiguous()
    return windows.view(-1, side, side, channels), (rows * side, columns * side)


def join_windows(windows: Tensor, side: int, padded: tuple[int, int], grid: tuple[int, int]) -> Tensor:
    """Undo :func:`partition_windows`: ``grid`` is the height and the width without the padding."""
    (padded_height, padded_width), (height, width) = padded, grid
    rows, columns = padded_height // side, padded_width // side
    batch_size = windows.shape[0] // (rows * columns)
    features = windows.view(batch_size, rows, columns, side, side, -1).permute(0, 1, 3, 2, 4, 5).contiguous()
    features = features.view(batch_size, padded_height, padded_width, -1)
    if padded_height > height or padded_width > width:
        features = features[:, :height, :width, :].contiguous()
    return features
