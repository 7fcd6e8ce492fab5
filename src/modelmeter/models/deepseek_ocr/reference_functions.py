"""What the vision towers of the reference model compute beside the functions of torch."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import handle_torch_function, has_torch_function


def resize_grid(grid: Tensor, side: int) -> Tensor:
    """Resize a grid (1, channels, g, g) to (1, channels, side, side), bicubic with antialiasing."""
    return functional.interpolate(
        grid.to(torch.float32), size=(side, side), mode="bicubic", antialias=True, align_corners=False
    ).to(grid.dtype)


def decomposed_relative_attention(query: Tensor, key: Tensor, value: Tensor, rel_h: Tensor, rel_w: Tensor) -> Tensor:
    """Attend with a bias that is a sum of a row term and a column term; one fused operator.

    ``query``, ``key``, ``value`` are (batch, heads, h x w, head_dim), ``rel_h`` is (batch x heads, h, w, h) and
    ``rel_w`` is (batch x heads, h, w, w). A fused kernel never stores the q x kv bias, so counters that
    work on torch functions see this function, not its body.
    """
    operands = (query, key, value, rel_h, rel_w)
    if has_torch_function(operands):
        return handle_torch_function(decomposed_relative_attention, operands, *operands)
    bias = rel_h.unsqueeze(-1) + rel_w.unsqueeze(-2)
    return functional.scaled_dot_product_attention(
        query, key, value, attn_mask=bias.reshape(query.shape[0], query.shape[1], query.shape[2], key.shape[2])
    )
